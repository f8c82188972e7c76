"""Sums of penalties."""

from mpmath import mpf


def sum_of(x, members):
    """The sum of what the members, each a function and its arguments, return."""
    return sum((function(x, **arguments) for function, arguments in members), mpf(0))
