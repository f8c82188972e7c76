"""Penalties on the angles between the rows or columns of a matrix."""

from mpmath import mpf

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
