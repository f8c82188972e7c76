"""Norms: one number per group, accurate for long groups, with gradients that are never NaN.

Results keep the reduced axes with length 1, so that they broadcast against the weights.
"""

import math

import keras
from keras import ops

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}

# TensorFlow adds the terms of a sum one after another, or in an order that its compiler chooses,
# and the error grows with their number. A maximum with 0 between two sums is a barrier, across
# which XLA does not merge them. A sum this short needs none.
LONGEST_MERGED_SUM = 512
# Up to here, TensorFlow sums the last axes accurately by itself.
LONGEST_LAST_SUM = 4096


def total(x, axes):
    """Sum over `axes` of numbers that are not negative, off by at most `rounding(x, axes)`.

    Tensors of JAX and PyTorch have a `sum` of their own, which is accurate over neighbouring axes.
    TensorFlow's have none; there the sum is made of short runs, level upon level. Without axes,
    each entry is its own sum.

    Args:
        x: A tensor of numbers that are not negative.
        axes: The axes to sum over: non-negative integers, sorted.
    """
    while axes:
        axes, block = _last_block(axes)
        # With axes that are no neighbours, JAX and PyTorch add one after another, too.
        x = x.sum(axis=block, keepdims=True) if hasattr(x, "sum") else _sum_block(x, block)
        if axes:
            x = positive_part(x)
    return x


def positive_part(x):
    """`max(x, 0)`. NaN stays NaN."""
    if hasattr(x, "clip"):  # under JAX without a compiler, `ops.relu` takes 140 us more
        return x.clip(0)
    return ops.relu(x)


def at_least(x, low):
    """`max(x, low)`. NaN stays NaN."""
    return x.clip(low) if hasattr(x, "clip") else ops.maximum(x, low)


def _last_block(axes):
    """The axes before the last run of neighbouring ones, and that run."""
    start = len(axes) - 1
    while start and axes[start - 1] == axes[start] - 1:
        start -= 1
    return axes[:start], axes[start:]


def _sum_block(x, block):
    """The sum over neighbouring axes, which keep length 1."""
    shape = tuple(x.shape)
    first, end = block[0], block[-1] + 1
    size = math.prod(shape[first:end])
    is_last = end == len(shape)
    levels = 1 + (size > LONGEST_LAST_SUM) if is_last else _levels(size)
    if levels == 1:
        return ops.sum(x, axis=block, keepdims=True)
    merged = ops.reshape(x, (*shape[:first], size, *shape[end:])) if len(block) > 1 else x
    summed = _sum_runs(merged, first, levels, size > LONGEST_MERGED_SUM)
    return ops.reshape(summed, (*shape[:first], *(1 for _ in block), *shape[end:]))


def _levels(size):
    """How many sums, one upon the other, keep the error of a sum of `size` terms within bounds.

    With k levels, each sum has size**(1/k) terms. A sum of n equal terms, one after another, was
    found to be off by at most n / 8 eps; the worst that can be, where one term is much larger than
    all others, is n / 2.
    """
    k = 1
    while k * size ** (1 / k) / 8 > 4 + math.log2(size):
        k += 1
    return k


def _sum_runs(x, axis, levels, barrier):
    """The sum along one axis, in so many levels. The axis stays, with length 1."""
    size = x.shape[axis]
    if levels == 1 or size < 8:
        return ops.sum(x, axis=axis, keepdims=True)
    run = math.ceil(size ** (1 / levels))
    lengths = [n for n in range(int(1.25 * run), int(0.7 * run), -1) if size % n == 0]
    run = lengths[0] if lengths else run
    whole = size - size % run
    sums = _sums_of_runs(x, axis, run) if whole == size else _sums_of_windows(x, axis, run)
    result = _sum_runs(positive_part(sums) if barrier else sums, axis, levels - 1, barrier)
    if whole < size:
        rest = x[(*(slice(None),) * axis, slice(whole, size))]
        result = result + ops.sum(rest, axis=axis, keepdims=True)
    return result


def _sums_of_runs(x, axis, run):
    """The sum of each run of so many entries along an axis, the length of which it divides."""
    shape = tuple(x.shape)
    runs = (*shape[:axis], shape[axis] // run, run, *shape[axis + 1 :])
    return ops.sum(ops.reshape(x, runs), axis=axis + 1)


def _sums_of_windows(x, axis, run):
    """The sum of each whole run, where the length does not divide the axis.

    A slice of whole runs would be a copy, and so would a padded tensor. Pooling needs neither.
    """
    shape = tuple(x.shape)
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    flat = ops.reshape(x, (before, shape[axis], after))
    means = ops.average_pool(flat, run, run, padding="valid", data_format="channels_last")
    return ops.reshape(means * run, (*shape[:axis], shape[axis] // run, *shape[axis + 1 :]))


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
    return ops.sqrt(up_to(squares, 0, 1))  # the slope of a root is infinite at 0


def up_to(x, limit, number):
    """`x` with a Python number in place of its entries up to a limit. NaN stays NaN."""
    if hasattr(x, "masked_fill"):  # PyTorch: one pass, where a mask takes three
        return ops.threshold(x, limit, number)
    return replaced(x, x <= limit, number)


def replaced(x, condition, number):
    """`x` with a Python number in place of its entries for which the condition is true."""
    if hasattr(x, "masked_fill"):  # under PyTorch, `ops.where` takes 15 us more
        return x.masked_fill(condition, number)
    return ops.where(condition, tensor(number, x), x)


def tensor(number, like):
    """A Python number as a tensor of the dtype of another: `ops.where` makes it float32."""
    return ops.convert_to_tensor(number, dtype=like.dtype)


def has_single_entries(w, axes):
    """Whether each group has one entry, which is its norm but for the sign."""
    return math.prod([w.shape[a] for a in axes]) == 1


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
    return (4 + math.log2(max(size, 1))) * EPS[keras.backend.standardize_dtype(w.dtype)]
