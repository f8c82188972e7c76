"""The harness: what is under test, where it must run, and how a result becomes a measure."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import ml_dtypes
import numpy as np
from keras import ops

from keras_norms import constraints, regularizers
from keras_norms.testing import backends
from keras_norms.testing.cases import argument, exact_array, input_array
from keras_norms.testing.scores import budget, score


class NotApplicable(Exception):
    """This backend does not have what a case needs."""


class Mismatch(AssertionError):
    """A result has the wrong shape, dtype or device, or breaks a promise that has no score."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """One scored result."""

    what: str
    score: float
    budget: float


@dataclasses.dataclass(frozen=True)
class Target:
    """A package under test: where its constraints and its regularizers are found."""

    name: str
    constraints: Any
    regularizers: Any

    def classes(self):
        """Everything that a case may name: its classes, and the Keras layers around them."""
        members = {**vars(self.constraints), **vars(self.regularizers)}
        theirs = {n: c for n, c in members.items() if isinstance(c, type)}
        around = {"Conv2D": keras.layers.Conv2D, "Dense": keras.layers.Dense}
        others = {"SGD": keras.optimizers.SGD, "get_regularizer": self.regularizers.get}
        return theirs | around | others


OURS = Target("keras_norms", constraints, regularizers)
KERAS = Target("keras", keras.constraints, keras.regularizers)


@dataclasses.dataclass(frozen=True)
class Harness:
    """Runs cases against `classes`, whose results must lie on `device` ("cpu" or "gpu").

    Only what is `partial`, Keras' own classes and controls, may lack a class or an argument; where
    ours lack one, the case fails.
    """

    classes: Mapping[str, Callable[..., Any]]
    device: str = "cpu"
    partial: bool = True

    def target(self, case):
        """The object that a case is about.

        Raises:
            NotApplicable: If what is under test has no such class, or not with these arguments.
        """
        config = {name: argument(value) for name, value in case.config.items()}
        make = self.find(case.target)
        if "members" in config:
            return make(*[self.find(m["class_name"])(**m["config"]) for m in config["members"]])
        if self.partial:
            try:
                inspect.signature(make).bind(**config)
            except TypeError as error:
                raise NotApplicable(f"{case.target}: {error}") from error
        return make(**config)

    def find(self, name):
        """A class by its name.

        Raises:
            NotApplicable: If what is under test has no such class.
        """
        if name not in self.classes and self.partial:
            raise NotApplicable(f"there is no {name}")
        return self.classes[name]

    def tensor(self, data, dtype):
        """An input of a case as a tensor.

        Raises:
            NotApplicable: If the backend has no such dtype.
        """
        array = input_array(data).astype(dtype if dtype != "bfloat16" else ml_dtypes.bfloat16)
        tensor = ops.convert_to_tensor(array.astype("float32") if dtype == "bfloat16" else array)
        tensor = ops.cast(tensor, dtype) if dtype == "bfloat16" else tensor
        if keras.backend.standardize_dtype(tensor.dtype) != dtype:
            raise NotApplicable(f"{keras.backend.backend()} has no {dtype} as it is set up here")
        return tensor

    def compare(self, what, got, expected):
        """The measure of one result against what a case expects.

        Raises:
            Mismatch: If shape, dtype or device differ.
        """
        dtype = keras.backend.standardize_dtype(got.dtype)
        found = {"shape": list(got.shape), "dtype": dtype, "device": backends.device_of(got)}
        wanted = {"shape": expected["shape"], "dtype": expected["dtype"], "device": self.device}
        if found != wanted:
            raise Mismatch(f"{what} must have {wanted}. Received: {found}")
        values = float64(got)
        return Measure(
            what,
            score(values, exact_array(expected), dtype, expected["scale"]),
            # Nothing reduced: no rounding is due, and not one bit may differ.
            budget(expected["reduced"], dtype, expected["passes"]) if expected["reduced"] else 0.0,
        )


def float64(tensor):
    """The values of a tensor as a NumPy array of float64: nothing is rounded."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    full = ops.cast(tensor, "float64" if dtype == "float64" else "float32")
    return np.asarray(ops.convert_to_numpy(full), "float64")
