"""The harness: what is under test, where it must run, and how a result becomes a measure."""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_norms import audit, constrain, constraints, project, regularizers
from keras_norms.testing import backends, severity
from keras_norms.testing.cases import argument, exact_array, input_array, numpy_dtype
from keras_norms.testing.scores import budget, error_in_ulp, relative_error, ulp

_HALF = ("float16", "bfloat16")


class NotApplicable(Exception):
    """This backend does not have what a case needs."""


class Mismatch(AssertionError):
    """A result has the wrong shape, dtype or device, or breaks a promise that has no score.

    Args:
        message: What must be so, and what was received.
        severity: How bad it is, one of those in `severity.py`.
        measures: What was scored nonetheless.
        exception: The exception that the code under test raised, if it did.
    """

    def __init__(self, message, severity=severity.WRONG, measures=(), exception=None):
        super().__init__(message)
        self.severity = severity
        self.measures = tuple(measures)
        self.exception = exception and type(exception).__name__


@dataclasses.dataclass(frozen=True)
class Measure:
    """One scored result.

    Attributes:
        what: Which result it is.
        score: Its largest error in ulp.
        budget: The largest score that it may have.
        relative: Its largest error as a part of the exact value, which is infinite if the result is
            not finite.
        dtype: The dtype whose ulp the score counts.
        kink: Whether it is a gradient that is over its budget only where the function has a kink,
            and is the slope between its two sides there.
    """

    what: str
    score: float
    budget: float
    relative: float
    dtype: str = "float32"
    kink: bool = False


@dataclasses.dataclass(frozen=True)
class Package:
    """A package under test: where its constraints and its regularizers are found.

    `whole_models` are its functions of whole models, by name.
    """

    name: str
    constraints: Any
    regularizers: Any
    whole_models: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)

    def classes(self):
        """Everything that a case may name: its classes, and the Keras layers around them."""
        members = {**vars(self.constraints), **vars(self.regularizers)}
        theirs = {n: c for n, c in members.items() if isinstance(c, type)}
        around = {"Conv2D": keras.layers.Conv2D, "Dense": keras.layers.Dense}
        others = {"SGD": keras.optimizers.SGD, "get_regularizer": self.regularizers.get}
        return theirs | around | others | dict(self.whole_models)


OURS = Package(
    "keras_norms",
    constraints,
    regularizers,
    {"constrain": constrain, "project": project, "audit": audit},
)
KERAS = Package("keras", keras.constraints, keras.regularizers)


@dataclasses.dataclass(frozen=True)
class Harness:
    """Runs cases against `classes`, whose results must lie on `device`: "cpu", "gpu" or "mesh".

    Only what is `partial`, Keras' own classes and mutants, may lack a class or an argument; where
    ours lack one, the case fails.
    """

    classes: Mapping[str, Callable[..., Any]]
    device: str = "cpu"
    partial: bool = True

    def make(self, case):
        """The target of a case, made with its arguments.

        Raises:
            NotApplicable: If what is under test has no such class, or not with these arguments.
        """
        config = {name: argument(value) for name, value in case.config.items()}
        found = self.find(case.target)
        if "members" in config:
            members = config.pop("members")
            made = [self.find(each["class_name"])(**each["config"]) for each in members]
            return found(*made, **config)
        if self.partial:
            try:
                inspect.signature(found).bind(**config)
            except TypeError as error:
                raise NotApplicable(f"{case.target}: {error}") from error
        return found(**config)

    def find(self, name):
        """A class by its name, or anything by `package:name`, which a mutant may replace.

        Raises:
            NotApplicable: If what is under test has no such class.
        """
        if ":" in name and name not in self.classes:  # where a mutant may take its place
            module, _, attribute = name.partition(":")
            return getattr(importlib.import_module(module), attribute)
        if name not in self.classes and self.partial:
            raise NotApplicable(f"there is no {name}")
        return self.classes[name]

    def tensor(self, data, dtype):
        """An input of a case as a tensor.

        Raises:
            NotApplicable: If the backend has no such dtype.
        """
        array = input_array(data).astype(numpy_dtype(dtype))
        tensor = ops.convert_to_tensor(array.astype("float32") if dtype == "bfloat16" else array)
        tensor = ops.cast(tensor, dtype) if dtype == "bfloat16" else tensor
        if keras.backend.standardize_dtype(tensor.dtype) != dtype:
            raise NotApplicable(f"{keras.backend.backend()} has no {dtype} as it is set up here")
        return backends.spread(tensor) if self.device == "mesh" else tensor

    def apply(self, function, tensor):
        """What a function of one tensor returns; on a mesh, compiled, as a step of training is."""
        return (backends.compiled(function) if self.device == "mesh" else function)(tensor)

    def compare(self, what, got, expected):
        """The measure of one result against what a case expects.

        Raises:
            Mismatch: If shape, dtype or device differ.
        """
        dtype = keras.backend.standardize_dtype(got.dtype)
        found = {"shape": list(got.shape), "dtype": dtype, "device": backends.device_of(got)}
        wanted = {"shape": expected["shape"], "dtype": expected["dtype"], "device": self.device}
        if found == wanted:
            return _measure(what, float64(got), expected, dtype)
        other = {name: value for name, value in wanted.items() if found[name] != value}
        text = f"{what} must have {other}. Received: { {name: found[name] for name in other} }"
        if set(other) == {"dtype"}:
            measure, grade = _in_another_dtype(what, got, expected, dtype)
            if not measure.score <= measure.budget:
                text += f", and it is {measure.score:.3g} ulp of {measure.dtype} off"
            raise Mismatch(text, grade, [measure])
        raise Mismatch(text)


def _measure(what, values, expected, dtype):
    """The measure of float64 values that a result of some dtype had."""
    exact = exact_array(expected)
    arguments = (values, exact, dtype, expected["scale"])
    # Nothing reduced: no rounding is due, and not one bit may differ.
    allowed = budget(expected["reduced"], dtype, expected["passes"]) if expected["reduced"] else 0.0
    if "inexact" in expected:  # iterations may leave so much beside rounding
        largest = np.max(np.abs(exact[..., 0]), initial=0.0)
        allowed += float.fromhex(expected["inexact"]) / float(ulp(largest, dtype))
    return Measure(
        what,
        float(np.max(error_in_ulp(*arguments), initial=0.0)),
        allowed,
        relative_error(*arguments),
        dtype,
    )


def _in_another_dtype(what, got, expected, dtype):
    """The measure of a result that has another dtype than the expected one, and its severity.

    A penalty of half-precision weights may be of their dtype, and is scored in it. Whatever else is
    expected must have the digits of the dtype that is due.
    """
    wanted = expected["dtype"]
    if dtype in _HALF and wanted == "float32":
        measure, precise = _measure(what, float64(got), expected, dtype), severity.CONVENTION
    else:
        measure = _measure(what, float64(got), expected, wanted)
        precise = severity.of_dtype(dtype, wanted)
    return measure, severity.of_measures([measure]) or precise


def float64(tensor):
    """The values of a tensor as a NumPy array of float64: nothing is rounded."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    full = ops.cast(tensor, "float64" if dtype == "float64" else "float32")
    return np.asarray(ops.convert_to_numpy(full), "float64")
