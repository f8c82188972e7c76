"""Threshold maps: the nearest points of the simplex and of the L1 ball.

They lower all entries of a group by one number, theta. The nearest point of the simplex is
`max(v - theta, 0)`, with theta such that the group sums to its total. The sum is convex and falls
with theta, so Newton's method from below finds the root after finitely many steps, without a sort:
Michelot, "A finite algorithm for finding the projection of a point onto the canonical simplex of
R^n", JOTA 50, 1986; Condat, "Fast projection onto the simplex and the l1 ball", Math. Program. 158,
2016.
"""

import math

from keras import ops

from keras_norms.numerics.entries import positive_part, relu
from keras_norms.numerics.groups import map_parts
from keras_norms.numerics.loops import repeat_while
from keras_norms.numerics.projections import power_of_two_near
from keras_norms.numerics.summation import rounding, total

# Far more than Newton needs: 5 to 12 steps on random weights, 30 on the worst that we could build.
_MOST_STEPS = 100
# With one, a second projection still changes bits of long groups.
_CORRECTIONS = 2


def onto_simplex(w, axes, radius):
    """Nearest groups of entries that are not negative and sum to `radius`.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        radius: A positive Python number, normal in float32.
    """
    if 0 in tuple(w.shape):
        return w
    return map_parts(lambda part: _nearest_in_simplex(part, axes, radius), w, axes)


def _nearest_in_simplex(w, axes, radius):
    sums = total(w, axes)  # which counts only if no entry is negative
    feasible = (ops.amin(w, axis=axes, keepdims=True) >= 0) & (
        ops.abs(sums - radius) <= _tolerance(w, axes) * radius
    )
    return ops.where(feasible, w, _lowered(_identity, w, axes, radius))


def onto_l1_ball(w, axes, radius):
    """Nearest groups whose absolute values sum to at most `radius`: the signs stay.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        radius: A positive Python number, normal in float32.

    Source: Duchi, Shalev-Shwartz, Singer, Chandra, "Efficient projections onto the l1-ball for
    learning in high dimensions", ICML 2008.
    """
    if 0 in tuple(w.shape):
        return w
    return map_parts(lambda part: _nearest_in_l1_ball(part, axes, radius), w, axes)


def _nearest_in_l1_ball(w, axes, radius):
    sums = total(ops.abs(w), axes)
    # As for the other balls, a group that exceeds the radius by rounding alone is feasible.
    feasible = sums <= radius * (1 + _tolerance(w, axes))
    projected = _lowered(ops.abs, w, axes, radius) * ops.sign(w)
    return ops.where(feasible, w, projected)


def _identity(w):
    return w


def _tolerance(w, axes):
    """The largest relative error of a sum that still counts as feasible.

    A group of n entries whose sum is off has 1/sqrt(n) of that as its distance from the set, so the
    sum may be off by more than the distance, `rounding`. TensorFlow's sums can be off by 4 times
    that where one entry is much larger than all others.
    """
    size = math.prod([w.shape[a] for a in axes])
    return rounding(w, axes) * min(4, math.sqrt(size))


def _lowered(size, w, axes, radius):
    """`max(size(w) - theta, 0)`, with theta such that each group sums to `radius`.

    Sizes are computed anew rather than kept: without a compiler, each name holds a whole copy. An
    entry equal to theta does not count among those that are lowered, and has the slope 0. The slope
    of the search does not matter, because what the corrections come to does not depend on theta.
    """
    unit = power_of_two_near(radius)
    radius = radius / unit
    # The search measures entries from their group's largest, so that a large theta costs no digits.
    # Those that are more than the radius below it end at zero.
    top = ops.amax(size(w), axis=axes, keepdims=True)
    found = _theta(_in_units(size(w) - top, unit), axes, radius)
    # What is left is measured from theta itself. There, differences of the original entries are
    # exact, and small entries beside a large one keep their digits.
    theta = top + found * unit
    off = found - (theta - top) / unit  # what rounding theta has cost
    left = _in_units(size(w) - theta, unit)
    for _ in range(_CORRECTIONS):
        off = off + _error(relu(left - off), axes, radius)
    lowered = relu(left - off)
    return lowered if unit == 1 else lowered * unit


def _error(parts, axes, radius):
    """How far theta is off, to first order: what the sum exceeds the radius by, for each entry."""
    return (total(parts, axes) - radius) / _count(parts, axes)


def _in_units(x, unit):
    return x if unit == 1 else x / unit  # code without a compiler would copy it


def _count(parts, axes):
    """How many entries of each group are positive, and 1 if none is: a safe divisor."""
    return ops.threshold(total(ops.sign(parts), axes), 0, 1)


def _theta(v, axes, radius):
    """A theta at or just below the root, by Newton's method from below.

    A step beyond the root would set entries to zero for good. So each sum is taken to be as small
    as rounding allows, and the steps end where it no longer exceeds the radius.

    Args:
        v: Entries of which the largest of each group is 0.
        axes: The axes inside a group.
        radius: What the group is to sum to.
    """
    least = 1 - rounding(v, axes)

    def step(theta, before):
        parts = positive_part(v - theta)
        more = (total(parts, axes) * least - radius) / _count(parts, axes)
        return theta + positive_part(more), theta

    def unfinished(theta, before):
        return ops.any(theta > before)

    start = ops.amax(v, axis=axes, keepdims=True) - radius
    return repeat_while(unfinished, step, step(start, start), _MOST_STEPS)[0]
