"""What each constraint makes of a tensor, straight from its definition."""

from mpmath import mpf

from conformance.oracles import thresholds
from conformance.oracles.exact import norm


def max_norm(w, max_value=2.0, axis=0, ord=2):
    """Each group nearest in the ball of the norm of this order: itself inside."""
    nearest = {1: thresholds.l1_ball, 2: _l2_ball, "inf": _box}[ord]
    return w.map_groups(axis, lambda group: nearest(group, mpf(max_value)))


def _l2_ball(group, radius):
    n = norm(group)
    return group if n <= radius else [x * radius / n for x in group]


def _box(group, radius):
    return [min(max(x, -radius), radius) for x in group]


def unit_norm(w, axis=0):
    """Each group divided by its norm; zero stays zero."""

    def nearest(group):
        n = norm(group)
        return group if n == 0 else [x / n for x in group]

    return w.map_groups(axis, nearest)


def min_max_norm(w, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
    """Each group's norm moved by `rate` of the way into the interval; zero stays zero."""

    def moved(group):
        n = norm(group)
        if n == 0:
            return group
        wanted = min(max(n, mpf(min_value)), mpf(max_value))
        return [x * (1 + mpf(rate) * (wanted / n - 1)) for x in group]

    return w.map_groups(axis, moved)


def non_neg(w):
    """Negative entries become 0."""
    return w.map_groups(None, lambda group: [max(x, mpf(0)) for x in group])


def clip(w, min_value, max_value):
    """Entries moved into the interval."""
    return w.map_groups(
        None, lambda group: [min(max(x, mpf(min_value)), mpf(max_value)) for x in group]
    )


def simplex(w, total=1.0, axis=0):
    """Each group nearest among those that are not negative and sum to the total."""
    return w.map_groups(axis, lambda group: thresholds.simplex(group, mpf(total)))


def chain(w, constraints):
    """One constraint after the other, each as (name, arguments)."""
    for name, arguments in constraints:
        w = globals()[name](w, **arguments)
    return w
