"""Constraints: sets that weights are put back into after every optimizer step.

Drop-in for `keras.constraints`: the same names, arguments, defaults and config keys. Groups and
`axis` are explained in `keras_norms.groups` and in docs/max-norm.md.
"""

import dataclasses
import math
from typing import final

import keras
from keras import ops

from keras_norms.config import (
    Several,
    by_name,
    find,
    fraction,
    limit,
    nonnegative,
    parameter,
    positive,
)
from keras_norms.constraint import Constraint
from keras_norms.groups import axis_of
from keras_norms.norms import l2
from keras_norms.projections import (
    clip,
    onto_box,
    onto_l2_ball,
    onto_orthant,
    onto_shell,
    onto_unit_sphere,
)
from keras_norms.thresholds import onto_l1_ball, onto_simplex

_registered = keras.saving.register_keras_serializable("keras_norms")

_ORDERS = {1: 1, 2: 2, "inf": "inf", math.inf: "inf"}  # JSON has no infinity


def _order(name, value):
    if isinstance(value, (int, float, str)) and not isinstance(value, bool) and value in _ORDERS:
        return _ORDERS[value]
    raise ValueError(f'`{name}` must be 1, 2 or "inf". Received: {name}={value!r}')


@_registered
@final
@dataclasses.dataclass(frozen=True)
class MaxNorm(Constraint):
    """Groups of norm at most `max_value`: the nearest point.

    A group inside the ball comes back bit for bit. One outside:
    - under `ord=2`, the Euclidean norm, is scaled: `w * max_value / max(norm, max_value)`. Finite
      and feasible for every finite weight; a group of norm above 1.8e19, whose square overflows
      float32, becomes zero.
    - under `ord=1`, the sum of absolute values, has them all lowered by one number, and small
      entries become zero: `sign(w) * max(abs(w) - theta, 0)`. Not a scaling. On JAX it has no
      gradient, and an eager call compiles its loop anew; training compiles it once.
    - under `ord="inf"`, the largest absolute value, is clipped.

    Args:
        max_value: The largest norm, positive. Typical with dropout: 3 to 4.
        axis: The axes inside a group: an integer, several, or None for the whole tensor.
            0 is one norm per unit of a Dense layer; `(0, 1, 2)` one per Conv2D filter.
        ord: The norm: 1, 2 or "inf".

    Raises:
        ValueError: If `max_value` is not positive and finite, `ord` is another, or `axis` names an
            axis twice.
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
    axis: int | tuple[int, ...] | None = parameter(axis_of, 0)
    ord: int | str = parameter(_order, 2)
    convex = True

    def _project(self, w, axes):
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

    A zero group stays zero, since every direction is equally near; its `excess` is 1. Exact for
    norms from 1e-18 to 1e18 in float32; a group whose squares underflow counts as zero.

    Args:
        axis: The axes inside a group: an integer, several, or None for the whole tensor.

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

    axis: int | tuple[int, ...] | None = parameter(axis_of, 0)

    def _project(self, w, axes):
        return onto_unit_sphere(w, axes)

    def _distance(self, w, axes):
        return ops.abs(l2(w, axes) - 1)


def _ordered(bounds):
    if bounds.min_value > bounds.max_value:
        raise ValueError(
            "`min_value` must not exceed `max_value`. "
            f"Received: min_value={bounds.min_value:g}, max_value={bounds.max_value:g}"
        )


@_registered
@final
@dataclasses.dataclass(frozen=True)
class MinMaxNorm(Constraint):
    """Groups of Euclidean norm in [min_value, max_value]: the nearest point, by radial scaling.

    One training step goes `rate` of the way:
    `w * (1 - rate + rate * clip(norm, min_value, max_value) / norm)`. `project` goes all of it.
    A zero group stays zero; its `excess` is `min_value`.

    Args:
        min_value: The smallest norm, not negative.
        max_value: The largest norm, positive and not below `min_value`.
        rate: The part of the way that one step goes, in [0, 1].
        axis: The axes inside a group: an integer, several, or None for the whole tensor.

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
    axis: int | tuple[int, ...] | None = parameter(axis_of, 0)

    def __post_init__(self):
        super().__post_init__()
        _ordered(self)

    def _project(self, w, axes):
        return onto_shell(w, axes, self.min_value, self.max_value)

    def _step(self, w, axes):
        return onto_shell(w, axes, self.min_value, self.max_value, self.rate)

    def _distance(self, w, axes):
        norm = l2(w, axes)
        return ops.abs(norm - clip(norm, self.min_value, self.max_value))


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

    def _project(self, w, axes):
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
        _ordered(self)

    def _project(self, w, axes):
        return onto_box(w, self.min_value, self.max_value)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class Simplex(Constraint):
    """Groups of entries that are not negative and sum to `total`: the nearest point.

    `max(w - theta, 0)`, with theta such that the group sums to `total`: small entries become zero.
    A group that is inside already comes back bit for bit, in float32 and float64. On JAX it has no
    gradient, and an eager call compiles its loop anew; training compiles it once.

    Args:
        total: The sum of a group, positive.
        axis: The axes inside a group: an integer, several, or None for the whole tensor.

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
    axis: int | tuple[int, ...] | None = parameter(axis_of, 0)
    convex = True

    def _project(self, w, axes):
        return onto_simplex(w, axes, self.total)


def _member(value):
    constraint = get(value)
    if getattr(type(constraint), "_project", Constraint._project) is Constraint._project:
        raise TypeError(
            "A Chain is made of the constraints of keras_norms, or of subclasses of its "
            f"`Constraint` that define `_project`. Received: {value!r}"
        )
    return constraint


@_registered
@final
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Chain(Several, Constraint):
    """Several constraints, one after the other.

    Weights end in the last set. They stay in the earlier ones too, and at the nearest point of
    them all, where `NonNeg` comes before a `MaxNorm` with Euclidean norm. In other orders a later
    constraint may leave an earlier set. `excess` is the distance to what the chain makes of the
    weights: 0 where it changes nothing.

    The group of a chain is the smallest that holds a group of each member.

    Args:
        *constraints: Two or more constraints, or what `get` takes.

    Raises:
        ValueError: If there are fewer than two, or a name is unknown.
        TypeError: If one of them is not a constraint of keras_norms.

    Example:
    >>> import keras, keras_norms as kn
    >>> chain = kn.Chain(kn.NonNeg(), kn.MaxNorm(1.0))
    >>> print(keras.ops.convert_to_numpy(chain([[3.0, -0.3], [4.0, 0.4]])))
    [[0.6 0. ]
     [0.8 0.4]]
    """

    constraints: tuple[Constraint, ...] = parameter(_member)

    def along(self, axis):
        """The same chain with other axes inside a group of each member that has groups."""
        return Chain(*[c.along(axis) for c in self.constraints])

    def _axes(self, rank):
        return tuple(sorted({a for c in self.constraints for a in c._axes(rank)}))

    def _project(self, w, axes):
        for constraint in self.constraints:
            w = constraint._project(w, constraint._axes(len(w.shape)))
        return w

    def _step(self, w, axes):
        for constraint in self.constraints:
            w = constraint._step(w, constraint._axes(len(w.shape)))
        return w


max_norm = MaxNorm
unit_norm = UnitNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg

CLASSES = by_name(MaxNorm, UnitNorm, MinMaxNorm, NonNeg, Clip, Simplex, Chain)


def get(identifier):
    """The constraint that `identifier` stands for.

    Args:
        identifier: None, a name ("max_norm" or "MaxNorm"), a config dict, a class, or any
            other callable, which is returned as it is.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is none of these.

    Example:
    >>> from keras_norms import constraints
    >>> constraints.get("max_norm")
    MaxNorm(max_value=2.0, axis=0, ord=2)
    """
    return find(identifier, CLASSES, "constraint")


def serialize(constraint):
    """The config dict of a constraint, from which `deserialize` makes an equal one.

    Example:
    >>> from keras_norms import constraints
    >>> constraints.serialize(constraints.MaxNorm(3.0))["config"]
    {'max_value': 3.0, 'axis': 0, 'ord': 2}
    """
    return keras.saving.serialize_keras_object(constraint)


def deserialize(config, custom_objects=None):
    """The constraint that `serialize` made `config` from.

    Args:
        config: A config dict.
        custom_objects: Classes by name, for constraints that are not registered.

    Example:
    >>> from keras_norms import constraints
    >>> constraints.deserialize(constraints.serialize(constraints.MaxNorm(3.0)))
    MaxNorm(max_value=3.0, axis=0, ord=2)
    """
    return keras.saving.deserialize_keras_object(
        config, custom_objects=custom_objects, module_objects=CLASSES
    )
