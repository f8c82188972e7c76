"""Penalties on the angles between the rows or columns of a matrix, and on its singular values."""

from mpmath import mpf

from conformance.oracles.exact import groups, norm
from conformance.oracles.matrices import dot, gram_bound, rows_of


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
    rows = rows_of(x, axis)
    if mode in ("coherence", "mc"):
        return mpf(factor) * max((abs(entry) for entry in _off_identity(rows)), default=mpf(0))
    distance = _sum_of_squares(_off_identity(rows))
    if mode in ("double", "dso"):
        distance += _sum_of_squares(_off_identity(list(zip(*rows, strict=True))))
    return mpf(factor) * distance


def _off_identity(vectors):
    """The entries of the Gram matrix of some vectors, less those of the identity."""
    return [dot(a, b) - (i == j) for i, a in enumerate(vectors) for j, b in enumerate(vectors)]


def _sum_of_squares(entries):
    return sum((entry * entry for entry in entries), mpf(0))


def spectral_regularizer(x, factor=0.01, axis=0):
    """factor / 2 times the square of the bound of the largest singular value."""
    rows = rows_of(x, axis)
    return mpf(factor) / 2 * gram_bound(rows) ** 2 if rows and rows[0] else mpf(0)
