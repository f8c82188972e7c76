"""Troubles of the harness itself, each of which must turn the suite red."""

import dataclasses
import json
import pathlib
import runpy
import tempfile

from keras_norms.testing import cases, command, runner
from keras_norms.testing.controls import Trouble
from keras_norms.testing.harness import OURS, Harness

MATRIX = pathlib.Path(__file__).parents[1] / "matrix.py"


def _first_forward(every):
    return next(case for case in every if case.kind == "forward" and case.dtype == "float32")


def _corrupted_value(every, device):
    case = _first_forward(every)
    result = json.loads(json.dumps(case.expected["result"]))
    result["values"][0][0] = (float.fromhex(result["values"][0][0]) * 1.001 + 1e-3).hex()
    bad = dataclasses.replace(case, expected={"result": result})
    return runner.run_case(bad, Harness(OURS.classes(), device)).status == "failed"


def _all_nan(every, device):
    case = next(case for case in every if case.kind == "forward" and case.target == "UnitNorm")

    def nan(**config):
        return lambda w: OURS.classes()["UnitNorm"](**config)(w) * float("nan")

    bad = Harness(OURS.classes() | {"UnitNorm": nan}, device)
    return runner.run_case(case, bad).status == "failed"


def _empty_folder(every, device):
    with tempfile.TemporaryDirectory() as folder:
        return _is_broken(folder)


def _truncated_cases(every, device):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "target" / "cases.json"
        path.parent.mkdir()
        source = next(pathlib.Path(cases.packaged_cases()).glob("*/*.json"))
        path.write_text(source.read_text("utf-8")[:-200], "utf-8")
        return _is_broken(folder)


def _is_broken(folder):
    try:
        cases.load_cases(folder)
    except cases.BrokenCases:
        return True
    return False


def _wrong_backend(every, device):
    return command.trouble("numpy", device)[0] == command.BROKEN


def _wrong_device(every, device):
    import keras

    other = "gpu" if device == "cpu" else "cpu"
    asked = command.trouble(keras.backend.backend(), other)
    lies_elsewhere = runner.run_case(_first_forward(every), Harness(OURS.classes(), other))
    return asked[0] == command.NO_DEVICE and lies_elsewhere.status == "failed"


def _truncated_report(every, device):
    matrix = runpy.run_path(str(MATRIX))
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "jax-cpu.json").write_text('{"commit": "ab')
        reports = matrix["load"](pathlib.Path(folder), ["jax"], "cpu")
        return matrix["badge"](reports, ["jax"], "badge")["color"] == "red"


TROUBLES = [
    Trouble("a corrupted golden value", _corrupted_value),
    Trouble("a result that is all NaN", _all_nan),
    Trouble("an empty folder of cases", _empty_folder),
    Trouble("a truncated case file", _truncated_cases),
    Trouble("the wrong backend", _wrong_backend),
    Trouble("the wrong device", _wrong_device),
    Trouble("a truncated report", _truncated_report),
]
