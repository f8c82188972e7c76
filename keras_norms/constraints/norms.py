"""Constraints on norms: `MaxNorm`, `UnitNorm` and `MinMaxNorm`."""

import dataclasses
import math
import numbers
from typing import final

import keras
from keras import ops

from keras_norms.config import check_ascending, fraction, nonnegative, parameter, positive
from keras_norms.constraints.base import Constraint
from keras_norms.numerics.entries import clip
from keras_norms.numerics.groups import Axis, axis_of
from keras_norms.numerics.norms import l2_of_any_size
from keras_norms.numerics.projections import (
    onto_box,
    onto_l2_ball,
    onto_shell,
    onto_unit_sphere,
)
from keras_norms.numerics.thresholds import onto_l1_ball

_registered = keras.saving.register_keras_serializable("keras_norms")

_ORDERS = {1: 1, 2: 2, "inf": "inf", math.inf: "inf"}  # JSON has no infinity


def _order(name, value):
    if isinstance(value, (numbers.Real, str)) and not isinstance(value, bool) and value in _ORDERS:
        return _ORDERS[value]
    raise ValueError(f'`{name}` must be 1, 2 or "inf". Received: {name}={value!r}')


@_registered
@final
@dataclasses.dataclass(frozen=True)
class MaxNorm(Constraint):
    """Groups of norm at most `max_value`: the nearest point.

    A group within the bound does not change. What becomes of a group beyond it depends on `ord`:
    - 2, the Euclidean norm: the group is scaled, `w * max_value / max(norm, max_value)`. The result
      is finite and within the bound for every finite weight. With a bound between 7.1e-15 and
      2.8e14, a group of norm above 1.8e19, whose square overflows float32, becomes zero; a single
      entry is clipped, whatever its size.
    - 1, the sum of absolute values: each of them is lowered by one number, theta, and small entries
      become zero: `sign(w) * max(abs(w) - theta, 0)`. This is not a scaling. In compiled code on
      JAX, it has no gradient.
    - "inf", the largest absolute value: the entries are clipped, whatever the axis. Only
      `excess` has one number per group.

    Args:
        max_value: The largest norm, positive. Typical with dropout: 3 to 4.
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.
        ord: The norm: 1, 2 or "inf".

    Raises:
        ValueError: If `max_value` is not positive and finite, `ord` is none of these, or `axis`
            names an axis twice.
        TypeError: If `max_value` is not a number, or `axis` not made of integers.

    Source: Srebro, Rennie, Jaakkola, "Maximum-Margin Matrix Factorization", NIPS 2004;
    with dropout: Srivastava et al., "Dropout", JMLR 15, 2014, section 5.1;
    `ord=1`: Duchi et al., "Efficient projections onto the l1-ball", ICML 2008.

    Example:
    >>> import keras, keras_norms as kn
    >>> w = [[3.0, 0.3], [4.0, 0.4]]  # a Dense kernel: 2 inputs, 2 units of norm 5 and 0.5
    >>> print(keras.ops.convert_to_numpy(kn.MaxNorm(1.0)(w)))
    [[0.6 0.3]
     [0.8 0.4]]
    >>> print(keras.ops.convert_to_numpy(kn.MaxNorm(2.0, ord=1)([0.5, 2.0, -3.5])))
    [ 0.    0.25 -1.75]
    """

    max_value: float = parameter(positive, 2)
    axis: Axis = parameter(axis_of, 0)
    ord: int | str = parameter(_order, 2, in_keras=False)
    convex = True

    @classmethod
    def examples(cls):
        """One with each order, and one group for the whole tensor."""
        return [cls(1.5), cls(1.5, axis=None), cls(1.5, ord=1), cls(1.5, ord="inf")]

    @property
    def has_groups(self):
        """Whether it depends on the axis: if `ord` is "inf", each entry is clipped by itself."""
        return self.ord != "inf"

    @property
    def norm_bounds(self):
        """0 and `max_value` if `ord` is 2; the other orders bound another norm."""
        return 0.0, self.max_value if self.ord == 2 else math.inf

    def compute_projection(self, w, axes):
        """Each group at its nearest point of the ball."""
        return _ONTO_BALL[self.ord](w, axes, self.max_value)


_ONTO_BALL = {
    1: onto_l1_ball,
    2: onto_l2_ball,
    "inf": lambda w, axes, radius: onto_box(w, -radius, radius),
}


