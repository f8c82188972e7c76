"""Troubles of the harness itself, each of which must turn the suite red."""

import contextlib
import dataclasses
import io
import json
import pathlib
import runpy
import shutil
import tempfile
import types

import keras

from keras_norms.testing import cases, command, controls, runner
from keras_norms.testing.controls import Mutant, Trouble
from keras_norms.testing.expected import Expected
from keras_norms.testing.harness import OURS, Harness
from keras_norms.testing.manifest import BrokenCases, manifest_beside
from keras_norms.testing.processes import Suite
from keras_norms.testing.report import make_report

CONFORMANCE = pathlib.Path(__file__).parents[1]


def _first(every, kind, target="MaxNorm"):
    return next(
        c for c in every if (c.kind, c.target, c.dtype) == (kind, target, "float32") and c.inputs
    )


def _corrupted_value(every, device):
    case = _first(every, "forward")
    result = json.loads(json.dumps(case.expected["result"]))
    result["values"][0][0] = (float.fromhex(result["values"][0][0]) * 1.001 + 1e-3).hex()
    bad = dataclasses.replace(case, expected={"result": result})
    return runner.run_case(bad, Harness(OURS.classes(), device)).status == "failed"


def _nan(**config):
    return lambda w: OURS.classes()["UnitNorm"](**config)(w) * float("nan")


def _all_nan(every, device):
    case = _first(every, "forward", "UnitNorm")
    outcome = runner.run_case(case, Harness(OURS.classes() | {"UnitNorm": _nan}, device))
    # Its score is infinite, which JSON cannot hold.
    report = make_report(_options(device=device), OURS.name, None, [outcome], [], {})
    return outcome.status == "failed" and "Infinity" not in json.dumps(report)


# What must break a run before it starts.


def _options(**changes):
    given = {"target": OURS.name, "backend": None, "device": "cpu", "jobs": 1, "words": ""}
    given |= dict.fromkeys(("cases", "controls", "report", "keras_report")) | {"quiet": True}
    given |= {"all_kills": False}
    return types.SimpleNamespace(**given | changes)


