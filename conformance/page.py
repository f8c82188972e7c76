"""The page: what all reports say, as HTML in one file that needs nothing else.

Its parts lie in html/: the HTML, its style, and the script that draws the table. Cases and outcomes
are compressed JSON in it, because as text they would be several megabytes.
"""

import base64
import gzip
import json
import pathlib
import re

from conformance import tables

HERE = pathlib.Path(__file__).parent


def page(ours, keras, endpoints, root=HERE):
    """The text of the page.

    Args:
        ours: The reports on our classes, by the name of the column.
        keras: Those on Keras' own.
        endpoints: The badges.
        root: The folder with the cases and the table of requirements.
    """
    data = json.dumps(
        contents(ours, keras, endpoints, root), separators=(",", ":"), allow_nan=False
    )
    # Without a time in it, the same reports make the same page.
    packed = base64.b64encode(gzip.compress(data.encode(), mtime=0)).decode()
    parts = {
        "/* style */": _part("page.css"),
        "/* script */": _part("page.js"),
        'id="data">': f'id="data">{packed}',
    }
    text = _part("page.html")
    for place, part in parts.items():
        before, found, after = text.partition(place)
        if not found:
            raise ValueError(f"page.html must have a place {place}")
        text = before + part + after
    return text


def _part(name):
    return (HERE / "html" / name).read_text("utf-8")


def contents(ours, keras, endpoints, root=HERE):
    """What the page shows, as a dict that JSON can hold."""
    packages = {"keras_norms": ours, "Keras": keras}
    hunts = _hunts(root)
    cases = {}
    for case in (c for reports in packages.values() for r in reports.values() for c in r["cases"]):
        cases.setdefault(case["id"], case)
    statuses: dict[str, int] = {}
    messages: dict[str, int] = {}
    columns = [
        {
            "name": ("" if package == "keras_norms" else "Keras' own, ") + name,
            "package": package,
            "backend": report["backend"],
            "keras": report["versions"]["keras"],
            "origin": _origin(report),
            "reproduce": report["reproduce"],
            "outcomes": _outcomes(report, cases, statuses, messages),
        }
        for package, reports in packages.items()
        for name, report in reports.items()
    ]
    return {
        "badges": [{key: each[key] for key in ("label", "message")} for each in endpoints],
        "requirements": _requirements(root, {case["requirement"] for case in cases.values()}),
        "cases": [
            {key: case[key] for key in ("id", "target", "kind", "requirement", "title")}
            | {"place": place, "hunts": hunts.get(case["id"], ""), "dtype": _dtype(case)}
            for place, case in enumerate(cases.values())
        ],
        "columns": columns,
        "statuses": list(statuses),
        "messages": list(messages),
    }


def _origin(report):
    versions = report["versions"]
    backend = f"{report['backend']} {versions.get(report['backend'])}"
    where = f"{report['device']}, {report['date'][:10]}, {str(report['commit'])[:12]}"
    dead = f", {tables.dead(report)} controls fail" if report["controls"] else ""
    return f"{backend}, Keras {versions['keras']}, {where}{dead}"


def _dtype(case):
    """The dtype, which the id tells after the target and the kind."""
    return re.search(r"-((?:b?float|u?int)\d+)", case["id"] + "-float32")[1]


def _outcomes(report, cases, statuses, messages):
    """For each case: status, severity, score, budget and message, the texts as their numbers."""
    found = {case["id"]: case for case in report["cases"]}
    rows = []
    for name in cases:
        case = found.get(name, {"status": "not run", "severity": None, "message": ""})
        worst = max(case.get("measures", ()), key=_used, default=None)
        rows.append(
            [
                statuses.setdefault(case["status"], len(statuses)),
                tables.SEVERITIES.index(case["severity"]) if case["severity"] else None,
                f"{worst['score']:.3g}" if worst else None,
                f"{worst['budget']:.3g}" if worst else None,
                messages.setdefault(case["message"], len(messages)),
            ]
        )
    return rows


def _used(measure):
    """The part of its budget that a measure takes; of those without a budget, their score."""
    return measure["score"] / (measure["budget"] or 1e-9)


def _hunts(root):
    """What each case hunts, by its id."""
    files = (json.loads(p.read_text("utf-8")) for p in sorted((root / "cases").glob("*/*.json")))
    return {case["id"]: case["hunts"] for file in files for case in file["cases"]}


def _requirements(root, ids):
    """The title and the source of each requirement, from the generated table."""
    rows = re.findall(
        r"^\| (KN-\S+) \| (.*) \| (.*) \|$", (root / "README.md").read_text("utf-8"), re.M
    )
    told = {id: [_plain(title), _plain(source)] for id, title, source in rows}
    return {id: told.get(id, [id, ""]) for id in sorted(ids)}


def _plain(text):
    """Markdown without its marks for code and stress."""
    return re.sub(r"`([^`]*)`|\*([^*`]+)\*", lambda found: found[1] or found[2], text)
