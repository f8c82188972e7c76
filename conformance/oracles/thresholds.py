"""Nearest points of the simplex and the L1 ball; the threshold is an exact rational number."""

import functools
from collections import Counter
from fractions import Fraction

from mpmath import mpf
from mpmath.libmp import to_rational


def simplex(group, total):
    """The nearest entries that are not negative and sum to `total`: max(x - theta, 0)."""
    theta = threshold(group, total)
    nearest = {x: _real(max(_fraction(x) - theta, Fraction(0))) for x in set(group)}
    return [nearest[x] for x in group]


def l1_ball(group, radius):
    """The nearest entries whose absolute values sum to at most `radius`."""
    sizes = [abs(x) for x in group]
    if sum(_fraction(x) * n for x, n in Counter(sizes).items()) <= _fraction(mpf(radius)):
        return group
    nearest = simplex(sizes, radius)
    return [n if x > 0 else -n for x, n in zip(group, nearest, strict=True)]


def threshold(group, total):
    """theta with sum(max(x - theta, 0)) = total: the mean excess of the largest entries."""
    counts = sorted(((_fraction(x), n) for x, n in Counter(group).items()), reverse=True)
    held, size, theta = -_fraction(mpf(total)), 0, None
    for value, count in counts:
        if theta is not None and value <= theta:
            break
        held, size = held + value * count, size + count
        theta = held / size
    return theta


@functools.lru_cache  # long groups have few values
def _fraction(x):
    return Fraction(*to_rational(x._mpf_))


def _real(fraction):
    return mpf(fraction.numerator) / fraction.denominator
