"""Constraints on singular values, by the singular value decomposition of mpmath."""

from mpmath import mp, mpf

from conformance.oracles.exact import Tensor
from conformance.oracles.matrices import (
    rows_of,
    singular_values,
    trace_bound,
    transposed,
    with_rows,
    with_singular_values,
)


def max_spectral_norm(w, max_value=1.0, mode="clip", axis=0):
    """Singular values above the bound become it; or the whole weight over one number."""
    if mode == "clip":
        return clipped(w, max_value, axis=axis)
    largest = trace_bound(rows_of(w, axis)) if w.entries else mpf(0)
    factor = min(mpf(1), mpf(max_value) / largest) if largest else mpf(1)
    return Tensor(w.shape, tuple(x * factor for x in w.entries))


def clipped(w, max_value=1.0, mode="clip", axis=0):
    """The nearest weight whose singular values are at most the bound, whatever the mode."""
    bound = mpf(max_value)
    if largest_singular_value(w, axis) <= bound:
        return w
    return with_rows(w, axis, with_singular_values(rows_of(w, axis), lambda s: min(s, bound)))


def largest_singular_value(w, axis=0):
    return singular_values(rows_of(w, axis))[0] if any(w.entries) else mpf(0)


def orthogonal(w, gain=1.0, axis=0):
    """All singular values become the gain; zeros count as cosines of every frequency."""
    rows = rows_of(w, axis)
    if not w.entries:
        return w
    if not any(w.entries):
        waves = cosines(*sorted((len(rows), len(rows[0]))))
        rows = waves if len(rows) <= len(rows[0]) else transposed(waves)
    if singular_values(rows)[-1] < mpf(2) ** -150:
        raise ValueError("No completion of a matrix without full rank is nearest")
    return with_rows(w, axis, with_singular_values(rows, lambda _: mpf(gain)))


def cosines(few, many):
    """Rows sqrt(2 / n) cos(pi k (2 j + 1) / (2 n) + 0.3), and sqrt(1 / n) cos(0.3) for k = 0."""

    def entry(k, j):
        wave = mp.cos(mp.pi * k * (2 * j + 1) / (2 * many) + mpf("0.3"))
        return mp.sqrt(mpf(1 + (k > 0)) / many) * wave

    return [[entry(k, j) for j in range(many)] for k in range(few)]


def condition(w, axis=0):
    """The largest singular value over the smallest; infinite without full rank."""
    if not any(w.entries):
        return mpf(1)
    values = singular_values(rows_of(w, axis))
    return values[0] / values[-1] if values[-1] else mpf("inf")
