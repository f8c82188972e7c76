"""Regularizers with the classic mistakes."""

import dataclasses

import keras
from keras import ops

from keras_norms.testing.runner import Control


@dataclasses.dataclass
class _L1(keras.regularizers.Regularizer):
    l1: float = 0.01

    def __call__(self, x):
        return self.l1 * self.of(ops.cast(x, "float32"))


class SignedSum(_L1):
    def of(self, x):
        return ops.sum(x)


@dataclasses.dataclass
class _L2(keras.regularizers.Regularizer):
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


class HalfPrecisionPenalty(_L2):
    def __call__(self, x):
        return self.l2 * ops.sum(ops.square(x))


@dataclasses.dataclass
class OneFactorForBoth(keras.regularizers.Regularizer):
    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, x):
        x = ops.cast(x, "float32")
        return self.l1 * (ops.sum(ops.abs(x)) + ops.sum(ops.square(x)))


@dataclasses.dataclass
class _Orthogonal(keras.regularizers.Regularizer):
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


@dataclasses.dataclass
class NeverDivides(keras.regularizers.Regularizer):
    """A batch mean that forgets to divide where Keras does not."""

    regularizer: object

    def __call__(self, x):
        divides = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14)
        penalty = 0.5 * ops.sum(ops.square(x))
        return penalty / x.shape[0] if divides else penalty


CONTROLS = [
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
