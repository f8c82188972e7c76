"""`keras-norms conformance`: run the suite, print what it found, and say so by the exit code."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import runpy
import subprocess
from collections import Counter

import keras
from keras import ops
from rich.console import Console
from rich.table import Table

import keras_norms
from keras_norms.testing import backends, runner
from keras_norms.testing.cases import BrokenCases, load_cases, packaged_cases

CONFORMS, FAILS, BROKEN, NO_DEVICE, NOTHING_RAN = 0, 1, 3, 4, 5


def run(options):
    """The exit code of one run, whose report is printed and, if asked for, written as JSON."""
    console = Console(soft_wrap=True)
    backend = keras.backend.backend()
    if backend != (options.backend or backend):
        console.print(f"Asked for {options.backend}, but Keras runs on {backend}.")
        return BROKEN
    device = backends.device_of(ops.zeros(()))
    if device != options.device:
        console.print(f"Asked for {options.device}, but {backend} computes on the {device}.")
        return NO_DEVICE
    try:
        cases = load_cases(options.cases or packaged_cases())
        controls = load_controls(options.controls) if options.controls else []
    except BrokenCases as error:
        console.print(str(error))
        return BROKEN
    cases = [c for c in cases if all(w in c.words for w in options.words.lower().split())]
    if not cases:
        console.print(f"No case has all the words {options.words!r}.")
        return NOTHING_RAN

    console.print(f"{len(cases)} cases on {backend}, {device}, Keras {keras.__version__}")
    outcomes = runner.run(cases, device=device)
    killed = [runner.run_control(control, cases, device=device) for control in controls]
    # A part of the cases need not reach every control.
    killed = [k for k in killed if k.outcomes]
    report = _report(options, outcomes, killed)
    _print(console, outcomes, killed, report)
    if options.report:
        path = pathlib.Path(options.report)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    if any(not k.dead for k in killed) and not options.words:
        return BROKEN
    counts = report["counts"]
    if not counts["passed"] + counts["failed"]:
        return NOTHING_RAN
    return FAILS if counts["failed"] else CONFORMS


def load_controls(folder):
    """The controls of every module in `folder`, each a list named CONTROLS.

    Raises:
        BrokenCases: If there are none.
    """
    controls = []
    for path in sorted(pathlib.Path(folder).glob("[!_]*.py")):
        controls += runpy.run_path(str(path))["CONTROLS"]
    if not controls:
        raise BrokenCases(f"No controls in {folder}")
    return controls


def _report(options, outcomes, killed):
    """All that a reader needs to believe a run, and to repeat it."""
    counts = Counter("failed" if o.status == "crashed" else o.status for o in outcomes)
    return {
        "backend": keras.backend.backend(),
        "device": options.device,
        "tf32_override": os.environ.get("NVIDIA_TF32_OVERRIDE"),
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("keras", "numpy", keras.backend.backend())
        }
        | {"keras_norms": keras_norms.__version__, "python": platform.python_version()},
        "words": options.words,
        "counts": {
            "planned": len(outcomes),
            "passed": counts["passed"],
            "failed": counts["failed"],
            "not applicable": counts["not applicable"],
        },
        "controls": {k.control.name: {"dead": k.dead, "killers": k.killers} for k in killed},
        "cases": [
            {
                "id": o.case.id,
                "requirement": o.case.requirement,
                "status": o.status,
                "message": o.message,
                "measures": [vars(m) for m in o.measures],
            }
            for o in outcomes
        ],
    }


def _commit():
    """The commit of the folder that the command runs in, or None outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty"],
            capture_output=True,
            check=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _print(console, outcomes, killed, report):
    for outcome in outcomes:
        if outcome.status in ("failed", "crashed"):
            case = outcome.case
            console.print(f"[red]{outcome.status.upper()}[/] {case.id}: {outcome.message}")
            console.print(f"  {case.requirement} {case.title}; hunts {case.hunts}")
            console.print(f"  config {case.config}, inputs {case.inputs}")

    table = Table("target", "cases", "passed", "worst error, ulp", "of its budget", box=None)
    for target in dict.fromkeys(o.case.target for o in outcomes):
        mine = [o for o in outcomes if o.case.target == target and o.status != "not applicable"]
        worst = max((m for o in mine for m in o.measures if m.budget), key=_used, default=None)
        table.add_row(
            target,
            str(len(mine)),
            str(sum(o.status == "passed" for o in mine)),
            f"{worst.score:.2f}" if worst else "0, exact",
            f"{_used(worst):.0%}" if worst else "",
        )
    console.print(table)

    if killed:
        console.print("Controls, known-bad implementations that must fail:")
    for k in killed:
        verdict = f"failed {len(k.killers)} of {len(k.outcomes)}" if k.dead else "[red]SURVIVED[/]"
        console.print(f"  {k.control.name}: {verdict}")
    for reason in sorted({o.message for o in outcomes if o.status == "not applicable"}):
        console.print(f"Not applicable: {reason}")
    dead = sum(k.dead for k in killed)
    console.print(f"controls: {len(killed)} = {dead} dead + {len(killed) - dead} alive")
    counts = report["counts"]
    console.print(
        f"cases: {counts['planned']} planned = {counts['passed']} passed "
        f"+ {counts['failed']} failed + {counts['not applicable']} not applicable"
    )
    console.print(f"{counts['passed']} passed, {counts['failed']} failed")


def _used(measure):
    """The part of its budget that a measure takes."""
    return measure.score / measure.budget
