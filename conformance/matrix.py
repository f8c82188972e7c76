"""The matrix: what the reports of all backends say, as tables and as badges.

    python -m conformance.matrix FOLDER BACKEND [BACKEND ...]

Reads FOLDER/<backend>-<device>.json, and -keras.json beside them for Keras' own classes, and writes
matrix.md, matrix.html, badge.json and badge-gpu.json there, the last two as Shields endpoints. A
missing CPU report, one of another commit or of a part of the cases makes the badge red and the exit
code 1. The GPU badge stays grey until a GPU ran. Standard library only.
"""

import collections
import html
import json
import pathlib
import subprocess
import sys


def load(folder, backends, device, suffix=""):
    """The reports of a device by backend. One that cannot be read counts as missing."""
    reports = {}
    for backend in backends:
        try:
            text = (folder / f"{backend}-{device}{suffix}.json").read_text("utf-8")
            reports[backend] = json.loads(text)
        except (OSError, ValueError):
            continue
    return reports


def current_commit():
    """The commit that reports must be of, or None outside a repository."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def problem(reports, backends, commit=None):
    """Why the reports cannot stand for the project, or None."""
    missing = [b for b in backends if b not in reports]
    if missing:
        return f"no report of {', '.join(missing)}"
    commits = {r["commit"] for r in reports.values()}
    if len(commits) > 1:
        return "reports of several commits"
    if commit is not None and commits != {commit}:
        return "reports of another commit"
    if any(r["words"] for r in reports.values()):
        return "a part of the cases"
    if len({r["counts"]["planned"] for r in reports.values()}) > 1:
        return "different cases"
    return None


def badge(reports, backends, label, commit=None):
    """A Shields endpoint: counts, or what is wrong."""
    wrong = problem(reports, backends, commit)
    counts = {b: r["counts"] for b, r in reports.items()}
    alive = sum(not c["dead"] for r in reports.values() for c in r["controls"].values())
    if wrong:
        message, color = f"incomplete: {wrong}", "red"
    elif alive or any(c["failed"] for c in counts.values()):
        failed = sum(c["failed"] for c in counts.values())
        message, color = f"{failed} failed, {alive} controls alive", "red"
    else:
        message = ", ".join(f"{b} {c['passed']}" for b, c in counts.items())
        color = "brightgreen"
    return {"schemaVersion": 1, "label": label, "message": message, "color": color}


def gpu_badge(reports, backends, commit=None):
    """The same for the GPU, where nothing is wrong with no report at all."""
    if not reports:
        endpoint = {"message": "not run", "color": "lightgrey"}
        return {"schemaVersion": 1, "label": "GPU parity"} | endpoint
    return badge(reports, backends, "GPU parity", commit)


def _cell(cases):
    """Passed of run, with the expected failures."""
    counts = collections.Counter(case["status"] for case in cases)
    run = len(cases) - counts["not applicable"]
    if not run:
        return "-"
    expected = counts["expected failure"]
    return f"{counts['passed']} of {run}" + (f", {expected} expected" if expected else "")


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
    return "\n".join(lines) + "\n"


_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; }
table { border-collapse: collapse; }
td, th { border: 1px solid #ccc; padding: .2em .6em; text-align: left; vertical-align: top; }
.good { background: #e6f4e6; } .bad { background: #f8d7d7; } .none { color: #888; }
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
    good = not any(case["status"] == "failed" for case in cases)
    items = []
    for case in cases:
        scores = ", ".join(
            f"{m['what']} {m['score']:.3g} of {m['budget']:.3g} ulp" for m in case["measures"]
        )
        words = f"{case['status']}: {case['title']}. {scores} {case['message']}"
        command = f"{reproduce} -k {case['id']}"
        items.append(f"<li>{html.escape(words)}<br><code>{html.escape(command)}</code></li>")
    return (
        f'<td class="{"good" if good else "bad"}"><details><summary>{text}</summary>'
        f"<ul>{''.join(items)}</ul></details></td>"
    )


def failures(keras):
    """Markdown: what Keras' own classes fail, by requirement and kind, each with a reproduction."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for backend, report in keras.items():
        for case in report["cases"]:
            if case["status"] == "failed":
                kind = case["id"].split("-")[1]
                found[case["requirement"], case["target"], kind][backend].append(case)
    lines = ["| requirement | kind | failing cases | one of them | found there | reproduce |"]
    lines.append("|" + "---|" * 6)
    for (requirement, target, kind), by_backend in sorted(found.items()):
        backend, cases = next(iter(by_backend.items()))
        case = cases[0]
        counts = ", ".join(f"{b} {len(cases)}" for b, cases in by_backend.items())
        message = case["message"].splitlines()[0][:120].replace("|", "\\|")
        lines.append(
            f"| {requirement} | {kind} | {counts} | {target}: {case['title']} | {message} "
            f"| `{keras[backend]['reproduce']} -k {case['id']}` |"
        )
    return "\n".join(lines) + "\n"


def main(folder, *backends):
    folder = pathlib.Path(folder)
    cpu, gpu = (load(folder, backends, device) for device in ("cpu", "gpu"))
    keras = load(folder, backends, "cpu", "-keras")
    commit = current_commit()
    badges = {
        "badge.json": badge(cpu, backends, "backend parity", commit),
        "badge-gpu.json": gpu_badge(gpu, backends, commit),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.md").write_text(table(cpu, keras), "utf-8")
    (folder / "matrix.html").write_text(page(cpu, keras, badges.values()), "utf-8")
    (folder / "keras-failures.md").write_text(failures(keras), "utf-8")
    for name, endpoint in badges.items():
        (folder / name).write_text(json.dumps(endpoint) + "\n", "utf-8")
    print(table(cpu, keras))
    print("; ".join(f"{e['label']}: {e['message']}" for e in badges.values()))
    return int(any(e["color"] == "red" for e in badges.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
