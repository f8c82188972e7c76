"""Maps of a weight into a set of matrices, the rows of which are its groups."""

import math

from keras import ops

from keras_norms.numerics.entries import replaced
from keras_norms.numerics.groups import all_axes, as_rows, from_rows
from keras_norms.numerics.loops import repeat_while
from keras_norms.numerics.norms import LARGEST_DIVISOR
from keras_norms.numerics.polar import polar_factor, sign
from keras_norms.numerics.projections import onto_l2_ball
from keras_norms.numerics.spectra import inner_products, spectral_bound
from keras_norms.numerics.summation import rounding

# What a projection promises: singular values above their bound by no more than this part of it.
CLIP_EXCESS = 1e-5
# How far down one pass goes. It is off by up to 1e-6 of the largest singular value, so that one
# from far above would lose directions, and make zeros of huge weights.
_PASS = 2.0**6
# From the largest float32 to the smallest bound.
_MOST_PASSES = 50


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
    largest = spectral_bound(w / unit, axes)
    is_inside = largest <= bound / unit * (1 + rounding(w, all_axes(w)))
    # A bound over a huge singular value would be subnormal.
    scaled = w / unit / ops.where(is_inside, ops.ones_like(largest), largest) * bound
    return ops.where(is_inside, w, scaled)


def onto_spectral_ball(w, axes, bound):
    """The nearest weight whose singular values are at most `bound`: larger ones become `bound`.

    A weight within `CLIP_EXCESS` of the bound does not change. One far outside goes there by way of
    larger bounds, because lowering to one and then to a smaller one is lowering to that.

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
        return with_bound(_clipped(rows, ops.maximum(bound, largest / _PASS)))

    unit = _unit(w)
    bound = bound / unit
    start = with_bound(as_rows(w / unit, axes))
    rows, _ = repeat_while(is_outside, clip, start, _MOST_PASSES)
    return from_rows(rows * unit, w.shape, axes)


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
    symmetric = inner_products(rows, factor)
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
    if length > LARGEST_DIVISOR:
        return onto_orthonormal(w / 16, axes, length / 16) * 16
    rows = as_rows(w, axes)
    largest = ops.amax(ops.abs(rows))
    largest = replaced(largest, largest > LARGEST_DIVISOR, LARGEST_DIVISOR)
    # The polar factor does not depend on a scale, and a huge weight over a tiny length is infinite,
    # as a tiny one over a huge length is zero.
    is_far = (largest / 2.0**90 > length) | ((largest < length / 2.0**90) & (largest > 0))
    unit = rows / ops.where(is_far, largest, length)
    factor = polar_factor(unit)
    # Where no step was due, the weight stays bit for bit. JAX divides by way of an inverse.
    is_kept = ops.all(factor == unit) & ~is_far
    nearest = ops.where(is_kept, rows, factor * length)
    return from_rows(nearest, w.shape, axes)
