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

    Exact to a few ulp for norms from 1e-18 to 1e18 in float32; beyond, squares under- or
    overflow and the norm is 0 or infinite.
    """
    if has_single_entries(w, axes):
        return magnitude(w)
    norm, is_zero = l2_or_one_and_zeros(w, axes)
    return replaced(norm, is_zero, 0)


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


def has_single_entries(w, axes):
    """Whether each group has one entry, which is its norm but for the sign."""
    return all(w.shape[a] == 1 for a in axes)
