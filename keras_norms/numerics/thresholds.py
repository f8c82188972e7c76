"""Threshold maps: the nearest points of the simplex and of the L1 ball.

They lower all entries of a group by one number, theta. The nearest point of the simplex is
`max(v - theta, 0)`, with theta such that the group sums to its total. The sum is convex and falls
with theta, so Newton's method from below finds the root after finitely many steps, without a sort:
Michelot, "A finite algorithm for finding the projection of a point onto the canonical simplex of
R^n", JOTA 50, 1986; Condat, "Fast projection onto the simplex and the l1 ball", Math. Program. 158,
2016.
"""

from keras import ops

from keras_norms.numerics.norms import rounding, total
from keras_norms.numerics.projections import power_of_two_near

# Far more than Newton needs: 5 to 12 steps on random weights, 40 on the worst that we could build.
_MOST_STEPS = 100


def onto_simplex(w, axes, radius):
    """Nearest groups of entries that are not negative and sum to `radius`.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        radius: A positive Python number, normal in float32.
    """
    if _empty(w, axes):
        raise ValueError(
            f"A group without entries cannot sum to {radius}. Received: shape={tuple(w.shape)}"
        )
    off = ops.abs(total(w, axes) - radius)
    feasible = (ops.amin(w, axis=axes, keepdims=True) >= 0) & (off <= rounding(w, axes) * radius)
    return ops.where(feasible, w, _lowered(w, axes, radius))


def onto_l1_ball(w, axes, radius):
    """Nearest groups whose absolute values sum to at most `radius`: the signs stay.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        radius: A positive Python number, normal in float32.

    Source: Duchi, Shalev-Shwartz, Singer, Chandra, "Efficient projections onto the l1-ball for
    learning in high dimensions", ICML 2008.
    """
    if _empty(w, axes):
        return w
    sizes = ops.abs(w)
    # As for the other balls, a group that exceeds the radius by rounding alone is feasible.
    feasible = total(sizes, axes) <= radius * (1 + rounding(w, axes))
    return ops.where(feasible, w, ops.sign(w) * _lowered(sizes, axes, radius))


def _empty(w, axes):
    return any(w.shape[a] == 0 for a in axes)


def _lowered(v, axes, radius):
    """`max(v - theta, 0)`, with theta such that each group sums to `radius`."""
    unit = power_of_two_near(radius)
    # Entries are measured from their group's largest, so that a large theta costs them no digits.
    # Those that are more than the radius below it end at zero.
    below = (v - ops.amax(v, axis=axes, keepdims=True)) / unit
    radius = radius / unit
    parts = ops.relu(below - _theta(below, axes, radius, -radius))
    # The same again, because numbers near zero are finer than those near the radius: with a million
    # small entries beside a large one, the error of the first theta would add up.
    parts = ops.relu(parts - _theta(parts, axes, radius, 0.0))
    # Newton's method stops below the root, because of rounding. This last step goes to the root.
    kept = ops.sign(parts)
    off = (total(parts, axes) - radius) / ops.threshold(total(kept, axes), 0, 1)
    return ops.relu(parts - kept * off) * unit


def _theta(v, axes, radius, start):
    """A theta at or just below the root, by Newton's method from `start`, which lies below it.

    A step beyond the root would set entries to zero for good. So each sum is taken to be as small
    as rounding allows, and the steps end where it no longer exceeds the radius.
    """
    least = 1 - rounding(v, axes)

    def step(theta):
        parts = ops.relu(v - theta)
        count = ops.threshold(total(ops.sign(parts), axes), 0, 1)
        return (total(parts, axes) * least - radius) / count

    def unfinished(theta, before):
        return ops.any(theta > before)

    def newton(theta, before):
        return theta + ops.relu(step(theta)), theta

    before = ops.full_like(ops.amax(v, axis=axes, keepdims=True), start)
    theta = before + ops.relu(step(before))
    return ops.while_loop(unfinished, newton, (theta, before), maximum_iterations=_MOST_STEPS)[0]
