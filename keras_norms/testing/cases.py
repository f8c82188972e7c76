"""Golden cases: what the JSON files say, as arrays.

A case names its target, the arguments, exact inputs and what an oracle expects. Floats are hex
strings, so nothing is lost on the way; expected values are pairs of doubles.
"""

import dataclasses
import importlib.resources
import json
import math
import pathlib
from typing import Any

import ml_dtypes
import numpy as np

from keras_norms.testing.manifest import BrokenCases


@dataclasses.dataclass(frozen=True)
class Case:
    """One golden case; the fields are those of schema/cases.schema.json."""

    id: str
    target: str
    kind: str
    requirement: str
    title: str
    hunts: str
    dtype: str
    config: dict[str, Any]
    inputs: dict[str, Any]
    expected: dict[str, Any]

    @property
    def words(self):
        """What `-k` searches: the id, the target's name and the title."""
        return f"{self.id} {self.target} {self.title}".lower()


def packaged_cases():
    """The folder of cases that the wheel carries, or that of the checkout."""
    package = pathlib.Path(str(importlib.resources.files("keras_norms")))
    inside = package / "testing" / "cases"
    return inside if inside.is_dir() else package.parent / "conformance" / "cases"


def case_files(folder):
    """The files of cases below a folder, however deep, in the order of their paths."""
    return sorted(pathlib.Path(folder).rglob("*.json"))


def check_schema(folder):
    """Compare every file below `folder` with the schema that the wheel carries, and its arrays.

    Raises:
        BrokenCases: If a file is not as the schema has it, an array not as its case says, or a
            name asked for that is not ours.
    """
    import jsonschema  # not above: cases that a manifest lists need no schema

    schema = packaged_cases().parent / "schema" / "cases.schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text("utf-8")))
    for path in case_files(folder):
        try:
            errors = validator.iter_errors(_json_of(path))
        except ValueError as error:
            raise BrokenCases(f"{path} is not JSON: {error}") from error
        worst = jsonschema.exceptions.best_match(errors)
        if worst:
            raise BrokenCases(
                f"{path} is not as the schema has it: {worst.json_path}: {worst.message}"
            )
    for case in load_cases(folder):
        _check_arrays(case)
        if case.kind == "by_name" and ":" in case.target:
            raise BrokenCases(f"{case.id} asks for a name, which no {case.target} is found by.")


def _json_of(path):
    """What a file holds.

    Raises:
        ValueError: If it is not JSON, has a key twice, of which one would not count, or a number
            that is not finite, such as a bound that nothing exceeds.
    """

    def unique(pairs):
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the key {twice!r} is there twice")
        return dict(pairs)

    def finite(number):
        if not math.isfinite(value := float(number)):
            raise ValueError(f"{number} is not a finite number")
        return value

    text = path.read_text("utf-8")
    return json.loads(text, object_pairs_hook=unique, parse_float=finite, parse_constant=finite)


def _check_arrays(case):
    """Compare the arrays of a case with their shapes, and its weights with its dtype.

    Raises:
        BrokenCases: If an array has other entries than its shape says, or an input is not exact.
    """
    for name, data in _arrays(case.expected):
        _read(exact_array, data, name, case)
    for name, data in _arrays(case.inputs):
        array = _read(input_array, data, name, case)
        with np.errstate(over="ignore"):
            held = array.astype(numpy_dtype(case.dtype)).astype("float64")
        if not np.array_equal(held, array, equal_nan=True):
            raise BrokenCases(
                f"The array {name!r} of {case.id} must hold numbers that are exact in {case.dtype}."
            )
    if case.kind == "gradient" and "weights" in case.inputs:
        shapes = [case.inputs[name]["shape"] for name in ("weights", "w")]
        if shapes[0] != shapes[1]:  # they would be broadcast
            raise BrokenCases(
                f"The weights of the gradient of {case.id} must have the shape {shapes[1]} of w. "
                f"Received: {shapes[0]}"
            )


def _arrays(parts):
    """The names of the arrays among the inputs, or the expected parts, of a case, with their data.

    A whole model has lists of them.
    """
    for name, part in parts.items():
        for each in part if isinstance(part, list) else [part]:
            if isinstance(each, dict) and {"values", "shape"} <= each.keys():
                yield name, each


def _read(reader, data, name, case):
    try:
        return reader(data)
    except (TypeError, ValueError, OverflowError) as error:
        raise BrokenCases(f"The array {name!r} of {case.id} is broken: {error}") from error


def numpy_dtype(name):
    """The dtype of NumPy, or of ml_dtypes, with a name of Keras."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def load_cases(folder):
    """Every case below `folder`, ordered by file and position.

    Raises:
        BrokenCases: If there is no case, a file holds another number of cases than it says, or
            two cases share an id.
    """
    cases = []
    for path in case_files(folder):
        try:
            data = _json_of(path)
            count, found = data["count"], data["cases"]
            cases += [Case(target=data["target"], **case) for case in found]
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenCases(f"{path} is not a case file: {error!r}") from error
        if count != len(found):
            raise BrokenCases(f"{path} must hold {count} cases. Received: {len(found)}")
    if not cases:
        raise BrokenCases(f"No case files below {folder}")
    ids = [case.id for case in cases]
    if len(set(ids)) < len(ids):
        raise BrokenCases(
            f"Case ids must be unique: {sorted({i for i in ids if ids.count(i) > 1})}"
        )
    return cases


def exact_array(data):
    """The expected values of a case: float64 of shape (*shape, 2)."""
    pairs = [[float.fromhex(high), float.fromhex(low)] for high, low in data["values"]]
    return _filled(pairs, data, 2)


def input_array(data):
    """An input of a case: float64 of its shape, exact in the tested dtype."""
    values = [[float.fromhex(value)] for value in data["values"]]
    return _filled(values, data, 1)[..., 0]


def _filled(values, data, width):
    """An array of the values, each as often as "repeats" says."""
    values = np.array(values, "float64").reshape((-1, width))
    if "repeats" in data:
        values = np.repeat(values, data["repeats"], axis=0)
    return values.reshape((*data["shape"], width))


def argument(value):
    """An argument of a case's config: what JSON cannot hold is marked."""
    if isinstance(value, dict) and set(value) == {"float"}:
        return float(value["float"])
    if isinstance(value, dict) and set(value) == {"numpy"}:
        return np.float32(value["numpy"])
    return value
