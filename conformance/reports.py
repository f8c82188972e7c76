"""Reports of runs: reading them, and judging whether they stand for the project."""

import collections
import dataclasses
import json
from collections.abc import Mapping

from keras_norms.testing.commit import is_clean
from keras_norms.testing.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What reports must be of, to stand for the project.

    Attributes:
        columns: The columns of the matrix, such as "jax", and "jax-keras3.13" for an older Keras.
        commit: The commit of the package.
        manifest: The cases and controls.
        needs: What a case needs that not every backend has, by its id: its dtype, and its way of
            training or None.
    """

    columns: list[str]
    commit: str | None
    manifest: Manifest
    needs: Mapping[str, tuple[str, str | None]] = dataclasses.field(default_factory=dict)


# What cannot run with one device. Everything else must not be left out.
_SEVERAL_DEVICES = {"data_parallel", "model_parallel"}
_LEFT_OUT = {
    "tensorflow": _SEVERAL_DEVICES | {"torch_optimizer", "stateless_apply"},
    "torch": _SEVERAL_DEVICES | {"stateless_apply", "fit_compiled"},
    "jax": _SEVERAL_DEVICES | {"torch_optimizer", "float64"},
}
# What an older Keras may lack.
_OF_NEWER_KERAS = {"optimizer", "multi_optimizer"}
# What must run on a mesh. What else does is said in the documentation of the suite.
_ON_A_MESH = {
    "tensorflow": {"data_parallel"},
    "torch": {"data_parallel"},
    "jax": _SEVERAL_DEVICES,
}


def load(folder, columns, device, suffix=""):
    """The reports of a device by column. One that cannot be read counts as missing."""
    reports = {}
    for column in columns:
        try:
            text = (folder / f"{column}-{device}{suffix}.json").read_text("utf-8")
            reports[column] = json.loads(text, object_hook=_with_infinity)
        except (OSError, ValueError):
            continue
    return reports


def _with_infinity(data):
    """JSON has no infinity; a report writes it as a word."""
    return data | {k: float(v) for k, v in data.items() if k in ("score", "relative")}


def problem(reports, wanted, device="cpu", target="keras_norms"):
    """Why the reports of a package cannot stand for the project, or None."""
    if not wanted.columns:
        return "no column is named"
    missing = [column for column in wanted.columns if column not in reports]
    if missing:
        return f"no report of {', '.join(missing)}"
    every = list(reports.values())
    if any((r["backend"], r["device"]) != (_backend(c), device) for c, r in reports.items()):
        return "a report of another backend or device"
    if any(r.get("target", target) != target for r in every):
        return f"a report of another package than {target}"
    commits = {r["commit"] for r in every}
    if len(commits) > 1:
        return "reports of several commits"
    if commits != {wanted.commit}:
        return "reports of another commit"
    if any(not _is_of_its_keras(column, report) for column, report in reports.items()):
        return "a report of another version of Keras"
    if len({r["versions"]["keras"] for c, r in reports.items() if c == _backend(c)}) > 1:
        return "reports of several versions of Keras"
    if any(r["words"] for r in every):
        return "a part of the cases"
    planned = wanted.manifest.number_of_cases
    if any(r["manifest"] != wanted.manifest.digest or len(r["cases"]) != planned for r in every):
        return "other cases than those of the manifest"
    if any(r["counts"] != _counts(r["cases"]) for r in every):
        return "counts that are not those of the cases"
    for column, report in reports.items():
        if target == "keras_norms":
            lost = [c["id"] for c in report["cases"] if _is_lost(c, column, device, wanted)]
            if lost:
                return f"{len(lost)} cases left out on {column} that must run, as {lost[0]}"
    idle = [column for column, r in reports.items() if not r["counts"]["passed"]]
    if idle:
        return f"no case passed on {', '.join(idle)}"
    return None


def _is_lost(case, column, device, wanted):
    """Whether a case was left out although the backend, its Keras and the device can run it."""
    needed = wanted.needs.get(case.get("id"))
    if case["status"] != "not applicable" or needed is None:
        return False
    backend = _backend(column)
    if device == "mesh":
        return not _ON_A_MESH[backend].isdisjoint(needed)
    older = _OF_NEWER_KERAS if column != backend else set()
    return (_LEFT_OUT[backend] | older).isdisjoint(needed)


def _backend(column):
    return column.partition("-")[0]


def _is_of_its_keras(column, report):
    """Whether a report is of the older Keras that a column names, if it names one."""
    older = column.partition("-keras")[2]
    return not older or report["versions"]["keras"].startswith(f"{older}.")


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
    """A Shields endpoint: counts, or what is wrong. On a mesh, no controls run."""
    wrong = problem(reports, wanted, device)
    counts = {column: r["counts"] for column, r in reports.items()}
    controls = [r["controls"] for r in reports.values()]
    alive = sum(not c["dead"] for each in controls for c in each.values())
    if wrong:
        message, color = f"incomplete: {wrong}", "red"
    elif device != "mesh" and any(
        each.keys() != wanted.manifest.names_of_controls for each in controls
    ):
        message, color = "incomplete: other controls than those of the manifest", "red"
    elif alive or any(c["failed"] for c in counts.values()):
        failed = sum(c["failed"] for c in counts.values())
        message, color = f"{failed} failed, {alive} controls alive", "red"
    elif not is_clean(wanted.commit):
        why = "the tree has changes" if wanted.commit else "the commit is not known"
        message, color = f"incomplete: {why}", "orange"
    else:
        message = ", ".join(f"{column} {c['passed']}" for column, c in counts.items())
        color = "brightgreen"
    return {"schemaVersion": 1, "label": label, "message": message, "color": color}


def badge_if_run(reports, wanted, label, device="cpu", must_have=False):
    """The same for what is not always run: unless it must have been, no report at all is grey."""
    if not reports and not must_have:
        return {"schemaVersion": 1, "label": label, "message": "not run", "color": "lightgrey"}
    return badge(reports, wanted, label, device)
