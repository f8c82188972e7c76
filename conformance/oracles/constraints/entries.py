"""Constraints on each entry alone."""

from mpmath import mpf


def non_neg(w):
    """Negative entries become 0."""
    return w.map_groups(None, lambda group: [max(x, mpf(0)) for x in group])


def clip(w, min_value, max_value):
    """Entries move into the interval."""
    low, high = mpf(min_value), mpf(max_value)
    return w.map_groups(None, lambda group: [min(max(x, low), high) for x in group])
