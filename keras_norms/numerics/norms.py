"""Norms: one number per group, accurate for long groups, with gradients that are never NaN.

Results keep the reduced axes with length 1, so that they broadcast against the weights.
"""

import math

import keras
from keras import ops

_EPS = {"float32": 2.0**-23, "float64": 2.0**-52}

# TensorFlow outside XLA adds the terms of a long group one after another, and the error of the norm
# grows with their number: 8 ulp at 256 equal terms, within the promised 4 + log2(256), but 90 at
# 4096. So a longer sum is made of runs.
LONGEST_SUM = 256
RUN = 128


def total(x, axes):
    """Sum of `x` over `axes`, in several short runs where the group is long.

    XLA merges the runs back into its own reduction, which is accurate. A group of trailing axes
    needs no runs: it is contiguous, and every backend sums it pairwise.

    Args:
        x: A tensor.
        axes: The axes to sum over: non-negative integers, sorted.
    """
    if not axes:  # each entry is its own group; PyTorch would sum them all
        return x
    rank = len(x.shape)
    sizes = [x.shape[a] for a in axes]
    if axes == tuple(range(rank - len(axes), rank)) or math.prod(sizes) <= LONGEST_SUM:
        return _sum(x, axes)
    if rank - 1 in axes:
        return total(_sum(x, rank - 1), axes[:-1])
    longest = axes[sizes.index(max(sizes))]
    while x.shape[longest] > LONGEST_SUM:
        x = _sum_runs(x, longest)
    x = _sum(x, longest)
    others = tuple(a for a in axes if a != longest)
    return total(x, others) if others else x


def _sum_runs(x, axis):
    """The sums of consecutive runs along `axis`.

    The axis is split into (runs, length), in this order, so that an axis that is sharded over
    devices stays sharded.
    """
    shape = tuple(x.shape)
    length = next(d for d in range(RUN, 0, -1) if shape[axis] % d == 0)
    if length < RUN // 4:  # no divisor fits: pad with zeros, at the price of a copy
        length, padding = RUN, -shape[axis] % RUN
        x = ops.pad(x, [(0, padding if a == axis else 0) for a in range(len(shape))])
    x = _reshape(x, (*shape[:axis], x.shape[axis] // length, length, *shape[axis + 1 :]))
    return _sum(x, axis + 1, keepdims=False)


# These use a tensor's own method if it has one. Under PyTorch, a call of `ops.sum` takes 5 us more,
# and one of `ops.reshape` 20 us.


def _sum(x, axis, keepdims=True):
    if hasattr(x, "sum"):
        return x.sum(axis=axis, keepdims=keepdims)
    return ops.sum(x, axis=axis, keepdims=keepdims)


def _reshape(x, shape):
    return x.reshape(shape) if hasattr(x, "reshape") else ops.reshape(x, shape)


def l2(w, axes):
    """Euclidean norm of each group. Zero groups have norm 0 and gradient 0.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group: non-negative, distinct integers.

    Exact to a few ulp for norms from 1e-18 to 1e18 in float32; beyond, squares under- or
    overflow and the norm is 0 or infinite.
    """
    squares = total(w * w, axes)
    return ops.sqrt(_nonzero(squares)) * ops.sign(squares)


def l2_or_one(w, axes):
    """Euclidean norm of each group, and 1 for a zero group: a safe divisor."""
    return ops.sqrt(_nonzero(total(w * w, axes)))


def inverse_l2(w, axes):
    """One over the Euclidean norm of each group, and 1 for a zero group."""
    return _nonzero(total(w * w, axes)) ** -0.5


def _nonzero(squares):
    """`squares` with 1 in place of 0, because the slope of a root is infinite at 0."""
    return ops.threshold(squares, 0, 1)


def magnitude(x):
    """Absolute values, with gradient 0 at 0 on every backend (JAX's `abs` has 1)."""
    return x * ops.stop_gradient(ops.sign(x))


def rounding(w, axes):
    """The largest relative error that rounding can cause in a sum over a group of this size.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.

    Returns:
        A Python float, `(4 + log2(n)) * eps` for groups of n entries.
    """
    size = math.prod([w.shape[a] for a in axes])
    return (4 + math.log2(max(size, 1))) * _EPS[keras.backend.standardize_dtype(w.dtype)]