def _breaks(change, **options):
    """Whether a run of changed cases is broken, and leaves no report of an earlier one.

    Before the change, it is not: a run of none of the cases says that none ran.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        source = pathlib.Path(cases.packaged_cases())
        shutil.copytree(source, root / "cases")
        shutil.copy(source.parent / "manifest.json", root)
        report = root / "report.json"

        def code(**more):
            given = _options(cases=str(root / "cases"), report=str(report), **options, **more)
            with contextlib.redirect_stdout(io.StringIO()):
                return command.run(given)

        before = code(words="\0")
        report.write_text("{}", "utf-8")
        change(root / "cases")
        return (before, code()) == (command.NOTHING_RAN, command.BROKEN) and not report.exists()


def _empty_folder(every, device):
    def empty(folder):
        shutil.rmtree(folder)
        folder.mkdir()
        (folder.parent / "manifest.json").unlink()

    return _breaks(empty, device=device)


def _missing_folder(every, device):
    return _breaks(lambda folder: shutil.rmtree(folder / "simplex"), device=device)


def _changed_file(every, device):
    def change(folder):
        path = folder / "simplex" / "forward.json"
        path.write_text(path.read_text("utf-8").replace("0x1.8", "0x1.9", 1), "utf-8")

    return _breaks(change, device=device)


def _truncated_cases(every, device):
    def truncate(folder):
        (folder.parent / "manifest.json").unlink()
        path = folder / "simplex" / "forward.json"
        path.write_text(path.read_text("utf-8")[:-200], "utf-8")

    return _breaks(truncate, device=device)


def _missing_mutant(every, device):
    """A mutant that its module no longer lists."""
    manifest = manifest_beside(pathlib.Path(__file__).parent)
    names = sorted(manifest.names_of_controls)
    manifest.check_controls(pathlib.Path(__file__).parent, names)
    try:
        manifest.check_controls(pathlib.Path(__file__).parent, names[1:])
    except BrokenCases:
        return True
    return False


def _wrong_backend(every, device):
    return command.trouble("numpy", device)[0] == command.BROKEN


def _wrong_device(every, device):
    other = "gpu" if device == "cpu" else "cpu"
    asked = command.trouble(keras.backend.backend(), other)
    lies_elsewhere = runner.run_case(_first(every, "forward"), Harness(OURS.classes(), other))
    return asked[0] == command.NO_DEVICE and lies_elsewhere.status == "failed"


# Mutants that show nothing.


def _is_alive(classes, some, device):
    return not controls.run_mutant(Mutant("trouble", classes), some, device=device).dead


def _unknown_class(every, device):
    return _is_alive({"MaxNrom": _nan}, every, device)


def _crash_for_a_kill(every, device):
    def broken(**config):
        raise NameError("a bug in the mutant")

    kinds = [_first(every, kind) for kind in ("forward", "jit")]
    bad_input = next(case for case in every if case.kind == "raises" and case.target == "MaxNorm")
    mutant = Mutant("trouble", {"MaxNorm": broken}, kinds=("jit",))
    return all(
        not controls.run_mutant(mutant, [case], device=device).dead for case in (*kinds, bad_input)
    )


def _spared_by_words(every, device):
    """With words, a mutant must still run on all cases that concern it."""
    folder = pathlib.Path(__file__).parent
    suite = Suite([OURS.name], cases.packaged_cases(), folder, device, "simplex forward float16")
    parts = {part.mutant: set(part.cases) for part in suite.parts() if part.mutant is not None}
    concerned = [{i for i, c in enumerate(every) if m.concerns(c)} for m in suite.mutants]
    return bool(parts) and [parts[m] for m in range(len(suite.mutants))] == concerned


def _fails_otherwise(every, device):
    """A case that is expected to fail fails by a thousandfold error."""
    case = _first(every, "forward")

    def thousandfold(**config):
        return lambda w: OURS.classes()["MaxNorm"](**config)(w) * 1000

    harness = Harness(OURS.classes() | {"MaxNorm": thousandfold}, device)
    expected = Expected(case.id, "a reason", "a link", score=(5, 10))
    (found,) = runner.as_expected([runner.run_case(case, harness)], {case.id: expected})
    return found.status == "failed"


# Reports that must not make a green badge.


def _badge(backends=("tensorflow", "torch", "jax"), head="a", device="cpu", **changes):
    """The badge of good reports of the commit `head`, of which the last one has some changes."""
    matrix = runpy.run_path(str(CONFORMANCE / "matrix.py"))
    manifest = manifest_beside(CONFORMANCE / "cases")
    reports = {b: _report(b, head, manifest) for b in backends}
    if backends:
        reports[backends[-1]] |= changes
    return matrix["badge"](
        reports, matrix["Wanted"](list(backends), head, manifest), "badge", device
    )


def _report(backend, commit, manifest):
    passed = [{"status": "passed"}] * manifest.number_of_cases
    counts = {"planned": len(passed), "passed": len(passed), "failed": 0}
    return {
        "backend": backend,
        "device": "cpu",
        "commit": commit,
        "manifest": manifest.digest,
        "versions": {"keras": "3.15.1"},
        "words": "",
        "counts": counts | {"expected failures": 0, "not applicable": 0},
        "controls": {name: {"dead": True} for name in manifest.names_of_controls},
        "cases": passed,
    }


def _is_not_green(**changes):
    return _badge()["color"] == "brightgreen" and _badge(**changes)["color"] != "brightgreen"


def _living_control(every, device):
    manifest = manifest_beside(CONFORMANCE / "cases")
    names = sorted(manifest.names_of_controls)
    return _is_not_green(controls={name: {"dead": name != names[0]} for name in names})


def _nothing_passed(every, device):
    number = manifest_beside(CONFORMANCE / "cases").number_of_cases
    counts = {"planned": number, "passed": 0, "failed": 0, "expected failures": 0}
    cells = [{"status": "not applicable"}] * number
    return _is_not_green(counts=counts | {"not applicable": number}, cases=cells)


def _crashed_matrix(every, device):
    """It leaves no badge of an earlier run."""
    matrix = runpy.run_path(str(CONFORMANCE / "matrix.py"))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "badge.json")
        path.write_text('{"color": "brightgreen"}', "utf-8")
        pathlib.Path(folder, "jax-cpu.json").write_text('{"commit": 1}', "utf-8")
        try:
            code = matrix["main"](folder, "jax")
        except Exception:
            code = 1
        return code == 1 and not path.exists()


def _truncated_report(every, device):
    matrix = runpy.run_path(str(CONFORMANCE / "matrix.py"))
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "jax-cpu.json").write_text('{"commit": "ab', "utf-8")
        return not matrix["load"](pathlib.Path(folder), ["jax"], "cpu")


def _report_with(**changes):
    return lambda every, device: _is_not_green(**changes)


TROUBLES = [
    Trouble("a corrupted golden value", _corrupted_value),
    Trouble("a result that is all NaN", _all_nan),
    Trouble("an empty folder of cases", _empty_folder),
    Trouble("a missing folder of cases", _missing_folder),
    Trouble("a changed file of cases", _changed_file),
    Trouble("a truncated case file", _truncated_cases),
    Trouble("a missing mutant", _missing_mutant),
    Trouble("the wrong backend", _wrong_backend),
    Trouble("the wrong device", _wrong_device),
    Trouble("a mutant of an unknown class", _unknown_class),
    Trouble("a mutant with a bug of its own", _crash_for_a_kill),
    Trouble("a mutant that words spare", _spared_by_words),
    Trouble("a failure that is not the expected one", _fails_otherwise),
    Trouble("a truncated report", _truncated_report),
    Trouble("a matrix that crashes", _crashed_matrix),
    Trouble("a report with a living control", _living_control),
    Trouble("a report in which nothing passed", _nothing_passed),
    Trouble("a report without controls", _report_with(controls={})),
    Trouble("a report of fewer cases", _report_with(cases=[{"status": "passed"}])),
    Trouble("a report of other cases", _report_with(manifest="another")),
    Trouble("a report of a part of the cases", _report_with(words="max_norm")),
    Trouble("a report of another commit", _report_with(commit="b")),
    Trouble("a report of another backend", _report_with(backend="numpy")),
    Trouble("a report of another Keras", _report_with(versions={"keras": "3.10.0"})),
    Trouble("a report of a GPU that was computed on a CPU", _report_with(device="gpu")),
    Trouble("reports of changes without a commit", _report_with(head="a-dirty")),
    Trouble("reports of no known commit", _report_with(head=None)),
    Trouble("reports of no backend", _report_with(backends=())),
]
