"""`keras-norms conformance` and `laws`: run them, print what they found, and give the exit code."""

import json
import os
import pathlib
import sys

import keras
from keras import ops
from rich.console import Console

from keras_norms.startup import BACKENDS
from keras_norms.testing import backends, runner
from keras_norms.testing.cases import check_schema, packaged_cases
from keras_norms.testing.exit_codes import (
    BROKEN,
    CONFORMS,
    FAILS,
    NO_DEVICE,
    NOTHING_RAN,
    USAGE,
)
from keras_norms.testing.expected import load_expected
from keras_norms.testing.harness import KERAS, OURS
from keras_norms.testing.manifest import BrokenCases, manifest_beside
from keras_norms.testing.processes import PACKAGES, BrokenRun, Suite
from keras_norms.testing.report import make_report
from keras_norms.testing.tables import print_counts, print_run


def run(options):
    """The exit code of one run, whose report is printed and, if asked for, written as JSON."""
    console = _console()
    line = _usage(options)
    if line:
        console.print(line, markup=False)
        return USAGE
    for option, report in _reports(options).items():
        try:
            report.parent.mkdir(parents=True, exist_ok=True)
            # Before the cases run, which takes minutes. One of an earlier run must not stand for
            # this one, but no link or device is removed.
            report.write_text("", "utf-8")
            if report.is_file() and not report.is_symlink():
                report.unlink()
        except OSError as error:
            console.print(f"{option} cannot be written: {error}", markup=False)
            return USAGE
    backend = keras.backend.backend()
    wrong = trouble(options.backend or backend, options.device)
    if wrong:
        code, message = wrong
        console.print(message)
        return code
    sys.path.insert(0, os.getcwd())  # where cases of the user's own may find their targets
    if ":" in options.target:
        from keras_norms.testing.laws import command

        return command.run(options.target, console)
    try:
        return _run_suite(options, backend, console)
    except (BrokenCases, BrokenRun) as error:
        console.print(str(error), markup=False)
        return BROKEN


def run_laws(options):
    """The exit code of the laws on a target of the user's."""
    console = _console()
    sys.path.insert(0, os.getcwd())
    if ":" not in options.target:
        console.print(f"The target is package:name, not {options.target}.", markup=False)
        return USAGE
    wrong = trouble(options.backend or keras.backend.backend(), options.device)
    if wrong:
        code, message = wrong
        console.print(message)
        return code
    from keras_norms.testing.laws import command

    return command.run(options.target, console, options.words, options.shapes)


def _console():
    return Console(soft_wrap=True, highlight=False, emoji=False)


def _run_suite(options, backend, console):
    folder = pathlib.Path(options.cases or packaged_cases())
    manifest = manifest_beside(folder)
    if manifest:
        manifest.check_cases(folder)
    elif options.cases:  # of the user's own
        check_schema(folder)
    else:
        raise BrokenCases(f"There is no manifest beside {folder}")
    packages = [options.target] + ([KERAS.name] if options.keras_report else [])
    suite = Suite(
        packages,
        cases=folder,
        controls=options.controls,
        device=options.device,
        words=options.words,
        all_kills=options.all_kills,
    )
    suite.check_targets()
    listed = manifest_beside(options.controls) if options.controls else None
    if listed:
        listed.check_controls(options.controls, suite.controls)
    known = folder.resolve().parent / "expected_failures.toml"
    expected = {}
    # They are about training on one device.
    is_due = options.target == OURS.name and options.device != "mesh"
    if is_due and (known.is_file() or not options.cases):
        expected = load_expected(known, suite.all_cases, backend, keras.__version__)
    if not suite.cases:
        console.print(f"No case has all the words {options.words!r}.", markup=False)
        return NOTHING_RAN

    console.print(
        f"{len(suite.cases)} cases for {options.target} on {backend}, {options.device}, "
        f"Keras {keras.__version__}"
    )
    found, killed = suite.run(options.jobs)
    outcomes = runner.as_expected(found[options.target], expected)
    noticed = {t.name: t.notices(suite.all_cases, options.device) for t in suite.troubles}
    report = make_report(options, options.target, manifest, outcomes, killed, noticed)
    if not options.quiet:
        print_run(console, outcomes, killed, noticed, report)
    print_counts(console, report)
    if options.controls and not report["controls"]:
        console.print(f"No control of {len(suite.controls)} is about these cases.")
    if options.report:
        _write(report, options.report)
    if options.keras_report:
        # What Keras' own classes fail is shown in the matrix; it does not fail this run.
        theirs = make_report(options, KERAS.name, manifest, found[KERAS.name], [], {})
        console.print("Keras' own classes:")
        print_counts(console, theirs)
        _write(theirs, options.keras_report)
    if not all(k.dead for k in killed) or not all(noticed.values()):
        return BROKEN
    counts = report["counts"]
    if not counts["passed"] + counts["failed"] + counts["expected failures"]:
        return NOTHING_RAN
    return FAILS if counts["failed"] else CONFORMS


