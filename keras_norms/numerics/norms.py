"""Norms: one number per group, accurate for long groups, with gradients that are never NaN.

Results keep the reduced axes with length 1, so that they broadcast against the weights.
"""

from keras import ops

from keras_norms.numerics.entries import magnitude, replaced, root, up_to
from keras_norms.numerics.summation import total


def l2(w, axes):
    """Euclidean norm of each group. Zero groups have norm 0 and gradient 0.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group: non-negative, distinct integers.

    Exact to a few ulp, in groups of n entries, for norms from `1e-15 * sqrt(n)` to 1e18 in float32;
    beyond, squares under- or overflow, and the norm may be 0 or infinite.
    """
    if has_single_entries(w, axes):
        return magnitude(w)
    norm, is_zero = l2_or_one_and_zeros(w, axes)
    return replaced(norm, is_zero, 0)


def l2_of_any_size(w, axes):
    """Euclidean norm of each group, exact to a few ulp wherever float32 holds it."""
    direction, unit = in_units_near_peak(w, axes)
    return l2(direction, axes) * unit


def l2_or_one(w, axes):
    """Euclidean norm of each group, and 1 for a zero group: a safe divisor."""
    if has_single_entries(w, axes):
        return up_to(ops.abs(w), 0, 1)
    return _root_or_one(total(w * w, axes))


def l2_or_one_and_zeros(w, axes):
    """What `l2_or_one` returns, and whether each group is zero, or its squares are."""
    if has_single_entries(w, axes):
        return up_to(ops.abs(w), 0, 1), w == 0
    squares = total(w * w, axes)
    return _root_or_one(squares), squares == 0


def _root_or_one(squares):
    return root(up_to(squares, 0, 1))  # the slope of a root is infinite at 0


# The largest number of float32 whose inverse is not subnormal. JAX multiplies by the inverse of a
# divisor, and takes subnormal numbers for zero.
LARGEST_DIVISOR = 2.0**126


def in_units_of_peak(w, axes):
    """Each group divided by its largest absolute value, or about so, and the divisor.

    A zero group is divided by 1. The divisor counts as a constant, without a gradient.
    """
    unit = _peak(w, axes)
    return w / unit, unit


def in_units_near_peak(w, axes):
    """Each group divided by its largest absolute value, or about so, and the divisor.

    A group whose squares are far from under- and overflow is divided by 1, which changes no bit.
    """
    if 0 in tuple(w.shape):
        return w, 1
    peak = _peak(w, axes)
    unit = replaced(peak, (peak > 2.0**-40) & (peak < 2.0**40), 1)
    return w / unit, unit


def _peak(w, axes):
    largest = ops.stop_gradient(ops.amax(ops.abs(w), axis=axes, keepdims=True))
    largest = replaced(largest, largest > LARGEST_DIVISOR, LARGEST_DIVISOR)
    return replaced(largest, largest == 0, 1)


def has_single_entries(w, axes):
    """Whether each group has one entry, which is its norm but for the sign."""
    return all(w.shape[a] == 1 for a in axes)
