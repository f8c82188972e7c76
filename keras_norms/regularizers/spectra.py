"""Penalties on the spectrum of a kernel: how orthogonal it is, and its largest singular value."""

import dataclasses
import math
from typing import final

import keras
from keras import ops

from keras_norms.config import nonnegative, one_of, parameter
from keras_norms.numerics.entries import magnitude
from keras_norms.numerics.groups import Axis, as_rows, axis_of, groups_and_size
from keras_norms.numerics.norms import in_units_near_peak, l2_or_one
from keras_norms.numerics.spectra import gram, smooth_spectral_bound
from keras_norms.numerics.summation import total_of_all
from keras_norms.regularizers.base import Regularizer, times

_registered = keras.saving.register_keras_serializable("keras_norms")


def _mode(name, value):
    if not isinstance(value, str) or value not in ("rows", "columns"):
        raise ValueError(  # in the words of Keras
            f'Invalid value for argument `{name}`. Expected one of {{"rows", "columns"}}. '
            f"Received: {name}={value}"
        )
    return value


def _check_known(regularizer, x):
    if None in tuple(x.shape):
        raise ValueError(
            f"{type(regularizer).__name__} is for weights, whose shape is known. "
            f"Received: shape={tuple(x.shape)}"
        )


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

    def _axes_in(self, shape):
        if not shape:
            raise ValueError("OrthogonalRegularizer needs vectors. Received: a scalar weight")
        return ()

    def compute_penalty(self, x):
        """The mean absolute cosine over all pairs of vectors, times the factor."""
        self.axes_for(x)
        _check_known(self, x)
        rank = len(x.shape)
        inside = (rank - 1,) if self.mode == "rows" else tuple(range(rank - 1))
        vectors = as_rows(x, inside)
        count = vectors.shape[0]
        if count < 2:
            return ops.zeros((), dtype=x.dtype)

        def penalty(vectors):
            vectors, _ = in_units_near_peak(vectors, (1,))
            vectors = vectors / l2_or_one(vectors, (1,))
            cosines = vectors @ ops.transpose(vectors)  # `ops.matmul` rounds float64 on PyTorch
            pairs = magnitude(cosines * (1 - ops.eye(count, dtype=x.dtype)))
            return total_of_all(pairs) / (count * (count - 1))

        return times(self.factor, penalty, vectors)


# The names in the paper, and ours, which say what is summed.
_SOFT_MODES = {"so": "frobenius", "dso": "double", "mc": "coherence"}


