"""Penalties on the angles between the rows or columns of a matrix, and on its singular values."""

import math

from mpmath import mp, mpf

from conformance.oracles.exact import groups, norm


def orthogonal_regularizer(x, factor=0.01, mode="rows"):
    """factor times the mean abs cosine over all pairs of rows, or columns, of (rest, last)."""
    last = len(x.shape) - 1
    axis = last if mode == "rows" else list(range(last))
    vectors = [[x.entries[i] for i in group] for group in groups(x.shape, axis)]
    cosines = [_abs_cosine(a, b) for i, a in enumerate(vectors) for b in vectors[:i]]
    return mpf(factor) * sum(cosines) / len(cosines) if cosines else mpf(0)


def _abs_cosine(a, b):
    lengths = norm(a) * norm(b)
    return abs(sum(p * q for p, q in zip(a, b, strict=True))) / lengths if lengths else mpf(0)


def soft_orthogonal_regularizer(x, factor=0.01, mode="frobenius", axis=0):
    """The distance of W W' from the identity, W' W too if "double"; the rows of W are groups."""
    rows = [[x.entries[i] for i in group] for group in groups(x.shape, axis)]
    if mode in ("coherence", "mc"):
        return mpf(factor) * max((abs(entry) for entry in _off_identity(rows)), default=mpf(0))
    distance = _sum_of_squares(_off_identity(rows))
    if mode in ("double", "dso"):
        distance += _sum_of_squares(_off_identity(list(zip(*rows, strict=True))))
    return mpf(factor) * distance


def _off_identity(vectors):
    """The entries of the Gram matrix of some vectors, less those of the identity."""
    return [_dot(a, b) - (i == j) for i, a in enumerate(vectors) for j, b in enumerate(vectors)]


def _dot(a, b):
    return sum((p * q for p, q in zip(a, b, strict=True)), mpf(0))


def _sum_of_squares(entries):
    return sum((entry * entry for entry in entries), mpf(0))


def spectral_regularizer(x, factor=0.01, axis=0):
    """factor / 2 times the square of the bound of Delattre et al. after enough squarings.

    The bound is norm(G ** (2 ** K)) ** (1 / 2 ** (K + 1)), for the smaller Gram matrix G of order
    n and the Frobenius norm, and K the least with which n ** (1 / 2 ** (K + 2)) - 1 is about 1e-3.
    """
    rows = [[x.entries[i] for i in group] for group in groups(x.shape, axis)]
    columns = list(zip(*rows, strict=True))
    vectors = rows if len(rows) <= len(columns) else columns
    power = [[_dot(a, b) for b in vectors] for a in vectors]
    order = len(power)
    times = max(0, math.ceil(math.log2(math.log(order) / 1e-3)) - 2) if order > 1 else 0
    for _ in range(times):
        power = [[_dot(row, column) for column in zip(*power, strict=True)] for row in power]
    bound = norm([entry for row in power for entry in row])
    return mpf(factor) / 2 * mp.power(bound, mpf(1) / 2**times) if bound else mpf(0)
