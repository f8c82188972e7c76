"""Constraints on the sum of each group. The threshold is an exact rational number."""

import functools
from collections import Counter
from fractions import Fraction

from mpmath import mpf
from mpmath.libmp import to_rational


def simplex(w, total=1.0, axis=0):
    """Each group becomes the nearest one that is not negative and sums to the total."""
    return w.map_groups(axis, lambda group: nearest_with_sum(group, mpf(total)))


def nearest_with_sum(group, total):
    """The nearest entries that are not negative and sum to `total`: max(x - theta, 0)."""
    theta = threshold(group, total)
    nearest = {x: _real(max(fraction(x) - theta, Fraction(0))) for x in set(group)}
    return [nearest[x] for x in group]


def threshold(group, total):
    """theta with sum(max(x - theta, 0)) = total: the mean excess of the largest entries."""
    counts = sorted(((fraction(x), n) for x, n in Counter(group).items()), reverse=True)
    held, size, theta = -fraction(total), 0, None
    for value, count in counts:
        if theta is not None and value <= theta:
            break
        held, size = held + value * count, size + count
        theta = held / size
    return theta


def zero_mean(w, axis=0):
    """Each group less its mean: the nearest one that sums to 0."""
    return w.map_groups(axis, without_mean)


def without_mean(group):
    mean = exact_sum(group) / max(len(group), 1)
    return [_real(fraction(x) - mean) for x in group]


def exact_sum(group):
    """The sum of the entries as a rational number."""
    return sum(fraction(x) * n for x, n in Counter(group).items())


@functools.lru_cache  # long groups have few values
def fraction(x):
    """A number as a rational one."""
    return Fraction(*to_rational(x._mpf_))


def _real(fraction):
    return mpf(fraction.numerator) / fraction.denominator
