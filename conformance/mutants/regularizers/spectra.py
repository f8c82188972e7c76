"""Penalties on the rows and columns of a matrix, with the classic mistakes."""

import dataclasses
import math

import keras
from keras import ops

from conformance.mutants.plain import Plain, rows_of
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class _Orthogonal(Plain, keras.regularizers.Regularizer):
    factor: float = 0.01
    mode: str = "rows"
    swapped, with_diagonal, is_right = False, False, True

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
    swapped = True


class DiagonalCounted(_Orthogonal):
    with_diagonal = True


@dataclasses.dataclass(frozen=True)
class _Soft(Plain, keras.regularizers.Regularizer):
    factor: float = 0.01
    mode: str = "frobenius"
    axis: object = 0
    is_right = True

    def __call__(self, x):
        rows = rows_of(x, self.axis)
        return self.factor * self.distance(rows, ops.transpose(rows))

    def distance(self, rows, columns):
        """As in the paper, without its spectral mode."""
        gap = rows @ columns - ops.eye(rows.shape[0])
        if self.mode in ("coherence", "mc"):
            return self.largest(gap)
        one = ops.sum(ops.square(gap))
        if self.mode in ("double", "dso"):
            one = one + ops.sum(ops.square(columns @ rows - ops.eye(rows.shape[1])))
        return one

    def largest(self, gap):
        return ops.amax(ops.append(ops.zeros(1), ops.abs(gap)))


class FrobeniusForCoherence(_Soft):
    def largest(self, gap):
        return ops.sum(ops.square(gap))


class OtherSide(_Soft):
    def distance(self, rows, columns):
        return super().distance(columns, rows)


class NoIdentity(_Soft):
    def distance(self, rows, columns):
        return ops.sum(ops.square(rows @ columns)) - rows.shape[0]


class RootOfDistance(_Soft):
    def distance(self, rows, columns):
        return ops.sqrt(super().distance(rows, columns))


class OneSideOnly(_Soft):
    def distance(self, rows, columns):
        return ops.sum(ops.square(rows @ columns - ops.eye(rows.shape[0])))


class CoherenceWithoutDiagonal(_Soft):
    def largest(self, gap):
        return super().largest(gap * (1 - ops.eye(gap.shape[0])))


@dataclasses.dataclass(frozen=True)
class _Spectral(Plain, keras.regularizers.Regularizer):
    factor: float = 0.01
    axis: object = 0
    is_right = True

    def __call__(self, x):
        rows = rows_of(x, self.axis)
        norm = self.norm(rows) if math.prod(rows.shape) else 0.0
        return ops.convert_to_tensor(self.factor / 2 * norm**2, "float32")

    def norm(self, rows):
        """The largest singular value."""
        return ops.svd(rows, compute_uv=False)[0]


class FrobeniusNorm(_Spectral):
    def norm(self, rows):
        return ops.sqrt(ops.sum(ops.square(rows)))


class PowerIterationFromOnes(_Spectral):
    def norm(self, rows):
        v = ops.ones((rows.shape[1], 1))
        for _ in range(30):
            v = ops.transpose(rows) @ (rows @ v)
            v = v / ops.maximum(ops.sqrt(ops.sum(ops.square(v))), 1e-30)
        return ops.sqrt(ops.sum(ops.square(rows @ v)))


class TooFewSquarings(_Spectral):
    def norm(self, rows):
        power = rows @ ops.transpose(rows)
        for _ in range(2):
            power = power @ power
        return ops.sum(ops.square(power)) ** (1 / 16)


class NoSquare(_Spectral):
    def norm(self, rows):
        return ops.sqrt(super().norm(rows))


class NoHalf(_Spectral):
    def norm(self, rows):
        return super().norm(rows) * 2**0.5


MUTANTS = [
    Mutant(
        "frobenius for coherence",
        {"SoftOrthogonalRegularizer": FrobeniusForCoherence},
    ),
    Mutant("the Gram matrix of the other side", {"SoftOrthogonalRegularizer": OtherSide}),
    Mutant("a Gram matrix without the identity", {"SoftOrthogonalRegularizer": NoIdentity}),
    Mutant("the root of the distance", {"SoftOrthogonalRegularizer": RootOfDistance}),
    Mutant("one side only", {"SoftOrthogonalRegularizer": OneSideOnly}),
    Mutant(
        "coherence without the diagonal", {"SoftOrthogonalRegularizer": CoherenceWithoutDiagonal}
    ),
    Mutant("the Frobenius norm for the spectral one", {"SpectralRegularizer": FrobeniusNorm}),
    Mutant("power iteration from ones", {"SpectralRegularizer": PowerIterationFromOnes}),
    Mutant("too few squarings", {"SpectralRegularizer": TooFewSquarings}),
    Mutant("the spectral norm without a square", {"SpectralRegularizer": NoSquare}),
    Mutant("the square of the spectral norm without a half", {"SpectralRegularizer": NoHalf}),
    Mutant("rows for columns", {"OrthogonalRegularizer": RowsForColumns}),
    Mutant("diagonal counted", {"OrthogonalRegularizer": DiagonalCounted}),
]
