"""Penalties on norms of the whole tensor."""

from mpmath import mpf


def l1(x, l1=0.01):
    """l1 * sum(abs(x))."""
    return mpf(l1) * sum(map(abs, x.entries))


def l2(x, l2=0.01):
    """l2 * sum(x**2)."""
    return mpf(l2) * sum(v * v for v in x.entries)


def l1l2(x, l1=0.0, l2=0.0):
    """l1 * sum(abs(x)) + l2 * sum(x**2)."""
    return mpf(l1) * sum(map(abs, x.entries)) + mpf(l2) * sum(v * v for v in x.entries)
