"""Constraints on the norm of each group."""

from mpmath import mpf

from conformance.oracles.constraints import sums
from conformance.oracles.exact import norm


def max_norm(w, max_value=2.0, axis=0, ord=2):
    """Each group becomes the nearest point of the ball, in the norm of this order."""
    nearest = {1: _in_l1_ball, 2: _in_l2_ball, "inf": _in_box, mpf("inf"): _in_box}[ord]
    return w.map_groups(axis, lambda group: nearest(group, mpf(max_value)))


def _in_l1_ball(group, radius):
    sizes = [abs(x) for x in group]
    if sums.exact_sum(sizes) <= sums.fraction(radius):
        return group
    nearest = sums.nearest_with_sum(sizes, radius)
    return [n if x > 0 else -n for x, n in zip(group, nearest, strict=True)]


def _in_l2_ball(group, radius):
    n = norm(group)
    return group if n <= radius else [x * radius / n for x in group]


def _in_box(group, radius):
    return [min(max(x, -radius), radius) for x in group]


def unit_norm(w, axis=0):
    """Each group is divided by its norm; a zero group stays zero."""

    def nearest(group):
        n = norm(group)
        return group if n == 0 else [x / n for x in group]

    return w.map_groups(axis, nearest)


def min_max_norm(w, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
    """Each group's norm moves by `rate` of the way into the interval; a zero group stays zero."""

    def moved(group):
        n = norm(group)
        if n == 0:
            return group
        wanted = min(max(n, mpf(min_value)), mpf(max_value))
        return [x * (1 + mpf(rate) * (wanted / n - 1)) for x in group]

    return w.map_groups(axis, moved)
