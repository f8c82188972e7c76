"""What each constraint makes of a tensor, straight from its definition."""

from mpmath import mpf

from conformance.oracles.exact import norm


def max_norm(w, max_value=2.0, axis=0):
    """Each group nearest in the ball: itself inside, scaled onto the sphere outside."""

    def nearest(group):
        n = norm(group)
        return group if n <= max_value else [x * mpf(max_value) / n for x in group]

    return w.map_groups(axis, nearest)


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