def _write(report, name):
    pathlib.Path(name).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", "utf-8")


_FOR_CASES = ("cases", "controls", "all_kills", "report", "keras_report", "words", "quiet")
_PATHS = {"cases": "folder", "controls": "folder", "report": "file", "keras_report": "file"}
_OPTIONS = {"words": "-k", "keras_report": "--keras-report", "all_kills": "--all-kills"}


def _usage(options):
    """What is wrong with the options, which would be ignored otherwise, or None."""
    if ":" in options.target:
        unused: tuple[str, ...] = _FOR_CASES
    elif options.target not in PACKAGES:
        return f"--target is {', '.join(PACKAGES)} or package:name, not {options.target}."
    else:
        unused = ("controls", "keras_report") if options.target != OURS.name else ()
    given = [_OPTIONS.get(name, f"--{name}") for name in unused if getattr(options, name)]
    if ":" in options.target and options.jobs != 1:
        given.append("--jobs")
    if ":" in options.target and options.device == "mesh":
        given.append("--device mesh")
    if given:
        return f"--target {options.target} has no use for: {', '.join(given)}."
    if options.device == "mesh" and options.controls:
        return "--device mesh has no use for: --controls."
    if options.all_kills and not options.controls:
        return "--all-kills is about controls, and needs --controls."
    for option, what in _PATHS.items():
        if getattr(options, option) == "":  # as of a variable of a shell that is not set
            name = option.replace("_", "-")
            return f"--{name} must be a {what}. Received an empty text."
    reports = _reports(options)
    for option, path in reports.items():
        if path.is_dir() or any(parent.is_file() for parent in path.parents):
            return f"{option} must be a file in a folder. Received: {path}"
        if options.cases and path.resolve().is_relative_to(pathlib.Path(options.cases).resolve()):
            return f"{option} must not lie among the cases. Received: {path}"
    if len({path.absolute() for path in reports.values()}) < len(reports):
        return f"--report and --keras-report must be two files. Received: {options.report}"
    return None


def _reports(options):
    """The paths of the reports that are asked for, by their options."""
    given = {"--report": options.report, "--keras-report": options.keras_report}
    return {option: pathlib.Path(path) for option, path in given.items() if path}


def trouble(backend, device):
    """The exit code and a line where Keras does not run as was asked for, else None."""
    found = keras.backend.backend()
    if found not in BACKENDS:
        return USAGE, f"The suite runs on {', '.join(BACKENDS)}. Received: {found}"
    if found != backend:
        return BROKEN, f"Asked for {backend}, but Keras runs on {found}."
    if device == "mesh":
        is_one = backends.devices() < 2
        return (NO_DEVICE, f"Asked for a mesh, but {found} has one device.") if is_one else None
    computes_on = backends.device_of(ops.zeros((2,)))
    if computes_on != device:
        return NO_DEVICE, f"Asked for {device}, but {found} computes on the {computes_on}."
    return None
