"""Constraints on each entry alone, with the classic mistakes."""

import dataclasses

import keras
import numpy as np
from keras import ops

import keras_norms as kn
from conformance.mutants.plain import Plain
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class AbsoluteValue(Plain, keras.constraints.Constraint):
    def __call__(self, w):
        return ops.abs(w)


@dataclasses.dataclass(frozen=True)
class BoundsReversed(Plain, keras.constraints.Constraint):
    min_value: float
    max_value: float

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        return ops.cast(ops.clip(w, -self.max_value, -self.min_value), w.dtype)


@dataclasses.dataclass(frozen=True)
class OneBound(Plain, keras.constraints.Constraint):
    min_value: float
    max_value: float

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        return ops.cast(ops.where(w > self.max_value, self.max_value, w), w.dtype)


@dataclasses.dataclass(frozen=True)
class BoundsInSinglePrecision(Plain, keras.constraints.Constraint):
    min_value: float
    max_value: float

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        low, high = (float(np.float32(x)) for x in (self.min_value, self.max_value))
        return kn.Clip(low, high)(w)


MUTANTS = [
    Mutant("abs for max(w, 0)", {"NonNeg": AbsoluteValue}),
    Mutant("bounds reversed", {"Clip": BoundsReversed}),
    Mutant("one bound for two", {"Clip": OneBound}),
    Mutant("bounds in single precision", {"Clip": BoundsInSinglePrecision}),
]
