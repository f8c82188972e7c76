"""Penalties on norms, with the classic mistakes."""

import dataclasses

import keras
import numpy as np
from keras import ops

from conformance.mutants.plain import Plain
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class _L1(Plain, keras.regularizers.Regularizer):
    l1: float = 0.01
    is_right = True

    def __call__(self, x):
        return self.l1 * self.of(ops.cast(x, "float32"))

    def of(self, x):
        return ops.sum(ops.sign(x) * x)  # the slope of abs at 0 differs between backends


class SignedSum(_L1):
    def of(self, x):
        return ops.sum(x)


class SlopeAtZero(_L1):
    """Its abs has slope 1 at 0, as JAX has it."""

    def of(self, x):
        return ops.sum(ops.where(x >= 0, x, -x))


class KeepsATensor(_L1):
    """Its factor is a backend tensor, as in Keras 2, made wherever the object is made."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __post_init__(self):
        object.__setattr__(self, "l1", ops.convert_to_tensor(self.l1, "float32") * 1)

    def get_config(self):
        return {"l1": float(self.l1)}


class RoundedFactor(_L1):
    def get_config(self):
        return {"l1": float(np.float32(self.l1))}


@dataclasses.dataclass(frozen=True)
class _L2(Plain, keras.regularizers.Regularizer):
    l2: float = 0.01
    is_right = True

    def __call__(self, x):
        return self.l2 * self.of(ops.cast(x, "float32"))

    def of(self, x):
        return ops.sum(ops.square(x))


class HalfTheSquares(_L2):
    def of(self, x):
        return ops.sum(ops.square(x)) / 2


class RootOfSquares(_L2):
    def of(self, x):
        return ops.sqrt(ops.sum(ops.square(x)))


class MeanOfSquares(_L2):
    def of(self, x):
        return ops.mean(ops.square(x))


class DetachedPenalty(_L2):
    def of(self, x):
        return ops.sum(x * ops.stop_gradient(x))


class HalfPrecisionPenalty(_L2):
    def __call__(self, x):
        return self.l2 * ops.sum(ops.square(x))


@dataclasses.dataclass(frozen=True)
class _L1L2(Plain, keras.regularizers.Regularizer):
    l1: float = 0.0
    l2: float = 0.0
    is_right = True

    def __call__(self, x):
        return self.of(ops.cast(x, "float32"), self.l1, self.l2)

    def of(self, x, l1, l2):
        return l1 * ops.sum(ops.sign(x) * x) + l2 * ops.sum(ops.square(x))


class OneFactorForBoth(_L1L2):
    def of(self, x, l1, l2):
        return super().of(x, l1, l1)


MUTANTS = [
    Mutant("L1 with a slope at zero", {"L1": SlopeAtZero}),
    Mutant("a factor kept as a tensor", {"L1": KeepsATensor}, kinds=("traced",)),
    Mutant("a factor rounded in the config", {"L1": RoundedFactor}),
    Mutant("half of a gradient stopped", {"L2": DetachedPenalty}),
    Mutant("L1 without abs", {"L1": SignedSum}),
    Mutant("L2 halved", {"L2": HalfTheSquares}),
    Mutant("root of the squares", {"L2": RootOfSquares}),
    Mutant("mean of the squares", {"L2": MeanOfSquares}),
    Mutant("penalty in half precision", {"L2": HalfPrecisionPenalty}),
    Mutant("one factor for both norms", {"L1L2": OneFactorForBoth}),
]