@_registered
@final
@dataclasses.dataclass(frozen=True)
class UnitNorm(Constraint):
    """Groups of Euclidean norm 1: the nearest point, by radial scaling.

    A zero group stays zero, because every direction is equally near; its `excess` is 1. The map is
    exact for norms from `1e-15 * sqrt(n)` to 1e18 in float32, in groups of n entries. A group whose
    squares underflow counts as zero, and one of norm above 1.8e19, whose square overflows, becomes
    zero. A single entry becomes its sign, whatever its size.

    Args:
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If `axis` names an axis twice.
        TypeError: If `axis` is not made of integers.

    Example:
    >>> import keras, keras_norms as kn
    >>> w = [[3.0, 0.0], [4.0, 0.0]]
    >>> print(keras.ops.convert_to_numpy(kn.UnitNorm()(w)))
    [[0.6 0. ]
     [0.8 0. ]]
    >>> print(keras.ops.convert_to_numpy(kn.UnitNorm().excess(w)))
    [4. 1.]
    """

    axis: Axis = parameter(axis_of, 0)
    keeps_zero_groups = True

    @property
    def norm_bounds(self):
        """Both are 1."""
        return 1.0, 1.0

    def compute_projection(self, w, axes):
        """Each group divided by its norm."""
        return onto_unit_sphere(w, axes)

    def compute_excess(self, w, axes):
        """How far each norm is from 1; for a zero group too, which the projection does not move."""
        return ops.abs(l2_of_any_size(w, axes) - 1)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class MinMaxNorm(Constraint):
    """Groups of Euclidean norm in [min_value, max_value]: the nearest point, by radial scaling.

    One training step goes `rate` of the way:
    `w * (1 - rate + rate * clip(norm, min_value, max_value) / norm)`. `project` goes all the way.
    A zero group stays zero; its `excess` is `min_value`. With bounds between 7.1e-15 and 2.8e14,
    norms from `1e-15 * sqrt(n)` to 1e18 are exact in float32, in groups of n entries: a group whose
    squares underflow counts as zero, and one of norm above 1.8e19, whose square overflows, becomes
    zero. Single entries are exact, whatever their size.

    Args:
        min_value: The smallest norm, not negative.
        max_value: The largest norm, positive and not below `min_value`.
        rate: The part of the way that one step goes, in [0, 1].
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If a bound or `rate` is out of its range, `min_value > max_value`, or `axis`
            names an axis twice.
        TypeError: If a bound or `rate` is not a number, or `axis` not made of integers.

    Example:
    >>> import keras, keras_norms as kn
    >>> w = [[3.0, 0.3], [4.0, 0.4]]  # norms 5 and 0.5
    >>> print(keras.ops.convert_to_numpy(kn.MinMaxNorm(1.0, 2.5)(w)))
    [[1.5 0.6]
     [2.  0.8]]
    >>> print(keras.ops.convert_to_numpy(kn.MinMaxNorm(1.0, 2.5, rate=0.5)([[3.0], [4.0]])))
    [[2.25]
     [3.  ]]
    """

    min_value: float = parameter(nonnegative, 0)
    max_value: float = parameter(positive, 1)
    rate: float = parameter(fraction, 1)
    axis: Axis = parameter(axis_of, 0)
    keeps_zero_groups = True

    def __post_init__(self):
        super().__post_init__()
        check_ascending(self)

    @classmethod
    def examples(cls):
        """One with both bounds."""
        return [cls(0.5, 1.5)]

    @property
    def norm_bounds(self):
        """From `min_value` to `max_value`."""
        return self.min_value, self.max_value

    @property
    def step_rate(self):
        """`rate`."""
        return self.rate

    def at_full_rate(self):
        """The same bounds with `rate=1`."""
        return dataclasses.replace(self, rate=1.0)

    def compute_projection(self, w, axes):
        """Each group scaled all of the way to the nearest norm between the bounds."""
        return onto_shell(w, axes, self.min_value, self.max_value)

    def compute_step(self, w, axes):
        """Each group scaled by `rate` of the way."""
        return onto_shell(w, axes, self.min_value, self.max_value, self.rate)

    def compute_excess(self, w, axes):
        """How far each norm is outside the bounds; for a zero group too, which does not move."""
        norm = l2_of_any_size(w, axes)
        return ops.abs(norm - clip(norm, self.min_value, self.max_value))
