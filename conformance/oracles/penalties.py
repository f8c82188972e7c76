"""What each regularizer returns for a tensor, straight from its definition."""

from mpmath import mpf

from conformance.oracles.exact import groups, norm


def l1(x, l1=0.01):
    return mpf(l1) * sum(map(abs, x.entries))


def l2(x, l2=0.01):
    return mpf(l2) * sum(v * v for v in x.entries)


def l1l2(x, l1=0.0, l2=0.0):
    return mpf(l1) * sum(map(abs, x.entries)) + mpf(l2) * sum(v * v for v in x.entries)


def sum_of(x, *terms):
    """The sum of penalties, each as (function, arguments)."""
    return sum((function(x, **arguments) for function, arguments in terms), mpf(0))


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
