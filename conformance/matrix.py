"""The matrix: what the reports of all backends say, as a table and as badges.

    python -m conformance.matrix FOLDER BACKEND [BACKEND ...]

Reads FOLDER/<backend>-<device>.json, and writes matrix.md, badge.json and
badge-gpu.json beside them, the last two as Shields endpoints. A missing CPU report, one of another
commit or of a part of the cases makes the badge red and the exit code 1. The GPU badge stays grey
until a GPU ran. Standard library only.
"""

import json
import pathlib
import sys


def load(folder, backends, device):
    """The reports of a device by backend. One that cannot be read counts as missing."""
    reports = {}
    for backend in backends:
        try:
            text = (folder / f"{backend}-{device}.json").read_text("utf-8")
            reports[backend] = json.loads(text)
        except (OSError, ValueError):
            continue
    return reports


def problem(reports, backends):
    """Why the reports cannot stand for the project, or None."""
    missing = [b for b in backends if b not in reports]
    if missing:
        return f"no report of {', '.join(missing)}"
    if len({r["commit"] for r in reports.values()}) > 1:
        return "reports of several commits"
    if any(r["words"] for r in reports.values()):
        return "a part of the cases"
    if len({r["counts"]["planned"] for r in reports.values()}) > 1:
        return "different cases"
    return None


def badge(reports, backends, label):
    """A Shields endpoint: counts, or what is wrong."""
    wrong = problem(reports, backends)
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


def gpu_badge(reports, backends):
    """The same for the GPU, where nothing is wrong with no report at all."""
    if not reports:
        return {
            "schemaVersion": 1,
            "label": "GPU parity",
            "message": "not run",
            "color": "lightgrey",
        }
    return badge(reports, backends, "GPU parity")


def table(reports):
    """Markdown: one line per requirement, one column per backend, passed of run in each cell."""
    names = [f"{b} {r['versions'][b]}" for b, r in reports.items()]
    lines = ["| requirement | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    requirements = {c["requirement"] for r in reports.values() for c in r["cases"]}
    for requirement in sorted(requirements):
        cells = []
        for report in reports.values():
            statuses = [c["status"] for c in report["cases"] if c["requirement"] == requirement]
            run = len(statuses) - statuses.count("not applicable")
            cells.append(f"{statuses.count('passed')} of {run}" if run else "-")
        lines.append(f"| {requirement} | " + " | ".join(cells) + " |")
    dead = [
        f"{sum(c['dead'] for c in r['controls'].values())} of {len(r['controls'])}"
        for r in reports.values()
    ]
    lines.append("| controls that fail, as they must | " + " | ".join(dead) + " |")
    return "\n".join(lines) + "\n"


def main(folder, *backends):
    folder = pathlib.Path(folder)
    cpu, gpu = (load(folder, backends, device) for device in ("cpu", "gpu"))
    badges = {
        "badge.json": badge(cpu, backends, "backend parity"),
        "badge-gpu.json": gpu_badge(gpu, backends),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.md").write_text(table(cpu), "utf-8")
    for name, endpoint in badges.items():
        (folder / name).write_text(json.dumps(endpoint) + "\n", "utf-8")
    print(table(cpu))
    print("; ".join(f"{e['label']}: {e['message']}" for e in badges.values()))
    return int(any(e["color"] == "red" for e in badges.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
