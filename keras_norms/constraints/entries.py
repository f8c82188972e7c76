"""Constraints on single entries: `NonNeg` and `Clip`."""

import dataclasses
import math
from typing import final

import keras

from keras_norms.config import check_ascending, limit, parameter
from keras_norms.constraints.base import Constraint
from keras_norms.numerics.projections import onto_box, onto_orthant

_registered = keras.saving.register_keras_serializable("keras_norms")


@_registered
@final
@dataclasses.dataclass(frozen=True)
class NonNeg(Constraint):
    """Entries that are not negative: the nearest point, `max(w, 0)`.

    Elementwise, so there are no groups and no `axis`.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.NonNeg()([-1.0, 2.0])))
    [0. 2.]
    """

    convex = True
    is_exact = True

    def compute_projection(self, w, axes):
        """Negative entries become 0."""
        return onto_orthant(w)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class Clip(Constraint):
    """Entries in [min_value, max_value]: the nearest point, `min(max(w, min_value), max_value)`.

    Elementwise, so there are no groups and no `axis`.

    Args:
        min_value: The smallest entry, `-inf` for no lower bound.
        max_value: The largest entry, not below `min_value`, `inf` for no upper bound.

    Raises:
        ValueError: If a bound is NaN, or `min_value > max_value`.
        TypeError: If a bound is not a number.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.Clip(-0.5, 0.5)([-1.0, 0.25, 2.0])))
    [-0.5   0.25  0.5 ]
    """

    min_value: float = parameter(limit)
    max_value: float = parameter(limit)
    convex = True

    def __post_init__(self):
        super().__post_init__()
        check_ascending(self)

    @classmethod
    def examples(cls):
        """One with two bounds, and one with an upper bound only."""
        return [cls(-0.5, 1.5), cls(-math.inf, 0.5)]

    def compute_projection(self, w, axes):
        """Each entry at its nearest point of the interval."""
        return onto_box(w, self.min_value, self.max_value)
