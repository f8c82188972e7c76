"""Regularizers with the classic mistakes."""

import dataclasses

import keras
import numpy as np
from keras import ops

import keras_norms as kn
from keras_norms.testing.runner import Control


class _Plain(keras.regularizers.Regularizer):
    """What is right about every control: a config."""

    def get_config(self):
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class _L1(_Plain):
    l1: float = 0.01

    def __call__(self, x):
        return self.l1 * self.of(ops.cast(x, "float32"))


class SignedSum(_L1):
    def of(self, x):
        return ops.sum(x)


class SlopeAtZero(_L1):
    """As JAX has it: abs with slope 1 at 0."""

    def of(self, x):
        return ops.sum(ops.where(x >= 0, x, -x))


class KeepsATensor(_L1):
    """As Keras 2 did: the factor is a backend tensor, made wherever the object is made."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __post_init__(self):
        object.__setattr__(self, "l1", ops.convert_to_tensor(self.l1, "float32") * 1)

    def of(self, x):
        return ops.sum(ops.abs(x))

    def get_config(self):
        return {"l1": float(self.l1)}


class RoundedFactor(_L1):
    def of(self, x):
        return ops.sum(ops.abs(x))

    def get_config(self):
        return {"l1": float(np.float32(self.l1))}


@dataclasses.dataclass(frozen=True)
class _L2(_Plain):
    l2: float = 0.01

    def __call__(self, x):
        return self.l2 * self.of(ops.cast(x, "float32"))


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
class OneFactorForBoth(_Plain):
    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, x):
        x = ops.cast(x, "float32")
        return self.l1 * (ops.sum(ops.abs(x)) + ops.sum(ops.square(x)))


@dataclasses.dataclass(frozen=True)
class _Orthogonal(_Plain):
    factor: float = 0.01
    mode: str = "rows"

    def __call__(self, x):
        x = ops.cast(x, "float32")
        x = ops.reshape(x, (-1, x.shape[-1]))
        if (self.mode == "rows") == self.swapped:
            x = ops.transpose(x)
        x = x / ops.maximum(ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True)), 1e-30)
        n = x.shape[0]
        cosines = ops.abs(ops.matmul(x, ops.transpose(x)))
        diagonal = 0.0 if self.with_diagonal else ops.eye(n)
        return self.factor * ops.sum(cosines * (1 - diagonal)) / max(n * (n - 1), 1)


class RowsForColumns(_Orthogonal):
    swapped, with_diagonal = True, False


class DiagonalCounted(_Orthogonal):
    swapped, with_diagonal = False, True


@dataclasses.dataclass(frozen=True)
class NeverDivides(_Plain):
    """A batch mean that forgets to divide where Keras does not."""

    regularizer: object

    def __call__(self, x):
        divides = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14)
        penalty = 0.5 * ops.sum(ops.square(x))
        return penalty / x.shape[0] if divides else penalty


class FirstTermOnly:
    """A sum that drops what comes after its first term."""

    def __new__(cls, *members):
        return kn.Sum(members[0], kn.L1(0.0))


CONTROLS = [
    Control("L1 with a slope at zero", {"L1": SlopeAtZero}),
    Control("a factor kept as a tensor", {"L1": KeepsATensor}, kinds=("traced",)),
    Control("a factor rounded in the config", {"L1": RoundedFactor}),
    Control("half of a gradient stopped", {"L2": DetachedPenalty}),
    Control("a sum of one term", {"Sum": FirstTermOnly}),
    Control("L1 without abs", {"L1": SignedSum}),
    Control("L2 halved", {"L2": HalfTheSquares}),
    Control("root of the squares", {"L2": RootOfSquares}),
    Control("mean of the squares", {"L2": MeanOfSquares}),
    Control("penalty in half precision", {"L2": HalfPrecisionPenalty}),
    Control("one factor for both norms", {"L1L2": OneFactorForBoth}),
    Control("rows for columns", {"OrthogonalRegularizer": RowsForColumns}),
    Control("diagonal counted", {"OrthogonalRegularizer": DiagonalCounted}),
    Control("batch division forgotten, or twice", {"BatchMean": NeverDivides}),
]
