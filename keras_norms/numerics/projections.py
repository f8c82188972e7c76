"""Projections: pure maps onto a set, group by group. No Keras classes, no state.

The radial maps multiply each group by one factor. The factor is exactly 1 for a group that is in
the set already, so feasible weights do not change; there is no epsilon and no division by zero.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_norms.numerics.norms import inverse_l2, l2_or_one, rounding, total

_HUGE = float(np.finfo(np.float32).max)


def onto_l2_ball(w, axes, radius):
    """Nearest groups of Euclidean norm <= radius: `w * radius / max(norm, radius)`.

    Finite and feasible for every finite `w`. A group whose norm exceeds the radius by no more than
    rounding counts as feasible, so that a second projection changes nothing. A norm above 1.8e19,
    whose square overflows float32, makes the group zero.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        radius: A positive Python number, normal in float32.
    """
    scaled, unit = w, power_of_two_near(radius)
    if unit != 1:
        limit = min(1e18 * unit, _HUGE)  # beyond it, squares in units of a tiny radius overflow
        w = ops.clip(w, -limit, limit)
        scaled, radius = w / unit, radius / unit
    # (norm / radius)**2, and exactly 1 for a feasible group.
    ratio = total(scaled * scaled, axes) * (1 / radius**2)
    # A power, because TensorFlow's `rsqrt` of 1 is 1 - 2**-23 on processors with AVX-512.
    return w * ops.threshold(ratio, 1 + rounding(w, axes), 1) ** -0.5


def power_of_two_near(radius):
    """A power of two near a radius whose square would leave float32's range, else 1."""
    exponent = math.frexp(radius)[1] - 1
    return 1 if abs(exponent) < 48 else 2.0**exponent


def onto_unit_sphere(w, axes):
    """Nearest groups of Euclidean norm 1: `w / norm`. A zero group stays zero."""
    return w * inverse_l2(w, axes)


def onto_shell(w, axes, min_value, max_value, rate=1.0):
    """Groups moved by `rate` of the way to the nearest norm in [min_value, max_value].

    `w * (1 - rate + rate * clip(norm, min_value, max_value) / norm)`. A zero group stays zero.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        min_value: The smallest norm, not negative.
        max_value: The largest norm, not below `min_value`.
        rate: A Python number in [0, 1].
    """
    norm = l2_or_one(w, axes)
    factor = clip(norm, min_value, max_value) / norm
    if rate != 1:
        # Rounded first, so that (1 - rate) + rate is exactly 1 for a feasible group.
        rate = float(np.asarray(rate, keras.backend.standardize_dtype(w.dtype)))
        factor = (1 - rate) + rate * factor
    return w * factor


def clip(norm, low, high):
    """`norm` moved into [low, high]. `ops.clip` rounds the bounds to float32 on PyTorch."""
    at_least_low = ops.threshold(norm, low, low)
    return -ops.threshold(-at_least_low, -high, -high)


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
    # Tensors, because `ops.where` and `ops.clip` round a Python number to float32 on PyTorch.
    least, most = (ops.convert_to_tensor(bound, dtype=w.dtype) for bound in (low, high))
    return ops.where(w > high, most, ops.where(w < low, least, w))
