"""Sparse sets: the largest entries of a group, of each block of a line, or of all units.

The k-th largest magnitude of a group is found bit by bit: is the next candidate larger or smaller
than it? Counting how many entries reach a candidate answers that, and takes one pass over the
weights. So 8 passes for the exponent and 23 for the digits find it exactly, where a sort takes many
times as long. Counts are integers, because float32 has none beyond 2**24.
"""

import math

import keras
from keras import ops

from keras_norms.numerics.entries import replaced
from keras_norms.numerics.groups import all_axes, as_rows, from_rows, map_parts
from keras_norms.numerics.loops import choose, repeat_while
from keras_norms.numerics.norms import l2

# For each dtype: the smallest normal number, steps of the exponent that lead from there to every
# power of two and to infinity, and the binary digits after the first.
_FLOATS = {
    "float32": (2.0**-126, (127, 64, 32, 16, 8, 4, 2, 1), 23),
    "float64": (2.0**-1022, (1023, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1), 52),
}


def kept(size, sparsity):
    """How many of `size` entries a share of zeros leaves: a Python integer."""
    return round(size * (1 - sparsity))


def keep_largest(w, axes, sparsity):
    """Groups of which the entries of least magnitude are zero, a share of them.

    Of entries with equal magnitude, the first ones stay. Zeros and numbers too small to be normal
    count as equal, because some backends cannot tell them apart.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        sparsity: The share of zeros, from 0 to 1.
    """
    if not math.prod(w.shape):
        return w
    count = kept(math.prod([w.shape[a] for a in axes]), sparsity)
    return map_parts(lambda part: _keep_largest(part, axes, count), w, axes)


def _keep_largest(w, axes, count):
    return _keep(w, _are_largest(w, axes, count), axes)


def _keep(w, are_kept, axes):
    """Entries that are kept, and zeros; a group with a NaN becomes NaN, which has no magnitude."""
    # A constant NaN would alarm those who have TensorFlow look for NaN.
    others = ops.sum(ops.where(ops.isnan(w), w, ops.zeros_like(w)), axis=axes, keepdims=True)
    return ops.where(are_kept & ~ops.isnan(others), w, others)


def _are_largest(w, axes, count):
    """Where a group has its `count` largest entries in magnitude: a tensor of truth values."""
    size = math.prod([w.shape[a] for a in axes])
    if count >= size:
        return ops.ones_like(w, dtype="bool")
    if count == 0:
        return ops.zeros_like(w, dtype="bool")
    sizes = _magnitudes(w)
    least, found = _kth_largest(sizes, axes, count)
    reach = sizes >= least
    # More entries than wanted reach the k-th largest only if several are equal to it.
    return choose(
        ops.any(found > count),
        lambda: _first_of_equals(sizes, reach, least, axes, count),
        lambda: reach,
    )


def _magnitudes(w):
    """Absolute values. What stays has no slope, so that a gradient is that of what stays."""
    return ops.abs(ops.stop_gradient(w))


def _count(truth, axes):
    return ops.sum(truth, axis=axes, keepdims=True)  # an integer of 32 bits


def _kth_largest(sizes, axes, count):
    """The k-th largest entry of each group, or something below it that as many entries reach.

    If fewer entries than wanted are normal numbers, it is the smallest normal number.

    Returns:
        That number, and how many entries reach it: tensors with length 1 along `axes`.
    """
    tiny, exponents, digits = _FLOATS[keras.backend.standardize_dtype(sizes.dtype)]
    least = ops.full_like(ops.amax(sizes, axis=axes, keepdims=True), tiny)
    found = _count(sizes >= least, axes)

    def at_least(candidate, least, found):
        """The candidate, where enough entries reach it."""
        reach = _count(sizes >= candidate, axes)
        is_enough = reach >= count
        return ops.where(is_enough, candidate, least), ops.where(is_enough, reach, found)

    for exponent in exponents:
        least, found = at_least(least * 2.0**exponent, least, found)

    def next_digit(least, found, digit):
        return *at_least(least + digit, least, found), digit / 2

    def unfinished(least, found, digit):
        return ops.any(found > count)

    state = (least, found, least / 2)
    return repeat_while(unfinished, next_digit, state, digits)[:2]


def _first_of_equals(sizes, reach, least, axes, count):
    """Of the entries that are equal to the k-th largest, the first ones by index are kept."""
    above = sizes > least
    wanted = count - _count(above, axes)
    equal = as_rows(reach & ~above, axes)
    # How many equal entries come before and at each place of a row.
    first = ops.cumsum(ops.cast(equal, "int32"), axis=1) <= ops.reshape(wanted, (-1, 1))
    return above | from_rows(equal & first, sizes.shape, axes)


def keep_largest_of_blocks(w, axis, n, m):
    """The n largest of every m consecutive entries along an axis; others become zero.

    If the length is no multiple of m, the last block is shorter, and keeps n of its entries, too.

    Args:
        w: A tensor of float32 or float64.
        axis: The axis along which the blocks lie.
        n: How many entries of a block stay.
        m: The number of entries in a block.
    """
    length = w.shape[axis]
    if not math.prod(w.shape):
        return w
    filled = -(-length // m) * m
    padding = [(0, filled - length if a == axis else 0) for a in range(len(w.shape))]
    sizes = _magnitudes(w)
    tiny, *_ = _FLOATS[keras.backend.standardize_dtype(w.dtype)]
    sizes = ops.pad(replaced(sizes, sizes < tiny, 0), padding, constant_values=-1)
    blocks = ops.reshape(sizes, (*w.shape[:axis], filled // m, m, *w.shape[axis + 1 :]))
    entries = [ops.take(blocks, i, axis=axis + 1) for i in range(m)]
    larger = [ops.zeros_like(entries[0], dtype="int32") for _ in range(m)]
    for i in range(m):  # of two equal entries, the first one counts as larger
        for j in range(i + 1, m):
            first = ops.cast(entries[i] >= entries[j], "int32")
            larger[i], larger[j] = larger[i] + (1 - first), larger[j] + first
    are_kept = ops.stack([rank < n for rank in larger], axis=axis + 1)
    are_kept = ops.reshape(are_kept, sizes.shape)
    inside = tuple(slice(0, size) for size in w.shape)
    return _keep(w, are_kept[inside], (axis,))


def keep_largest_units(w, axes, sparsity):
    """The groups with the largest Euclidean norms; the others become zero, a share of them.

    Of groups with equal norms, the first ones stay.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        sparsity: The share of groups that are zero, from 0 to 1.
    """
    if not math.prod(w.shape):
        return w
    norms = l2(w, axes)
    everywhere = all_axes(w)
    count = kept(math.prod(norms.shape), sparsity)
    return _keep(w, _are_largest(norms, everywhere, count), everywhere)
