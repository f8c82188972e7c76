"""Constraints on the sum of a group: `Simplex` and `ZeroMean`."""

import dataclasses
from typing import final

import keras

from keras_norms.config import parameter, positive
from keras_norms.constraints.base import Constraint
from keras_norms.numerics.groups import Axis, axis_of
from keras_norms.numerics.projections import onto_sum_zero
from keras_norms.numerics.thresholds import onto_simplex

_registered = keras.saving.register_keras_serializable("keras_norms")


@_registered
@final
@dataclasses.dataclass(frozen=True)
class Simplex(Constraint):
    """Groups of entries that are not negative and sum to `total`: the nearest point.

    The map is `max(w - theta, 0)`, with theta such that the group sums to `total`, so small entries
    become zero. The Euclidean norm of all errors of a group is at most
    `(4 + log2(n)) * eps * total`. In float32 and float64, a group that is in the set already does
    not change. In compiled code on JAX, the map has no gradient.

    Args:
        total: The sum of a group, positive.
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If `total` is not positive and finite, or `axis` names an axis twice.
        TypeError: If `total` is not a number, or `axis` not made of integers.

    Source: Michelot, "A finite algorithm for finding the projection of a point onto the canonical
    simplex of R^n", JOTA 50, 1986.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.Simplex()([0.5, 0.75, -3.5])))
    [0.375 0.625 0.   ]
    """

    total: float = parameter(positive, 1)
    axis: Axis = parameter(axis_of, 0)
    convex = True

    def _axes_in(self, shape):
        axes = self.group_axes(len(shape))
        if any(shape[a] == 0 for a in axes):
            raise ValueError(
                f"A group without entries cannot sum to {self.total}. Received: shape={shape}"
            )
        return axes

    def compute_projection(self, w, axes):
        """Each group at its nearest point of the simplex."""
        return onto_simplex(w, axes, self.total)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class ZeroMean(Constraint):
    """Groups whose entries sum to 0: the nearest point, `w - mean(w)`.

    Under weight centering, a unit does not react to what is added to all of its inputs. The
    Euclidean norm of the error of a group is at most `(4 + log2(n)) * eps` times the norm of the
    result, for entries of at least `2e-38 * n` in groups of n; smaller ones may stay as they are.
    A group whose mean is 0 up to rounding does not change. `Chain(ZeroMean(), MaxNorm(c))`
    is the nearest point of both sets, and in this order only.

    Args:
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If `axis` names an axis twice.
        TypeError: If `axis` is not made of integers.

    Source: Huang et al., "Centered Weight Normalization in Accelerating Training of Deep Neural
    Networks", ICCV 2017.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.ZeroMean()([0.5, 2.0, -1.0])))
    [ 0.   1.5 -1.5]
    """

    axis: Axis = parameter(axis_of, 0)
    convex = True

    def compute_projection(self, w, axes):
        """Each group less its mean."""
        return onto_sum_zero(w, axes)