def _soft_mode(name, value):
    value = one_of(*_SOFT_MODES.values(), *_SOFT_MODES)(name, value)
    return _SOFT_MODES.get(value, value)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class SoftOrthogonalRegularizer(Regularizer):
    """How far the groups are from being orthonormal: a penalty for orthogonal kernels.

    `W` is the matrix whose rows are the groups, and `I` is an identity matrix:
    - "frobenius" (or "so"): `factor * sum((W @ W.T - I)**2)`;
    - "double" ("dso"): the same, plus `factor * sum((W.T @ W - I)**2)`;
    - "coherence" ("mc"): `factor * max(abs(W @ W.T - I))`, which one pair of groups decides, or
      the norm of one group.

    More groups than each has entries cannot be orthonormal, and then the penalty is never 0; nor is
    "double" for any matrix that is not square. Unlike `OrthogonalRegularizer`, it also draws the
    norm of each group to 1.

    Args:
        factor: The factor, not negative.
        mode: "frobenius", "double" or "coherence".
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If `factor` is negative or not finite, `mode` is unknown, `axis` names an axis
            twice or one that the weight lacks, or the shape of the weight is not known.
        TypeError: If `factor` is not a number, or `axis` not made of integers.

    Source: Bansal, Chen, Wang, "Can We Gain More from Orthogonality Regularizations in Training
    Deep CNNs?", NeurIPS 2018.

    Example:
    >>> import keras_norms as kn
    >>> float(kn.SoftOrthogonalRegularizer(0.5)([[2.0, 0.0], [0.0, 1.0]]))  # (2 * 2 - 1)**2 / 2
    4.5
    """

    factor: float = parameter(nonnegative, 0.01, is_factor=True)
    mode: str = parameter(_soft_mode, "frobenius")
    axis: Axis = parameter(axis_of, 0)

    @classmethod
    def examples(cls):
        """One with each mode."""
        return [cls(0.5, mode) for mode in _SOFT_MODES.values()]

    def why_never_zero(self, shape):
        """Only so many groups as each has entries can be orthonormal; "double" needs a square."""
        groups, size = self._count(shape)
        if self.mode == "double" and groups != size:
            return f"a matrix of {groups} by {size} is orthogonal on one side only"
        if groups > size:
            return f"{groups} groups of {size} entries cannot all be orthogonal"
        return None

    def reaching_zero(self, shape):
        """A copy of a mode that can be 0, of the columns of the matrix if there are fewer."""
        if self.why_never_zero(shape) is None:
            return self
        mode = "frobenius" if self.mode == "double" else self.mode
        groups, size = self._count(shape)
        if groups <= size:
            return dataclasses.replace(self, mode=mode)
        inside = self.group_axes(len(shape))
        outside = tuple(a for a in range(len(shape)) if a not in inside)
        axis = outside[0] if len(outside) == 1 else outside
        return dataclasses.replace(self, mode=mode, axis=axis)

    def _count(self, shape):
        """How many groups there are, and how many entries each has."""
        return groups_and_size(shape, self.group_axes(len(shape)))

    def compute_penalty(self, x):
        """The distance of the Gram matrix from the identity, times the factor."""
        _check_known(self, x)
        return times(self.factor, self._distance, as_rows(x, self.axes_for(x)))

    def _distance(self, rows):
        """The distance of the Gram matrix of some groups from the identity."""
        groups, size = rows.shape
        if groups == 0:
            return ops.zeros((), dtype=rows.dtype)
        if self.mode == "coherence":
            off = rows @ ops.transpose(rows) - ops.eye(groups, dtype=rows.dtype)
            return ops.amax(magnitude(off))
        smaller = gram(rows) - ops.eye(min(groups, size), dtype=rows.dtype)
        # The larger Gram matrix has the same eigenvalues, and zeros, each of which is 1 off.
        distance = total_of_all(smaller * smaller)
        if self.mode == "double":
            return 2 * distance + abs(groups - size)
        return distance + max(groups - size, 0)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class SpectralRegularizer(Regularizer):
    """`factor / 2 * s**2`, where `s` is the largest singular value of the groups, as a matrix.

    `s` is an upper bound of it by Gram iteration, at most 0.1 % above it, which is smooth and does
    not depend on random numbers. It takes some 10 products of the smaller Gram matrix with itself.
    For a convolution, `s` is that of the reshaped kernel; the convolution's own largest singular
    value is at most the square root of the window's size times it.

    Args:
        factor: The factor, not negative.
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If `factor` is negative or not finite, `axis` names an axis twice or one that
            the weight lacks, or the shape of the weight is not known.
        TypeError: If `factor` is not a number, or `axis` not made of integers.

    Source: Yoshida, Miyato, "Spectral Norm Regularization for Improving the Generalizability of
    Deep Learning", 2017.

    Example:
    >>> import keras_norms as kn
    >>> round(float(kn.SpectralRegularizer(0.5)([[3.0, 0.0], [0.0, 1.0]])), 4)  # 3**2 / 4
    2.25
    """

    factor: float = parameter(nonnegative, 0.01, is_factor=True)
    axis: Axis = parameter(axis_of, 0)
    is_transposable = True

    def compute_penalty(self, x):
        """Half of the square of the spectral bound, times the factor."""
        _check_known(self, x)
        axes = self.axes_for(x)
        if math.prod(x.shape) == 0 or self.factor == 0:
            return ops.zeros((), dtype=x.dtype)
        bound = smooth_spectral_bound(x, axes)
        return self.factor / 2 * (bound * bound)
