"""Measures: norms and excess of weights, for constraints of any make: ours, Keras', functions."""

import math

import keras
import numpy as np
from keras import ops

from keras_norms.constraints import Constraint
from keras_norms.keras_internals import is_from_keras
from keras_norms.models.describe import drop_in_of
from keras_norms.numerics.groups import axis_of, canonical_axes, parts_of
from keras_norms.numerics.norms import l2
from keras_norms.numerics.precision import EPS, as_tensor, is_half, lift
from keras_norms.numerics.spectra import spectral_bound
from keras_norms.setting import ask

# The most entries of a weight that are measured at once: 2 MiB of float32, of which a constraint
# makes several copies.
PART = 2**19
# Keras' UnitNorm makes `norm / (1e-7 + norm)` of a norm: from 1e-3 on, that is 1e-4 off at most.
_LEFT_BY_KERAS = 1e-4


def projected(constraint, w):
    """`w` put into the set: by `project` of a constraint of keras_norms, by a call of any other.

    Those of Keras add an epsilon to a norm, so that `w` comes only near to the set: ours stand in.
    """
    constraint = drop_in_of(constraint)
    return constraint.project(w) if isinstance(constraint, Constraint) else constraint(w)


def group_axes_of(constraint, rank):
    """The axes inside a group; `()` for an elementwise set, and for a callable without `axis`."""
    if isinstance(constraint, Constraint):
        return constraint.group_axes(rank)
    if not hasattr(constraint, "axis"):
        return ()
    try:
        return canonical_axes(axis_of("axis", constraint.axis), rank)
    except (TypeError, ValueError):
        if is_from_keras(constraint):
            raise
        return ()  # a user's class may mean something else by `axis`


def excess_axes_of(constraint, rank):
    """The axes that one number of `excess_of` covers: those inside a group; all if coupled."""
    return tuple(range(rank)) if is_coupled(constraint) else group_axes_of(constraint, rank)


def is_coupled(constraint):
    """Whether a constraint says that its groups depend on one another."""
    return isinstance(constraint, Constraint) and constraint.has_coupled_groups


def norms_of(w, axes):
    """The Euclidean norm of each group, as a flat NumPy array.

    Args:
        w: A variable, tensor or array.
        axes: The axes inside a group.
    """
    return _numbers(lambda part: l2(part, axes), _parts(w, axes))


def largest_singular_value(weight):
    """A bound of the largest singular value of the units of a kernel, at most 0.1 % above it.

    It is 0 for a kernel without entries.

    Args:
        weight: A `Weight` that has units.
    """
    w = lift(as_tensor(weight.value))
    if 0 in tuple(w.shape):
        return 0.0
    return float(ops.convert_to_numpy(spectral_bound(w, weight.norm_axes)))


def excess_of(constraint, w, times=1):
    """How far outside its set each group is, as a flat NumPy array in the order of `norms_of`.

    Args:
        constraint: A constraint of any make, or a callable.
        w: A variable, tensor or array.
        times: A number that `w` is multiplied by first.
    """
    axes = excess_axes_of(constraint, len(w.shape))
    if _can_be_measured_in_parts(constraint):
        return _numbers(lambda part: constraint.excess(part * times), _parts(w, axes))
    whole = lift(as_tensor(w)) * times
    if isinstance(constraint, Constraint):
        distances = constraint.excess(whole)
    else:
        distances = l2(whole - constraint(whole), axes)
    return np.ravel(ops.convert_to_numpy(distances))


def _can_be_measured_in_parts(constraint):
    """Whether the excess of some groups is the same without the others.

    A function may look at any part of the weight, and so may a subclass of ours that overrides
    `__call__` only. Groups that depend on each other, as those of singular values, make one part.
    """
    cls = type(constraint)
    return (
        isinstance(constraint, Constraint)
        and cls.compute_projection is not Constraint.compute_projection
    )


def _parts(w, axes):
    """A weight in parts of some groups each, in float32 or float64: sums copy what they sum."""
    w = ops.convert_to_tensor(w)
    return (lift(w[index]) for index in parts_of(w.shape, axes, PART))


def _numbers(function, parts):
    """A function's numbers for all groups, computed for one part of a weight after the other."""
    return np.concatenate([np.ravel(ops.convert_to_numpy(function(part))) for part in parts])


def worst_excess(constraint, w):
    """The largest excess of a group, 0.0 if rounding explains it, and NaN if one is not finite.

    A constraint of Keras also moves weights that are in its set, because it adds an epsilon to
    their norm, and what it makes of a norm of 1e-3 is 1e-4 off; that is no excess either.
    """
    if 0 in tuple(w.shape):
        return 0.0  # nothing of it can be elsewhere
    excess = excess_of(constraint, w)
    if not np.isfinite(excess).all():
        return math.nan
    if not np.any(excess > 0):
        return 0.0
    norms = norms_of(w, excess_axes_of(constraint, len(w.shape)))
    epsilon = 0 if isinstance(constraint, Constraint) else 2 * keras.config.epsilon()
    relative = rounding_of(constraint, w) + (_LEFT_BY_KERAS if _may_end_below(constraint) else 0)
    outside = excess[excess > epsilon + relative * np.maximum(norms, excess)]
    return float(outside.max()) if outside.size else 0.0


def _may_end_below(constraint):
    """Whether it is one of Keras that asks for a least norm, which its epsilon keeps it from."""
    least, _ = ask(drop_in_of(constraint), "norm_bounds", (0, math.inf))
    return is_from_keras(constraint) and least > 0


def rounding_of(constraint, w):
    """How far outside its set rounding alone can put a group, as a part of its norm.

    A norm of n entries can be off by `(4 + log2(n)) * eps`. Ours is computed in float32 at least,
    so that of half precision only the rounding of each entry is left. A map that is computed by
    iterations may be off by its `inexactness`, too.
    """
    dtype = keras.backend.standardize_dtype(w.dtype)
    size = math.prod([w.shape[a] for a in excess_axes_of(constraint, len(w.shape))])
    terms = 4 + math.log2(max(size, 2))
    if not isinstance(constraint, Constraint):
        return terms * EPS[dtype]
    stored = EPS[dtype] / 2 if is_half(w) else 0
    return stored + terms * min(EPS[dtype], EPS["float32"]) + constraint.inexactness


def penalty_in_loss(weight):
    """What the regularizer of a `Weight` adds to the loss; None if it has none, or is frozen."""
    variable = weight.variable
    if variable.regularizer is None or not weight.is_trained:  # Keras leaves it out
        return None
    return float(ops.convert_to_numpy(variable.regularizer(variable)))


def columns_of(setting, variable):
    """The numbers that a setting shows of a weight, by heading; none for one of another make.

    Raises:
        TypeError: If a user's `audit_columns` returns anything else.
    """
    found = ask(setting, "audit_columns", lambda variable: {})(variable)
    try:
        return {heading: float(value) for heading, value in found.items()}
    except (AttributeError, TypeError, ValueError):
        raise TypeError(
            f"`audit_columns` of {type(setting).__name__} must return a dict of numbers, each with "
            f"the heading of its column. Received: {found!r}"
        ) from None
