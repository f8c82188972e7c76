"""The matrix: what the reports of all backends say, as tables and as badges.

    python -m conformance.matrix FOLDER BACKEND [BACKEND ...] [--write]

Reads FOLDER/<backend>-<device>.json, and -keras.json beside them for Keras' own classes, and writes
matrix.md, matrix.html, keras-failures.md, badge.json and badge-gpu.json there, the last two as
Shields endpoints. The badge is red and the exit code 1 unless each CPU report is of this commit, of
the cases and controls of the manifest, of the backend and device of its name and of one Keras, and
unless cases passed, none failed and all controls are dead. If the commit is not known, as in a
download without git, or the tree has changed since, the badge says "incomplete"; the exit code is 1
only where the variable CI is "true". The GPU badge stays grey until a GPU ran.

With --write, the tables also take the places that comments mark in README.md and in
docs/keras-failures.md, and the badges those in docs/. Nothing is written if anything is incomplete.

Only the standard library is needed.
"""

import collections
import dataclasses
import html
import json
import os
import pathlib
import re
import sys

from keras_norms.testing.commit import commit_of, is_clean
from keras_norms.testing.manifest import Manifest, manifest_beside

ROOT = pathlib.Path(__file__).parents[1]

# How bad a failure is, as the runner derives it (keras_norms/testing/severity.py).
SEVERITIES = ("wrong", "imprecise", "other convention", "missing")
BADGES = ("badge.json", "badge-gpu.json")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What reports must be of, to stand for the project."""

    backends: list[str]
    commit: str | None
    manifest: Manifest


def load(folder, backends, device, suffix=""):
    """The reports of a device by backend. One that cannot be read counts as missing."""
    reports = {}
    for backend in backends:
        try:
            text = (folder / f"{backend}-{device}{suffix}.json").read_text("utf-8")
            reports[backend] = json.loads(text, object_hook=_with_infinity)
        except (OSError, ValueError):
            continue
    return reports


def _with_infinity(data):
    """JSON has no infinity; a report writes it as a word."""
    return data | {k: float(v) for k, v in data.items() if k in ("score", "relative")}


def problem(reports, wanted, device="cpu"):
    """Why the reports cannot stand for the project, or None."""
    if not wanted.backends:
        return "no backend is named"
    missing = [b for b in wanted.backends if b not in reports]
    if missing:
        return f"no report of {', '.join(missing)}"
    every = list(reports.values())
    if any((r["backend"], r["device"]) != (b, device) for b, r in reports.items()):
        return "a report of another backend or device"
    commits = {r["commit"] for r in every}
    if len(commits) > 1:
        return "reports of several commits"
    if commits != {wanted.commit}:
        return "reports of another commit"
    if len({r["versions"]["keras"] for r in every}) > 1:
        return "reports of several versions of Keras"
    if any(r["words"] for r in every):
        return "a part of the cases"
    planned = wanted.manifest.number_of_cases
    if any(r["manifest"] != wanted.manifest.digest or len(r["cases"]) != planned for r in every):
        return "other cases than those of the manifest"
    if any(r["counts"] != _counts(r["cases"]) for r in every):
        return "counts that are not those of the cases"
    idle = [b for b, r in reports.items() if not r["counts"]["passed"]]
    if idle:
        return f"no case passed on {', '.join(idle)}"
    return None


def _counts(cases):
    """What the counts of a report must be."""
    found = collections.Counter(case["status"] for case in cases)
    return {
        "planned": len(cases),
        "passed": found["passed"],
        "failed": found["failed"],
        "expected failures": found["expected failure"],
        "not applicable": found["not applicable"],
    }


def badge(reports, wanted, label, device="cpu"):
    """A Shields endpoint: counts, or what is wrong."""
    wrong = problem(reports, wanted, device)
    counts = {b: r["counts"] for b, r in reports.items()}
    controls = [r["controls"] for r in reports.values()]
    alive = sum(not c["dead"] for each in controls for c in each.values())
    if wrong:
        message, color = f"incomplete: {wrong}", "red"
    elif any(each.keys() != wanted.manifest.names_of_controls for each in controls):
        message, color = "incomplete: other controls than those of the manifest", "red"
    elif alive or any(c["failed"] for c in counts.values()):
        failed = sum(c["failed"] for c in counts.values())
        message, color = f"{failed} failed, {alive} controls alive", "red"
    elif not is_clean(wanted.commit):
        why = "the tree has changes" if wanted.commit else "the commit is not known"
        message, color = f"incomplete: {why}", "orange"
    else:
        message = ", ".join(f"{b} {c['passed']}" for b, c in counts.items())
        color = "brightgreen"
    return {"schemaVersion": 1, "label": label, "message": message, "color": color}


def gpu_badge(reports, wanted):
    """The same for the GPU, where nothing is wrong with no report at all."""
    if not reports:
        endpoint = {"message": "not run", "color": "lightgrey"}
        return {"schemaVersion": 1, "label": "GPU parity"} | endpoint
    return badge(reports, wanted, "GPU parity", "gpu")


def _cell(cases):
    """Passed of run, with the expected failures."""
    counts = collections.Counter(case["status"] for case in cases)
    run = len(cases) - counts["not applicable"]
    if not run:
        return "-"
    expected = counts["expected failure"]
    return f"{counts['passed']} of {run}" + (f", {expected} expected" if expected else "")


def _severities(cases):
    """How many of the cases fail, by severity."""
    return collections.Counter(case["severity"] for case in cases if case["status"] == "failed")


def _in_words(counts):
    """Counts of failures: "3 wrong, 1 missing"."""
    return ", ".join(f"{counts[name]} {name}" for name in SEVERITIES if counts[name])


def _columns(ours, keras):
    """A name and a report for each column: ours on each backend, then Keras' own."""
    for name, reports in (("", ours), ("Keras' own, ", keras)):
        for backend, report in reports.items():
            yield f"{name}{backend} {report['versions'][backend]}", report


