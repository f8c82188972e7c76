"""The report of a run: all that a reader needs to believe it, and to repeat it."""

import datetime
import importlib
import importlib.metadata
import math
import os
import platform
import shlex
from collections import Counter

import keras

import keras_norms
from keras_norms.testing.commit import package_commit
from keras_norms.testing.coverage import redundant


def _version(name):
    """The version of a package, which may be installed under another name, as tensorflow-cpu."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return importlib.import_module(name).__version__


def make_report(options, target, manifest, outcomes, killed, noticed):
    """The report as a dict that JSON can hold.

    Args:
        options: The command's options.
        target: The name of the package under test.
        manifest: The manifest of the cases, or None.
        outcomes: The outcomes of the cases.
        killed: The outcomes of the mutants.
        noticed: Whether each trouble was noticed, by its name.
    """
    backend = keras.backend.backend()
    counts = Counter(map(_status, outcomes))
    command = f"keras-norms conformance --backend {backend}"
    command += f" --device {options.device}" if options.device != "cpu" else ""
    command += f" --cases {shlex.quote(options.cases)}" if options.cases else ""
    command += f" --target {target}" if target != "keras_norms" else ""
    return {
        "target": target,
        "backend": backend,
        "device": options.device,
        "tf32_override": os.environ.get("NVIDIA_TF32_OVERRIDE"),
        "commit": package_commit(),
        "manifest": manifest and manifest.digest,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: _version(name) for name in ("keras", "numpy", backend)}
        | {"keras_norms": keras_norms.__version__, "python": platform.python_version()},
        "words": options.words,
        "reproduce": command,
        "counts": {
            "planned": len(outcomes),
            "passed": counts["passed"],
            "failed": counts["failed"],
            "expected failures": counts["expected failure"],
            "not applicable": counts["not applicable"],
        },
        "worst": worst_scores(outcomes),
        "controls": {k.mutant.name: {"dead": k.dead, "killers": k.killers} for k in killed}
        | {name: {"dead": was_noticed, "killers": []} for name, was_noticed in noticed.items()},
        "redundant": redundant([o.case for o in outcomes], killed) if options.all_kills else [],
        "cases": [
            {
                "id": o.case.id,
                "target": o.case.target,
                "kind": o.case.kind,
                "requirement": o.case.requirement,
                "title": o.case.title,
                "status": _status(o),
                "severity": o.severity,
                "message": o.message,
                "measures": [{k: _in_json(v) for k, v in vars(m).items()} for m in o.measures],
            }
            for o in outcomes
        ],
    }


def _status(outcome):
    """The status in the report, in which a crash of the code under test is a failure."""
    return "failed" if outcome.status == "crashed" else outcome.status


def worst_scores(outcomes):
    """How many cases ran for each target and dtype, and the measure nearest to its budget."""
    rows = []
    ran = [o for o in outcomes if o.status in ("passed", "failed")]
    for target, dtype in dict.fromkeys((o.case.target, o.case.dtype) for o in ran):
        mine = [o for o in ran if (o.case.target, o.case.dtype) == (target, dtype)]
        worst = max((m for o in mine for m in o.measures if m.budget), key=_used, default=None)
        rows.append(
            {
                "target": target,
                "dtype": dtype,
                "cases": len(mine),
                "passed": sum(o.status == "passed" for o in mine),
                "score": _in_json(worst.score) if worst else 0.0,
                "budget": worst.budget if worst else 0.0,
            }
        )
    return rows


def _in_json(value):
    """A value that JSON can hold: it has no infinity, which becomes a word that `float` reads."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def unused_budgets(outcomes):
    """Requirements whose largest used part of a budget above 4 ulp stays below an eighth."""
    used: dict[str, float] = {}
    for o in outcomes:
        for m in o.measures:
            if m.budget > 4:
                known = used.get(o.case.requirement, 0.0)
                used[o.case.requirement] = max(known, _used(m))
    return sorted(requirement for requirement, part in used.items() if part < 1 / 8)


def _used(measure):
    """The part of its budget that a measure takes."""
    return measure.score / measure.budget
