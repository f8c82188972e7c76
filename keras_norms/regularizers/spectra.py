"""Penalties on the spectrum of a kernel: `OrthogonalRegularizer`."""

import dataclasses
import math
from typing import final

import keras
from keras import ops

from keras_norms.config import nonnegative, parameter
from keras_norms.numerics.groups import as_rows
from keras_norms.numerics.norms import l2_or_one, magnitude
from keras_norms.regularizers.base import Regularizer

_registered = keras.saving.register_keras_serializable("keras_norms")


def _mode(name, value):
    if value not in ("rows", "columns"):
        raise ValueError(  # in the words of Keras
            f'Invalid value for argument `{name}`. Expected one of {{"rows", "columns"}}. '
            f"Received: {name}={value}"
        )
    return value


@_registered
@final
@dataclasses.dataclass(frozen=True)
class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean of `abs(cos)` over all pairs of rows, or of columns.

    A kernel of any rank is read as a matrix `(everything else, last axis)`, so that the columns
    are the units of a Dense layer and the filters of a convolution. A zero vector is orthogonal
    to every other. With fewer than two vectors there are no pairs, and the penalty is 0.

    If there are more vectors than each of them has entries, they cannot all be orthogonal: on a
    tall kernel, `mode="rows"` never reaches 0.

    Args:
        factor: The factor, not negative.
        mode: "rows" or "columns", the vectors that should be orthogonal.

    Raises:
        ValueError: If `factor` is negative or not finite, `mode` is unknown, or the weight is a
            scalar or of unknown shape.
        TypeError: If `factor` is not a number.

    Example:
    >>> import keras_norms as kn
    >>> penalty = kn.OrthogonalRegularizer(1.0, mode="columns")
    >>> round(float(penalty([[3.0, 0.0], [4.0, 2.0]])), 6)
    0.8
    """

    factor: float = parameter(nonnegative, 0.01, is_factor=True)
    mode: str = parameter(_mode, "rows")

    def why_never_zero(self, shape):
        """Vectors cannot all be orthogonal if there are more of them than each has entries."""
        vectors, entries = self._count(shape)
        if vectors <= max(entries, 1):  # a single vector has no pairs
            return None
        return f"{vectors} {self.mode} of {entries} entries cannot all be orthogonal"

    def reaching_zero(self, shape):
        """A copy with the other mode if there are more vectors than entries, else itself."""
        if self.why_never_zero(shape) is None:
            return self
        return dataclasses.replace(self, mode="columns" if self.mode == "rows" else "rows")

    def _count(self, shape):
        """How many vectors there are, and how many entries each has."""
        *others, columns = shape or (0,)  # a scalar has no vectors
        rows = math.prod(others)
        return (rows, columns) if self.mode == "rows" else (columns, rows)

    def compute_penalty(self, x):
        """The mean absolute cosine over all pairs of vectors, times the factor."""
        rank = len(x.shape)
        if rank == 0:
            raise ValueError("OrthogonalRegularizer needs vectors. Received: a scalar weight")
        if None in tuple(x.shape):
            raise ValueError(
                "OrthogonalRegularizer is for weights, whose shape is known. "
                f"Received: shape={tuple(x.shape)}"
            )
        inside = (rank - 1,) if self.mode == "rows" else tuple(range(rank - 1))
        vectors = as_rows(x, inside)
        count = vectors.shape[0]
        if count < 2:
            return ops.zeros((), dtype=x.dtype)
        vectors = vectors / l2_or_one(vectors, (1,))
        cosines = vectors @ ops.transpose(vectors)  # `ops.matmul` rounds float64 on PyTorch
        pairs = magnitude(cosines * (1 - ops.eye(count, dtype=x.dtype)))
        return self.factor * (ops.sum(pairs) / (count * (count - 1)))
