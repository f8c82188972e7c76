"""Projections: pure maps onto a set, group by group. No Keras classes, no state.

The radial maps multiply each group by one factor. Those that have an inside, max-norm and
min-max-norm, have the factor 1 there, so feasible weights do not change; there is no epsilon and
no division by zero.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_norms.numerics.entries import at_least, clip, positive_part, replaced, root, up_to
from keras_norms.numerics.norms import (
    LARGEST_DIVISOR,
    has_single_entries,
    in_units_of_peak,
    l2_or_one,
    l2_or_one_and_zeros,
)
from keras_norms.numerics.summation import rounding, total


def onto_l2_ball(w, axes, radius):
    """Nearest groups of Euclidean norm <= radius: `w * radius / max(norm, radius)`.

    Finite and feasible for every finite `w`. A group whose norm exceeds the radius by no more than
    rounding counts as feasible, so that a second projection changes nothing. A norm above 1.8e19,
    whose square overflows float32, makes the group zero, unless the radius is far from 1 too.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        radius: A positive Python number, normal in float32.
    """
    if 0 in tuple(w.shape):
        return w
    if has_single_entries(w, axes):
        return onto_box(w, -radius, radius)
    radius = rounded(radius, w)
    tolerance = rounding(w, axes)
    if power_of_two_near(radius) == 1:
        squares = total(w * w, axes)
        # A group that is inside gets a norm safely below the radius, and so the factor 2 / 2. Not
        # every compiler divides a number by itself and gets 1: PyTorch takes the inverse of the
        # divisor, and XLA that of the root. TensorFlow's graph makes `reciprocal` of 1 / x, and
        # that of 1 is less than 1 on many processors; of 2 / x, it makes nothing else.
        low, high = (radius**2 * (1 + sign * tolerance) for sign in (-1, 1))
        norm = root(up_to(squares, high, low))
        return w * (2 / at_least(norm / (radius / 2), 2))
    # The square of such a radius would leave float32, so norms are taken in units of the largest.
    direction, largest = in_units_of_peak(w, axes)
    norm = l2_or_one(direction, axes)
    inside = norm <= radius * (1 + tolerance / 2) / largest
    return ops.where(inside, w, direction * (radius / norm))


def power_of_two_near(radius):
    """A power of two near a radius whose square would leave float32's range, else 1."""
    exponent = math.frexp(radius)[1] - 1
    return 1 if abs(exponent) < 48 else min(2.0**exponent, LARGEST_DIVISOR)


def rounded(number, w):
    """A Python number that is the nearest to `number` in the dtype of `w`."""
    return float(np.asarray(number, keras.backend.standardize_dtype(w.dtype)))


def onto_unit_sphere(w, axes):
    """Nearest groups of Euclidean norm 1: `w / norm`. A zero group stays zero."""
    if has_single_entries(w, axes):
        return ops.sign(w) + (w - w)  # NaN for what is not finite, as the quotient is
    return w / l2_or_one(w, axes)


def onto_shell(w, axes, min_value, max_value, rate=1.0):
    """Groups moved by `rate` of the way to the nearest norm in [min_value, max_value].

    `w * (1 - rate + rate * clip(norm, min_value, max_value) / norm)`. A zero group stays zero, as
    does one whose squares underflow. A norm above 1.8e19, whose square overflows float32, makes the
    group zero, unless a bound is far from 1 too.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        min_value: The smallest norm, not negative.
        max_value: The largest norm, not below `min_value`.
        rate: A Python number in [0, 1].
    """
    if 0 in tuple(w.shape):
        return w
    if any(bound != 0 and power_of_two_near(bound) != 1 for bound in (min_value, max_value)):
        direction, largest = in_units_of_peak(w, axes)
        size = l2_or_one(direction, axes)
        norm = largest * size
        moved = direction * (clip(norm, min_value, max_value) / size)
        inside = (norm >= min_value) & (norm <= max_value)
        return ops.where(inside, w, moved if rate == 1 else (1 - rate) * w + rate * moved)
    if has_single_entries(w, axes):
        moved = onto_box(w, -max_value, max_value)
        if min_value != 0:
            moved = ops.where(ops.abs(w) < min_value, ops.sign(w) * min_value, moved)
        if rate == 1:
            return moved
        return ops.where(moved == w, w, (1 - rate) * w + rate * moved)
    norm, is_zero = l2_or_one_and_zeros(w, axes)
    factor = replaced(clip(norm, min_value, max_value) / norm, is_zero, 1)
    if rate != 1:
        # For a feasible group this is (1 - rate) + rate, which rounds to 1 whatever the rate.
        factor = (1 - rate) + rate * factor
    return w * factor


def onto_orthant(w):
    """Nearest tensor without negative entries: `max(w, 0)`."""
    return ops.relu(w)  # `ops.maximum` rounds float64 to float32 on PyTorch


def onto_box(w, low, high):
    """Nearest tensor with entries in [low, high]: `min(max(w, low), high)`. NaN stays NaN.

    Args:
        w: A tensor of float32 or float64.
        low: A Python number, -inf for no lower bound.
        high: A Python number, not below `low`, inf for no upper bound.
    """
    return clip(w, low, high)


def onto_sum_zero(w, axes):
    """Nearest groups whose entries sum to 0: `w - mean(w)`.

    The mean of large entries is off by their rounding, which the mean of what is left mends. A
    group whose mean rounding explains does not change.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
    """
    for _ in range(2):
        w = w - _mean_beyond_rounding(w, axes)
    return w


def _mean_beyond_rounding(w, axes):
    """The mean of each group; 0 where it is only rounding, but with the slope of a mean."""
    size = math.prod([w.shape[a] for a in axes])
    unit = 2.0 ** math.ceil(math.log2(max(size, 1)))  # a sum in this unit cannot overflow
    part = w / unit
    positive = positive_part(part)
    above, below = (total(each, axes) for each in (positive, positive - part))
    mean = (above - below) * (unit / max(size, 1))
    is_rounding = ops.abs(above - below) <= rounding(w, axes) * (above + below)
    return mean - ops.stop_gradient(ops.where(is_rounding, mean, ops.zeros_like(mean)))