def table(ours, keras):
    """Markdown: one line per target, one column per backend."""
    columns = list(_columns(ours, keras))
    lines = [
        "| target | " + " | ".join(name for name, _ in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    targets = sorted({case["target"] for report in ours.values() for case in report["cases"]})
    for target in targets:
        cells = [
            _cell([case for case in report["cases"] if case["target"] == target])
            for _, report in columns
        ]
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    every = [_cell(report["cases"]) for _, report in columns]
    lines.append("| all | " + " | ".join(every) + " |")
    dead = [
        f"{sum(c['dead'] for c in r['controls'].values())} of {len(r['controls'])}"
        if r["controls"]
        else "-"
        for _, r in columns
    ]
    lines.append("| controls that fail, as they must | " + " | ".join(dead) + " |")
    for severity in SEVERITIES:
        found = [str(_severities(report["cases"])[severity]) for _, report in columns]
        lines.append(f"| cases that fail: {severity} | " + " | ".join(found) + " |")
    return "\n".join(lines) + "\n"


_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; }
table { border-collapse: collapse; }
td, th { border: 1px solid #ccc; padding: .2em .6em; text-align: left; vertical-align: top; }
.good { background: #e6f4e6; } .bad { background: #f8d7d7; } .mild { background: #fdf3d0; }
.none { color: #888; }
code { white-space: pre-wrap; }
"""


def page(ours, keras, endpoints):
    """HTML without scripts: requirement x column; a cell opens to its cases."""
    columns = list(_columns(ours, keras))
    requirements = sorted({c["requirement"] for _, r in columns for c in r["cases"]})
    head = "".join(f"<th>{html.escape(name)}<br>{_origin(r)}</th>" for name, r in columns)
    rows = []
    for requirement in requirements:
        cells = []
        for _, report in columns:
            cases = [c for c in report["cases"] if c["requirement"] == requirement]
            cells.append(_details(cases, report["reproduce"]))
        rows.append(f"<tr><th>{requirement}</th>{''.join(cells)}</tr>")
    badges = "".join(
        f"<p><b>{html.escape(e['label'])}</b>: {html.escape(e['message'])}</p>" for e in endpoints
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>keras_norms conformance</title><style>{_STYLE}</style>"
        f"<h1>keras_norms conformance</h1>{badges}"
        f"<table><tr><th>requirement</th>{head}</tr>{''.join(rows)}</table></html>\n"
    )


def _origin(report):
    words = f"Keras {report['versions']['keras']}, {report['device']}, {report['date'][:10]}"
    return f"<small>{html.escape(words)}<br>{html.escape(str(report['commit']))[:12]}</small>"


def _details(cases, reproduce):
    text = _cell(cases)
    if text == "-":
        return '<td class="none">-</td>'
    counts = _severities(cases)
    color = "bad" if counts["wrong"] else "mild" if counts else "good"
    text += f"<br><small>{_in_words(counts)}</small>" if counts else ""
    items = []
    for case in cases:
        scores = ", ".join(
            f"{m['what']} {m['score']:.3g} of {m['budget']:.3g} ulp" for m in case["measures"]
        )
        status = f"{case['status']}, {case['severity']}" if case["severity"] else case["status"]
        words = f"{status}: {case['title']}. {scores} {case['message']}"
        command = f"{reproduce} -k {case['id']}"
        items.append(f"<li>{html.escape(words)}<br><code>{html.escape(command)}</code></li>")
    return (
        f'<td class="{color}"><details><summary>{text}</summary>'
        f"<ul>{''.join(items)}</ul></details></td>"
    )


def errors(ours):
    """Markdown: the float32 error of each target that comes nearest to its budget, in ulp."""
    lines = ["| target | " + " | ".join(ours) + " |", "|---|" + "---|" * len(ours)]
    found = {
        backend: {row["target"]: row["score"] for row in r["worst"] if row["dtype"] == "float32"}
        for backend, r in ours.items()
    }
    for target in sorted({target for scores in found.values() for target in scores}):
        cells = [f"{scores[target]:.2f}" if target in scores else "-" for scores in found.values()]
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def origin(reports):
    """What the reports are of: "Keras 3.15.1, tensorflow 2.21.0, torch 2.13.0, 2026-11-24"."""
    keras = {f"Keras {report['versions']['keras']}" for report in reports.values()}
    backends = [f"{backend} {report['versions'][backend]}" for backend, report in reports.items()]
    dates = {report["date"][:10] for report in reports.values()}
    return ", ".join([*sorted(keras), *backends, *sorted(dates)[-1:]])


def summary(keras):
    """One line: how many cases Keras' own classes fail on each backend, by severity."""
    counts = [f"{b}: {_in_words(_severities(r['cases']))}" for b, r in keras.items()]
    return (
        "How bad the failures of Keras' own classes are "
        f"([what the words mean](docs/keras-failures.md)): {'; '.join(counts)}.\n"
    )


def failures(keras):
    """Markdown by name: what Keras' own classes fail, in all and by severity."""
    tables = {"overview": f"{origin(keras)}, on a CPU:\n\n{_overview(keras)}"}
    for severity in SEVERITIES:
        found = collections.defaultdict(lambda: collections.defaultdict(list))
        for backend, report in keras.items():
            for case in report["cases"]:
                if case["status"] == "failed" and case["severity"] == severity:
                    row = (case["requirement"], case["target"], case["kind"])
                    found[row][backend].append(case)
        tables[severity] = _rows(found, keras, severity == "imprecise")
    return tables


def _overview(keras):
    lines = ["| failing cases | " + " | ".join(keras) + " |", "|---|" + "---|" * len(keras)]
    counts = [_severities(report["cases"]) for report in keras.values()]
    for severity in SEVERITIES:
        cells = " | ".join(str(each[severity]) for each in counts)
        lines.append(f"| {severity} | {cells} |")
    ran = (r["counts"]["planned"] - r["counts"]["not applicable"] for r in keras.values())
    lines.append("| of | " + " | ".join(map(str, ran)) + " |")
    return "\n".join(lines) + "\n"


def _rows(found, keras, with_errors):
    """One row for each requirement and kind, with one of its cases and its reproduction."""
    more = "largest error | " if with_errors else ""
    lines = [
        f"| requirement | kind | failing cases | one of them | found there | {more}reproduce |"
    ]
    lines.append("|" + "---|" * (7 if with_errors else 6))
    for (requirement, target, kind), by_backend in sorted(found.items()):
        backend, cases = next(iter(by_backend.items()))
        case = cases[0]
        counts = ", ".join(f"{b} {len(cases)}" for b, cases in by_backend.items())
        message = re.sub(r" at 0x[0-9a-f]+", "", case["message"].splitlines()[0])[:120]
        every = [case for cases in by_backend.values() for case in cases]
        error = f"{_largest_errors(every)} | " if with_errors else ""
        lines.append(
            f"| {requirement} | {kind} | {counts} | {target}: {case['title']} "
            f"| {message.replace('|', chr(92) + '|')} | {error}"
            f"`{keras[backend]['reproduce']} -k {case['id']}` |"
        )
    return "\n".join(lines) + "\n"


def _largest_errors(cases):
    """The largest error of the cases for each dtype, in ulp and in per cent of the exact value."""
    found = collections.defaultdict(list)
    for measure in (measure for case in cases for measure in case["measures"]):
        if measure["score"] > measure["budget"]:
            found[measure["dtype"]].append(measure)
    return ", ".join(
        f"{dtype} {max(m['score'] for m in measures):.2g} ulp "
        f"({100 * max(m['relative'] for m in measures):.1g} %)"
        for dtype, measures in found.items()
    )


def filled(text, name, body):
    """A page with `body` in the place that has this name.

    Raises:
        ValueError: If the page does not have the place exactly once.
    """
    begin, end = f"<!-- generated: {name} -->\n", "<!-- end of what is generated -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"A page must have one place {begin.strip()}")
    return pattern.sub(lambda _: f"{begin}\n{body}\n{end}", text)


def write(root, ours, keras, badges):
    """Put the tables into the pages of the project, and the badges beside them."""
    cases = {report["counts"]["planned"] for report in ours.values()}
    controls = {len(report["controls"]) for report in ours.values()}
    heading = (
        f"{max(cases)} cases and {max(controls)} controls, passed of run ({origin(ours)}):\n\n"
    )
    places = {
        "README.md": {
            "matrix": heading + table(ours, keras),
            "errors": errors(ours),
            "keras": summary(keras),
        },
        "docs/keras-failures.md": failures(keras),
    }
    pages = {}
    for page, bodies in places.items():
        pages[page] = (root / page).read_text("utf-8")
        for name, body in bodies.items():
            pages[page] = filled(pages[page], name, body)
    for page, text in pages.items():
        (root / page).write_text(text, "utf-8")
    for name, endpoint in badges.items():
        (root / "docs" / name).write_text(json.dumps(endpoint) + "\n", "utf-8")


def main(folder, *arguments, root=ROOT):
    """The exit code: 1 if a badge is red, or there is nothing to write the pages from."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("matrix.md", "matrix.html", "keras-failures.md", *BADGES):
        (folder / name).unlink(missing_ok=True)  # those of an earlier run must not stand for this
    backends = [argument for argument in arguments if argument != "--write"]
    wanted = Wanted(backends, commit_of(root), manifest_beside(root / "conformance" / "cases"))
    cpu, gpu = (load(folder, backends, device) for device in ("cpu", "gpu"))
    keras = load(folder, backends, "cpu", "-keras")
    badges = dict(
        zip(BADGES, (badge(cpu, wanted, "backend parity"), gpu_badge(gpu, wanted)), strict=True)
    )
    (folder / "matrix.md").write_text(table(cpu, keras), "utf-8")
    (folder / "matrix.html").write_text(page(cpu, keras, badges.values()), "utf-8")
    (folder / "keras-failures.md").write_text(
        "\n".join(f"## {name}\n\n{text}" for name, text in failures(keras).items()), "utf-8"
    )
    for name, endpoint in badges.items():
        (folder / name).write_text(json.dumps(endpoint) + "\n", "utf-8")
    print(table(cpu, keras))
    print("; ".join(f"{e['label']}: {e['message']}" for e in badges.values()))
    colors = {endpoint["color"] for endpoint in badges.values()}
    if "--write" in arguments:
        wrong = problem(keras, wanted)
        if wrong or colors & {"red", "orange"}:
            print(f"Nothing is written: {wrong or 'a badge is incomplete'}")
            return 1
        write(root, cpu, keras, badges)
    # A user with changes, or without git, may run the suite; what is published must be clean.
    strict = os.environ.get("CI") == "true"
    return int("red" in colors or (strict and "orange" in colors))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
