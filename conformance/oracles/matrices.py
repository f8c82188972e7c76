"""Matrices in 200-bit arithmetic, whose rows are the groups of a tensor, and their spectra."""

import math

from mpmath import mp, mpf

from conformance.oracles.exact import Tensor, groups, norm


def rows_of(x, axis):
    """The matrix whose rows are the groups, as lists."""
    return [[x.entries[i] for i in group] for group in groups(x.shape, axis)]


def with_rows(x, axis, rows):
    """The tensor with other entries in its groups."""
    entries = list(x.entries)
    for group, row in zip(groups(x.shape, axis), rows, strict=True):
        for place, value in zip(group, row, strict=True):
            entries[place] = value
    return Tensor(x.shape, tuple(entries))


def with_singular_values(rows, function):
    """The matrix with a function of each singular value in its place."""
    if len(rows) > len(rows[0]):
        return transposed(with_singular_values(transposed(rows), function))
    u, values, v = mp.svd_r(mp.matrix(rows), full_matrices=False)
    product = u * mp.diag([function(s) for s in values]) * v
    return product.tolist()


def singular_values(rows):
    """The singular values of a matrix, the largest first."""
    wide = rows if len(rows) <= len(rows[0]) else transposed(rows)
    return list(mp.svd_r(mp.matrix(wide), full_matrices=False, compute_uv=False))


def transposed(rows):
    return [list(column) for column in zip(*rows, strict=True)]


def dot(a, b):
    return sum((p * q for p, q in zip(a, b, strict=True)), mpf(0))


def gram_bound(rows):
    """The bound of the largest singular value of Delattre et al. after enough squarings.

    It is norm(G ** (2 ** K)) ** (1 / 2 ** (K + 1)), for the smaller Gram matrix G of order n and
    the Frobenius norm, and K the least with which n ** (1 / 2 ** (K + 2)) - 1 is about 1e-3.
    """
    power = gram(rows)
    order = len(power)
    times = max(0, math.ceil(math.log2(math.log(order) / 1e-3)) - 2) if order > 1 else 0
    for _ in range(times):
        power = squared(power)
    bound = norm([entry for row in power for entry in row])
    return mp.power(bound, mpf(1) / 2 ** (times + 1)) if bound else mpf(0)


def trace_bound(rows):
    """The bound of the largest singular value from two traces of a power of the Gram matrix.

    By Wolkowicz and Styan, the largest eigenvalue of a matrix of order n is at most
    m + s * sqrt(n - 1), with the mean m and the standard deviation s of the eigenvalues. It is not
    below trace(P ** 2) / trace(P). The power is the first, by squaring, for which the roots of
    these two are within 1e-3 of each other.
    """
    power = gram(rows)
    order = len(power)
    exponent = mpf(1) / 2
    while True:
        trace = sum((power[i][i] for i in range(order)), mpf(0))
        if not trace:
            return mpf(0)
        squares = sum((entry**2 for row in power for entry in row), mpf(0))
        mean = trace / order
        # Of eigenvalues that are all alike, it may be below 0 by rounding.
        variance = max(squares / order - mean**2, mpf(0))
        above = mean + mp.sqrt(variance * (order - 1))
        if exponent * mp.log(above * trace / squares) <= 1e-3:
            return mp.power(above, exponent)
        power, exponent = squared(power), exponent / 2


def gram(rows):
    """The products of all pairs of rows, or of columns if there are fewer."""
    columns = transposed(rows)
    vectors = rows if len(rows) <= len(columns) else columns
    return [[dot(a, b) for b in vectors] for a in vectors]


def squared(matrix):
    return [[dot(row, column) for column in zip(*matrix, strict=True)] for row in matrix]
