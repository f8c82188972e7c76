"""Projections: pure maps onto a set, group by group. No Keras classes, no state.

The radial maps multiply each group by one factor. It is exactly 1 for a group that is already
inside, so feasible weights come back bit for bit; there is no epsilon and no division by zero.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_norms.norms import l2, l2_or_one


def onto_l2_ball(w, axes, radius):
    """Nearest groups of Euclidean norm <= radius: `w * radius / max(norm, radius)`.

    Finite and feasible for every finite `w`.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        radius: A positive Python number, normal in float32.
    """
    unit = _unit(radius)
    if unit != 1:
        w, radius = w / unit, radius / unit
    outside = ops.relu(l2(w, axes) - radius)
    # radius + outside is max(norm, radius), and float64 stays so on PyTorch, unlike ops.maximum.
    w = w * (radius / (radius + outside))
    return w if unit == 1 else w * unit


def _unit(radius):
    """A power of two near a radius whose square would leave float32's range, else 1."""
    exponent = math.frexp(radius)[1] - 1
    return 1 if abs(exponent) < 48 else 2.0**exponent


def onto_unit_sphere(w, axes):
    """Nearest groups of Euclidean norm 1: `w / norm`. A zero group stays zero."""
    return w * (1 / l2_or_one(w, axes))


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
    factor = ops.clip(norm, min_value, max_value) / norm
    if rate != 1:
        # Rounded first, so that (1 - rate) + rate is exactly 1 for a group that is inside.
        rate = float(np.asarray(rate, keras.backend.standardize_dtype(w.dtype)))
        factor = (1 - rate) + rate * factor
    return w * factor


def onto_orthant(w):
    """Nearest tensor without negative entries: `max(w, 0)`."""
    return ops.relu(w)  # `ops.maximum` rounds float64 to float32 on PyTorch
