"""`keras-norms conformance`: run the suite, print what it found, and say so by the exit code."""

import importlib.util
import json
import pathlib
import sys

import keras
from keras import ops
from rich.console import Console
from rich.table import Table

from keras_norms.testing import backends, runner
from keras_norms.testing.cases import BrokenCases, load_cases, packaged_cases
from keras_norms.testing.expected import load_expected
from keras_norms.testing.harness import KERAS, OURS
from keras_norms.testing.report import make_report, unused_budgets, worst_scores

CONFORMS, FAILS, USAGE, BROKEN, NO_DEVICE, NOTHING_RAN = range(6)
TARGETS = {t.name: t for t in (OURS, KERAS)}


def run(options):
    """The exit code of one run, whose report is printed and, if asked for, written as JSON."""
    console = Console(soft_wrap=True, highlight=False)
    line = _usage(options)
    if line:
        console.print(line)
        return USAGE
    backend = keras.backend.backend()
    wrong = trouble(options.backend or backend, options.device)
    if wrong:
        code, message = wrong
        console.print(message)
        return code
    if ":" in options.target:
        from keras_norms.testing import laws

        return laws.run(options.target, console)
    target = TARGETS[options.target]
    ours = target is OURS
    try:
        folder = pathlib.Path(options.cases or packaged_cases())
        cases = load_cases(folder)
        known = folder.parent / "expected_failures.toml"
        expected = {}
        if ours and (known.is_file() or not options.cases):
            expected = load_expected(known, cases, backend)
        controls = load_controls(options.controls) if options.controls and ours else []
    except BrokenCases as error:
        console.print(str(error))
        return BROKEN
    cases = [c for c in cases if all(w in c.words for w in options.words.lower().split())]
    if not cases:
        console.print(f"No case has all the words {options.words!r}.")
        return NOTHING_RAN

    console.print(
        f"{len(cases)} cases for {target.name} on {backend}, {options.device}, "
        f"Keras {keras.__version__}"
    )
    outcomes = runner.run(cases, target=target, expected=expected, device=options.device)
    killed, noticed = [], {}
    for control in controls:
        if isinstance(control, runner.Situation):
            noticed[control.name] = control.notices(cases, options.device)
        else:
            killed.append(runner.run_control(control, cases, device=options.device))
    # A part of the cases need not reach every control.
    killed = [k for k in killed if k.outcomes]
    report = make_report(options, outcomes, killed, noticed)
    if not options.quiet:
        _print(console, outcomes, killed, noticed, report)
    _print_counts(console, report)
    if options.report:
        path = pathlib.Path(options.report)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    alive = [] if options.words else [k for k in killed if not k.dead]
    if alive or not all(noticed.values()):
        return BROKEN
    counts = report["counts"]
    if not counts["passed"] + counts["failed"] + counts["expected failures"]:
        return NOTHING_RAN
    return FAILS if counts["failed"] else CONFORMS


def _usage(options):
    """What is wrong with the options, which would be ignored otherwise, or None."""
    if ":" in options.target:
        unused: tuple[str, ...] = ("cases", "controls", "report", "words", "quiet")
    elif options.target not in TARGETS:
        return f"--target is {', '.join(TARGETS)} or package:name, not {options.target}."
    else:
        unused = ("controls",) if options.target != OURS.name else ()
    given = [name for name in unused if getattr(options, name)]
    if given:
        return f"--target {options.target} has no use for: {', '.join(given)}."
    return None


def trouble(backend, device):
    """The exit code and a line where Keras does not run as was asked for, else None."""
    found = keras.backend.backend()
    if found != backend:
        return BROKEN, f"Asked for {backend}, but Keras runs on {found}."
    computes_on = backends.device_of(ops.zeros(()))
    if computes_on != device:
        return NO_DEVICE, f"Asked for {device}, but {found} computes on the {computes_on}."
    return None


def load_controls(folder):
    """The controls of every module in `folder`, each a list named CONTROLS.

    Raises:
        BrokenCases: If there are none.
    """
    controls = []
    for path in sorted(pathlib.Path(folder).glob("[!_]*.py")):
        spec = importlib.util.spec_from_file_location(f"controls_of_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None  # a file always has one
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # TorchDynamo looks for the module of what it compiles
        spec.loader.exec_module(module)
        controls += module.CONTROLS
    if not controls:
        raise BrokenCases(f"No controls in {folder}")
    return controls


def _print(console, outcomes, killed, noticed, report):
    for outcome in outcomes:
        if outcome.status in ("failed", "crashed"):
            case = outcome.case
            console.print(f"[red]{outcome.status.upper()}[/] {case.id}: ", end="")
            console.print(outcome.message, markup=False)
            console.print(f"  {case.requirement} {case.title}; hunts {case.hunts}", markup=False)
            console.print(f"  {report['reproduce']} -k {case.id}", markup=False)
    for outcome in outcomes:
        if outcome.status == "expected failure":
            console.print(f"Expected failure: {outcome.case.id}: {outcome.message}", markup=False)

    table = Table(
        "target", "dtype", "cases", "passed", "worst error, ulp", "of its budget", box=None
    )
    for row in worst_scores(outcomes):
        worst = "0, exact" if row["budget"] == 0 else f"{row['score']:.2f}"
        used = f"{row['score'] / row['budget']:.0%}" if row["budget"] else ""
        table.add_row(
            row["target"], row["dtype"], str(row["cases"]), str(row["passed"]), worst, used
        )
    console.print(table)
    unused = unused_budgets(outcomes)
    if unused:
        console.print(f"To review, budgets of which an eighth is never used: {', '.join(unused)}")

    if killed:
        console.print("Controls, known-bad implementations that must fail:")
    for k in killed:
        verdict = f"failed {len(k.killers)} of {len(k.outcomes)}" if k.dead else "[red]SURVIVED[/]"
        console.print(f"  {k.control.name}: {verdict}")
        for o in k.outcomes if not k.dead else ():
            if o.status == "crashed":
                console.print(f"    crashed {o.case.id}: {o.message}", markup=False)
    for name, was_noticed in noticed.items():
        console.print(f"  {name}: {'noticed' if was_noticed else '[red]NOT NOTICED[/]'}")
    for id in report["redundant"]:
        console.print(f"Covers nothing alone: {id}")
    reasons = sorted({o.message for o in outcomes if o.status == "not applicable"})
    for reason in reasons[:10]:
        console.print(f"Not applicable: {reason}", markup=False)
    if len(reasons) > 10:
        console.print(f"Not applicable for {len(reasons) - 10} reasons more, in the report")


def _print_counts(console, report):
    if report["controls"]:
        dead = sum(control["dead"] for control in report["controls"].values())
        alive = len(report["controls"]) - dead
        console.print(f"controls: {len(report['controls'])} = {dead} dead + {alive} alive")
    counts = report["counts"]
    console.print(
        f"cases: {counts['planned']} planned = {counts['passed']} passed "
        f"+ {counts['failed']} failed + {counts['expected failures']} expected failures "
        f"+ {counts['not applicable']} not applicable"
    )
    console.print(f"{counts['passed']} passed, {counts['failed']} failed")
