"""Spectra: singular values of the matrix whose rows are the groups of a weight."""

import math

from keras import ops

from keras_norms.numerics.groups import as_rows, from_rows
from keras_norms.numerics.loops import repeat_while
from keras_norms.numerics.norms import l2_or_one, replaced, rounding
from keras_norms.numerics.polar import gram, polar_factor, sign
from keras_norms.numerics.projections import onto_l2_ball

# By default, the spectral bound exceeds the largest singular value by at most this part of it.
BOUND_EXCESS = 1e-3
# What a projection promises: singular values above their bound by no more than this part of it.
CLIP_EXCESS = 1e-5
# Each pass takes an excess to about 1e-5 of it: from the largest float32 to any bound, these many.
_MOST_PASSES = 10


def squarings(order, excess=BOUND_EXCESS):
    """How often a Gram matrix of this order is squared to keep the bound within its excess.

    With K squarings, the bound of an orthogonal matrix, the worst case, is too large by the factor
    `order ** (1 / 2 ** (K + 2))`.
    """
    if order < 2:
        return 0
    return max(0, math.ceil(math.log2(math.log(order) / excess)) - 2)


def spectral_bound(w, axes, excess=BOUND_EXCESS):
    """An upper bound of the largest singular value: a scalar, at most `excess` of it above it.

    The Frobenius norm of a power of the Gram matrix `G` bounds that power of its largest
    eigenvalue: `norm(G ** (2 ** K)) ** (1 / 2 ** (K + 1))`, by K squarings, each of a matrix of
    norm 1. The bound is smooth, and 0 with gradient 0 for a zero weight.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        excess: The largest relative error, a Python number.

    Source: Delattre et al., "Efficient Bound of Lipschitz Constant for Convolutional Layers by Gram
    Iteration", ICML 2023.
    """
    rows = as_rows(w, axes)
    # The bound of `t * w` is `t` times that of `w`, so the unit has no part in the slope.
    peak = ops.stop_gradient(ops.amax(ops.abs(rows)))
    power = gram(rows / replaced(peak, peak == 0, 1))
    log_bound = 0.0
    for k in range(squarings(power.shape[0], excess) + 1):
        if k:
            power = power @ power
        norm = l2_or_one(power, (0, 1))
        power = power / norm
        log_bound = log_bound + ops.log(ops.reshape(norm, ())) / 2 ** (k + 1)
    return peak * ops.exp(log_bound)


def scaled_into_spectral_ball(w, axes, bound):
    """The weight times one number, so that its largest singular value is at most `bound`.

    It goes by `spectral_bound`, so a weight within 0.1 % of the bound may become smaller.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        bound: A positive Python number.
    """
    if _has_one_singular_value(w, axes):
        return onto_l2_ball(w, all_axes(w), bound)
    unit = _unit(w)
    bound = bound / unit
    largest = spectral_bound(w / unit, axes)
    is_inside = largest <= bound * (1 + rounding(w, all_axes(w)))
    return w * (bound / ops.where(is_inside, bound, largest))


def onto_spectral_ball(w, axes, bound):
    """The nearest weight whose singular values are at most `bound`: larger ones become `bound`.

    A weight within `CLIP_EXCESS` of the bound does not change.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        bound: A positive Python number.
    """
    if _has_one_singular_value(w, axes):
        return onto_l2_ball(w, all_axes(w), bound)

    def is_outside(rows, largest):
        return largest > bound * (1 + CLIP_EXCESS)

    def with_bound(rows):
        return rows, spectral_bound(rows, (1,), CLIP_EXCESS)

    def clip(rows, largest):
        return with_bound(_clipped(rows, bound))

    unit = _unit(w)
    bound = bound / unit
    start = with_bound(as_rows(w / unit, axes))
    rows, _ = repeat_while(is_outside, clip, start, _MOST_PASSES)
    return from_rows(rows * unit, w.shape, axes)


def all_axes(w):
    """The axes of a tensor, so that all of it is one group."""
    return tuple(range(len(w.shape)))


def _has_one_singular_value(w, axes):
    """Whether there is one group, or one entry in each, so that the norm is the singular value."""
    size = math.prod([w.shape[a] for a in axes])
    return size == 1 or math.prod(w.shape) == size


def _unit(w):
    """A power of two in units of which the singular values of huge entries are finite; or 1."""
    return ops.cast(ops.where(ops.amax(ops.abs(w)) > 2.0**90, 2.0**32, 1.0), w.dtype)


def _clipped(rows, bound):
    """Singular values above the bound lowered to it, up to some 1e-5 of the largest excess.

    With the polar factor `q` and the symmetric `h` of `rows = h @ q`, `h - bound` is positive where
    a singular value is too large. Both sides of it meet the projector on those directions, so an
    error of the projector that reaches others is squared.
    """
    if rows.shape[0] > rows.shape[1]:
        return ops.transpose(_clipped(ops.transpose(rows), bound))
    factor = sign(rows)
    symmetric = rows @ ops.transpose(factor)
    identity = ops.eye(rows.shape[0], dtype=rows.dtype)
    beyond = (symmetric + ops.transpose(symmetric)) / 2 - bound * identity
    projector = (identity + sign(beyond)) / 2
    return rows - projector @ beyond @ ops.transpose(projector) @ factor


def onto_orthonormal(w, axes, length):
    """The nearest weight whose groups are orthogonal and of this length, or whose entries are.

    If there are more groups than each has entries, the columns of the matrix of groups are made
    orthogonal.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        length: A positive Python number.
    """
    rows = as_rows(w, axes)
    unit = rows / length
    factor = polar_factor(unit)
    # Where no step was due, the weight stays bit for bit.
    nearest = ops.where(ops.all(factor == unit), rows, factor * length)
    return from_rows(nearest, w.shape, axes)
