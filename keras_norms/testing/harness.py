"""The harness: what is under test, where it must run, and how a result becomes a measure."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import ml_dtypes
import numpy as np
from keras import ops

from keras_norms import constraints, regularizers
from keras_norms.testing import backends
from keras_norms.testing.cases import exact_array, input_array
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


def classes_under_test():
    """Everything that a case may name: our classes, and the Keras layer and optimizer around."""
    names = [*constraints.__dict__.items(), *regularizers.__dict__.items()]
    ours = {
        n: c for n, c in names if isinstance(c, type) and c.__module__.startswith("keras_norms")
    }
    return ours | {
        "Conv2D": keras.layers.Conv2D,
        "Dense": keras.layers.Dense,
        "SGD": keras.optimizers.SGD,
    }


@dataclasses.dataclass(frozen=True)
class Harness:
    """Runs cases against `classes`, whose results must lie on `device` ("cpu" or "gpu")."""

    classes: Mapping[str, Callable[..., Any]]
    device: str = "cpu"

    def target(self, case):
        """The object that a case is about."""
        return self.classes[case.target](**case.config)

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
        values = ops.convert_to_numpy(ops.cast(got, "float64" if dtype == "float64" else "float32"))
        return Measure(
            what,
            score(np.asarray(values, "float64"), exact_array(expected), dtype),
            # Nothing reduced: no rounding is due, and not one bit may differ.
            budget(expected["reduced"], dtype) if expected["reduced"] else 0.0,
        )
