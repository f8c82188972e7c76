"""Norms: one number per group, accurate for long groups, with gradients that are never NaN.

Results keep the reduced axes with length 1, so that they broadcast against the weights.
"""

import functools
import math

from keras import ops

# The longest run of terms that is left to the backend's own sum. TensorFlow outside XLA adds
# them one after another, so the error can grow with the length: 6 ulp of the norm at 512 terms,
# inside the promised 4 + log2(512), but 90 ulp at 4096.
LONGEST_RUN = 512


def total(x, axes):
    """Sum of `x` over `axes`, in several short runs where the group is long.

    XLA merges the runs back into its own reduction, which is accurate. A group that contains
    the last axis is contiguous, and every backend sums it pairwise.

    Args:
        x: A tensor.
        axes: The axes to sum over: non-negative, distinct integers.
    """
    shape = tuple(x.shape)
    if None in shape or len(shape) - 1 in axes:
        return ops.sum(x, axis=axes, keepdims=True)
    if math.prod(shape[a] for a in axes) <= LONGEST_RUN:
        return ops.sum(x, axis=axes, keepdims=True)
    longest = max(axes, key=lambda a: shape[a])
    others = tuple(a for a in axes if a != longest)
    if others:
        x = ops.sum(x, axis=others, keepdims=True)
    if shape[longest] > LONGEST_RUN:
        x = _sum_runs(x, longest)
    return ops.sum(x, axis=longest, keepdims=True)


def _sum_runs(x, axis):
    """The sums of consecutive runs along `axis`, about as many runs as each has terms.

    The runs come first in the new shape, so that an axis sharded over devices stays sharded.
    """
    shape = tuple(x.shape)
    runs, padding = _split(shape[axis])
    if padding:
        x = ops.pad(x, [(0, padding if a == axis else 0) for a in range(len(shape))])
    length = (shape[axis] + padding) // runs
    x = ops.reshape(x, (*shape[:axis], runs, length, *shape[axis + 1 :]))
    return ops.sum(x, axis=axis + 1)


@functools.cache
def _split(n):
    """How many runs `n` terms make, and how many zeros are missing to make them equal."""
    root = math.isqrt(n)
    runs = next(d for d in range(root, 0, -1) if n % d == 0)
    if n // runs <= max(LONGEST_RUN, 2 * root):
        return runs, 0
    return root, -n % root  # a large prime factor: copying is the price of an even split


def l2(w, axes):
    """Euclidean norm of each group. Zero groups have norm 0 and gradient 0.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group: non-negative, distinct integers.

    Exact to a few ulp for norms from 1e-18 to 1e18 in float32; beyond, squares under- or
    overflow and the norm is 0 or infinite.
    """
    squares, zero = _squares(w, axes)
    return ops.sqrt(squares + zero) - zero


def l2_or_one(w, axes):
    """Euclidean norm of each group, and 1 for a zero group: a safe divisor."""
    squares, zero = _squares(w, axes)
    return ops.sqrt(squares + zero)


def _squares(w, axes):
    """Each group's sum of squares, and 1 where that is 0.

    Adding the second keeps the square root away from 0, where its slope is infinite.
    """
    squares = total(w * w, axes)
    return squares, ops.cast(squares == 0, squares.dtype)


def magnitude(x):
    """Absolute values, with gradient 0 at 0 on every backend (JAX's `abs` has 1)."""
    return x * ops.stop_gradient(ops.sign(x))
