"""Constraints on the singular values of a kernel: `MaxSpectralNorm` and `Orthogonal`.

The matrix has one row for each group: for a Dense kernel and axis 0, it is the transposed kernel.
"""

import dataclasses
import math
from typing import final

import keras

from keras_norms.config import one_of, parameter, positive
from keras_norms.constraints.base import Constraint
from keras_norms.numerics.groups import Axis, axis_of
from keras_norms.numerics.spectral_sets import (
    onto_orthonormal,
    onto_spectral_ball,
    scaled_into_spectral_ball,
)

_registered = keras.saving.register_keras_serializable("keras_norms")

_INTO_BALL = {"clip": onto_spectral_ball, "scale": scaled_into_spectral_ball}


class _Spectral(Constraint):
    """A set of matrices, so that no group is by itself."""

    has_coupled_groups = True
    is_transposable = True

    def compute_projection(self, w, axes):
        """The whole weight put into the set; an empty one stays."""
        return self._put(w, axes) if math.prod(w.shape) else w


@_registered
@final
@dataclasses.dataclass(frozen=True)
class MaxSpectralNorm(_Spectral):
    """Groups that, as the rows of a matrix, have singular values of at most `max_value`.

    The largest singular value bounds how much a Dense layer stretches any input: its Lipschitz
    constant.
    - "clip", the nearest point: singular values above `max_value` become `max_value`, the others
      stay. The result exceeds the bound by at most 1e-5 of it, and is within 1e-5 of the largest
      singular value of the weight from the nearest point; of a weight far outside, also within 1e-4
      of the bound times the ratio of its largest singular value to its smallest. A weight within
      1e-5 of the bound does not change.
    - "scale": the weight is divided by one number, as spectral normalization does, which is cheaper
      and not the nearest point. The number is an upper bound of the largest singular value, at most
      0.1 % above it, so a weight that close to `max_value` becomes smaller, too.

    Both use products of matrices only, and have no gradient in compiled code on JAX; nor has "clip"
    where TensorFlow compiles by XLA. For n groups of m >= n entries, "scale" needs the Gram matrix,
    and squares it up to 11 times for n = 512: not at all if all singular values are alike, and few
    times if one is the largest by far. "clip" takes up to 20 products of n by n matrices for a
    weight in the set, else one to three passes of 90 products, a third of them n by n by m, and one
    more for each factor of 64 between the bound and the largest singular value. In float16 and
    bfloat16, singular values may exceed the bound by the rounding of entries.

    A convolution with this kernel, as an operator on images, has a norm of at most the square root
    of the window's size times `max_value`, and mostly far less; `conv_spectral_bound` bounds it
    directly.

    Args:
        max_value: The largest singular value, positive.
        mode: "clip" or "scale".
        axis: The axes inside a group: an integer, several, or None for the whole tensor, whose only
            singular value is its norm.

    Raises:
        ValueError: If `max_value` is not positive and finite, `mode` is unknown, or `axis` names an
            axis twice.
        TypeError: If `max_value` is not a number, or `axis` not made of integers.

    Source: Sedghi, Gupta, Long, "The Singular Values of Convolutional Layers", ICLR 2019 (clip);
    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018 (scale);
    Delattre et al., "Efficient Bound of Lipschitz Constant for Convolutional Layers by Gram
    Iteration", ICML 2023 (the bound).

    Example:
    >>> import keras, keras_norms as kn
    >>> w = [[3.0, 0.0], [0.0, 0.5]]
    >>> print(keras.ops.convert_to_numpy(kn.MaxSpectralNorm(1.5)(w)).round(4))
    [[1.5 0. ]
     [0.  0.5]]
    >>> print(keras.ops.convert_to_numpy(kn.MaxSpectralNorm(1.5, mode="scale")(w)).round(4))
    [[1.5  0.  ]
     [0.   0.25]]
    """

    max_value: float = parameter(positive, 1)
    mode: str = parameter(one_of(*_INTO_BALL), "clip")
    axis: Axis = parameter(axis_of, 0)

    @classmethod
    def examples(cls):
        """One with each mode."""
        return [cls(1.5, mode) for mode in _INTO_BALL]

    @property
    def convex(self):
        """Whether the map is that of a convex set: "scale" does not go to the nearest point."""
        return self.mode == "clip"

    @property
    def inexactness(self):
        """What the docstring promises for "clip"; the bound by which "scale" goes is exact."""
        return 1e-5 if self.mode == "clip" else 0.0

    @property
    def norm_bounds(self):
        """A row is not longer than the largest singular value."""
        return 0.0, self.max_value

    def _put(self, w, axes):
        return _INTO_BALL[self.mode](w, axes, self.max_value)

    def compute_excess(self, w, axes):
        """The distance to the nearest point, in both modes."""
        return Constraint.compute_excess(dataclasses.replace(self, mode="clip"), w, axes)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class Orthogonal(_Spectral):
    """Groups that are orthogonal to one another and of norm `gain`: the nearest point.

    If there are more groups than each has entries, they cannot all be orthogonal. Then the columns
    of the matrix of groups are. Either way, its singular values are all `gain`, so a layer with a
    square kernel keeps the norm of its input, and a recurrent kernel neither explodes nor vanishes.

    The map is the polar factor, by Newton-Schulz iterations, times `gain`. Entries of
    `q @ q.T / gain**2` are within `(4 + log2(n)) * eps` of those of the identity matrix, and a
    weight that is as near to it already does not change. Up to a condition number of 1e4, the
    result is within `1e-5 + 1e-6 * condition` times `gain` of the nearest point. Of a weight
    without full rank, each orthogonal completion is as near as any other; this one takes the
    missing directions from cosines of every frequency. In code that XLA compiles, on JAX or
    TensorFlow, it has no gradient.

    After a training step, 2 or 3 iterations of 3 matrix products each are enough. A weight that is
    far from orthogonal takes 11 to 20 of them.

    Args:
        gain: The norm of a group, positive.
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If `gain` is not positive and finite, or `axis` names an axis twice.
        TypeError: If `gain` is not a number, or `axis` not made of integers.

    Source: Björck, Bowie, "An Iterative Algorithm for Computing the Best Estimate of an Orthogonal
    Matrix", SIAM J. Numer. Anal. 8, 1971; Amsel et al., "The Polar Express", 2025.

    Example:
    >>> import keras, keras_norms as kn
    >>> w = [[0.0, 3.0], [-2.0, 0.0]]
    >>> print(keras.ops.convert_to_numpy(kn.Orthogonal()(w)).round(4) + 0.0)
    [[ 0.  1.]
     [-1.  0.]]
    """

    gain: float = parameter(positive, 1)
    axis: Axis = parameter(axis_of, 0)

    @property
    def norm_bounds(self):
        """A group is not longer than `gain`; it is shorter if the columns are orthogonal."""
        return 0.0, self.gain

    def _put(self, w, axes):
        return onto_orthonormal(w, axes, self.gain)
