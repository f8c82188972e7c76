"""Reports of runs: reading them, and judging whether they stand for the project."""

import collections
import dataclasses
import json

from keras_norms.testing.commit import is_clean
from keras_norms.testing.manifest import Manifest


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
