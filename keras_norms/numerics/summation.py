"""Sums of numbers that are not negative, accurate whatever a backend's compiler reorders."""

import math

import keras
from keras import ops

from keras_norms.numerics.entries import positive_part
from keras_norms.numerics.precision import EPS

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
        x: A tensor of numbers that are not negative. A length may be unknown, as that of a batch
            is; along such an axis, the bound holds for the sums of up to some 100 samples.
        axes: The axes to sum over: non-negative integers, sorted.
    """
    axes, unknown = _by_length(x, axes)
    while axes:
        axes, block = _last_block(axes)
        # With axes that are no neighbours, JAX and PyTorch add one after another, too.
        x = x.sum(axis=block, keepdims=True) if hasattr(x, "sum") else _sum_block(x, block)
        if axes or unknown:
            x = positive_part(x)
    return ops.sum(x, axis=unknown, keepdims=True) if unknown else x


def total_of_all(x):
    """The sum of all entries, numbers that are not negative, as a scalar.

    One axis after the other: together, they would be one long sum.
    """
    if hasattr(x, "sum"):
        return x.sum()
    for axis in reversed(range(len(x.shape))):
        x = ops.squeeze(positive_part(total(x, (axis,))), axis)
    return x


def mean(x, axes):
    """Mean over `axes` of numbers that are not negative, which keep length 1."""
    known, unknown = _by_length(x, axes)
    x = total(x, known) / count(x, known)
    return ops.mean(x, axis=unknown, keepdims=True) if unknown else x


def count(x, axes):
    """How many entries `axes` have: a number, or a tensor of the dtype of `x` if one is unknown."""
    shape = ops.shape(x)  # in which an unknown length is a tensor
    return math.prod(
        [ops.cast(shape[a], x.dtype) if x.shape[a] is None else shape[a] for a in axes]
    )


def _by_length(x, axes):
    """The axes of known length, and those of unknown length, as that of a batch may be."""
    unknown = tuple(a for a in axes if x.shape[a] is None)
    return tuple(a for a in axes if a not in unknown), unknown


def _last_block(axes):
    """The axes before the last run of neighbouring ones, and that run."""
    start = len(axes) - 1
    while start and axes[start - 1] == axes[start] - 1:
        start -= 1
    return axes[:start], axes[start:]


def _sum_block(x, block):
    """The sum over neighbouring axes, which keep length 1."""
    shape = ops.shape(x)  # in which an unknown length is a tensor
    first, end = block[0], block[-1] + 1
    size = math.prod(shape[first:end])
    is_last = end == len(shape)
    if is_last and size <= LONGEST_LAST_SUM:
        levels = 1
    elif is_last and _run(size, 2):
        levels = 2
    else:
        levels = _levels(size)
    if levels == 1:
        return ops.sum(x, axis=block, keepdims=True)

    @ops.custom_gradient
    def summed(x):
        merged = ops.reshape(x, (*shape[:first], size, *shape[end:])) if len(block) > 1 else x
        result = _sum_runs(merged, first, levels, size > LONGEST_MERGED_SUM)
        kept = ops.reshape(result, (*shape[:first], *(1 for _ in block), *shape[end:]))
        # The gradient of pooling would take ten times as long as all the rest.
        return kept, lambda upstream: ops.broadcast_to(upstream, shape)

    return summed(x)


def _levels(size):
    """How many sums, one upon the other, keep the error of a sum of `size` terms within bounds.

    With k levels, each sum has size**(1/k) terms. A sum of n equal terms, one after another, was
    found to be off by at most n / 8 eps; the worst that can be, where one term is much larger than
    all others, is n / 2.
    """
    k = 1
    while k * size ** (1 / k) / 8 > 4 + math.log2(max(size, 1)):
        k += 1
    return k


def _sum_runs(x, axis, levels, barrier):
    """The sum along one axis, in so many levels. The axis stays, with length 1."""
    size = x.shape[axis]
    if levels == 1 or size < 8:
        return ops.sum(x, axis=axis, keepdims=True)
    run = _run(size, levels) or math.ceil(size ** (1 / levels))
    whole = size - size % run
    sums = _sums_of_runs(x, axis, run) if whole == size else _sums_of_windows(x, axis, run)
    result = _sum_runs(positive_part(sums) if barrier else sums, axis, levels - 1, barrier)
    if whole < size:
        rest = x[(*(slice(None),) * axis, slice(whole, size))]
        result = result + ops.sum(rest, axis=axis, keepdims=True)
    return result


def _run(size, levels):
    """The length of runs without a rest, which make up a sum in so many levels; None if none do."""
    run = math.ceil(size ** (1 / levels))
    lengths = range(int(1.25 * run), int(0.7 * run), -1)
    return next((n for n in lengths if size % n == 0), None)


def _sums_of_runs(x, axis, run):
    """The sum of each run of so many entries along an axis, the length of which it divides."""
    shape = ops.shape(x)
    runs = (*shape[:axis], shape[axis] // run, run, *shape[axis + 1 :])
    return ops.sum(ops.reshape(x, runs), axis=axis + 1)


def _sums_of_windows(x, axis, run):
    """The sum of each whole run, where the length does not divide the axis.

    A slice of whole runs would be a copy, and so would a padded tensor. Pooling needs neither.
    """
    shape = ops.shape(x)
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    flat = ops.reshape(x, (before, shape[axis], after))
    means = ops.average_pool(flat, run, run, padding="valid", data_format="channels_last")
    return ops.reshape(means * run, (*shape[:axis], shape[axis] // run, *shape[axis + 1 :]))


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
