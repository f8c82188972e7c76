"""Penalties on the rows and columns of a matrix, with the classic mistakes."""

import dataclasses

import keras
from keras import ops

from conformance.mutants.plain import Plain
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class _Orthogonal(Plain, keras.regularizers.Regularizer):
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


MUTANTS = [
    Mutant("rows for columns", {"OrthogonalRegularizer": RowsForColumns}),
    Mutant("diagonal counted", {"OrthogonalRegularizer": DiagonalCounted}),
]
