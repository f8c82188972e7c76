"""Scores: the error of a result in units in the last place, and how large it may be.

A score of 1 means that the result is one representable number away from the exact one. The
exact value comes from an oracle as the sum of two doubles, so that it is more precise than
every dtype that is scored.
"""

import math

import numpy as np

# Significant bits, and the exponent of the smallest normal number.
_FORMATS = {
    "float16": (11, -14),
    "bfloat16": (8, -126),
    "float32": (24, -126),
    "float64": (53, -1022),
}


def digits(dtype):
    """How many significant bits a dtype has; none if it is no format of floats."""
    return _FORMATS[dtype][0] if dtype in _FORMATS else 0


def ulp(scale, dtype):
    """The distance between neighbouring numbers of `dtype` at each `scale` (float64 array)."""
    bits, smallest = _FORMATS[dtype]
    exponent = np.frexp(np.abs(scale))[1] - 1
    exponent = np.where(scale == 0, smallest, np.maximum(exponent, smallest))
    return np.ldexp(1.0, exponent - (bits - 1))


def score(got, exact, dtype, scale="entry"):
    """The largest error of any entry, in ulp; infinite where the result is not finite."""
    return float(np.max(error_in_ulp(got, exact, dtype, scale), initial=0.0))


def error_in_ulp(got, exact, dtype, scale="entry"):
    """The error of each entry, in ulp.

    Args:
        got: A float64 array.
        exact: A float64 array with a last axis of two: the value is their sum.
        dtype: The dtype that the result had.
        scale: "entry" for ulp of each entry's exact value; "largest" for ulp of the largest one,
            which is what a difference of large terms can promise; "norm" for the Euclidean norm of
            all errors in ulp of the sum of all magnitudes, for long groups with a given sum.

    Returns:
        A float64 array; infinite where a result is not finite though the exact value is.
    """
    with np.errstate(over="ignore"):
        return _error(got, exact, scale) / ulp(_scale(exact, scale), dtype)


def relative_error(got, exact, dtype, scale="entry"):
    """The largest error of any entry, as a part of what it is scored against.

    Below the smallest normal number of the dtype the numbers are equally far apart, so an error
    there is a part of that number. The arguments are those of `error_in_ulp`.
    """
    _, smallest = _FORMATS[dtype]
    size = np.maximum(np.abs(_scale(exact, scale)), 2.0**smallest)
    with np.errstate(over="ignore"):
        return float(np.max(_error(got, exact, scale) / size, initial=0.0))


def _error(got, exact, scale):
    """The distance of each entry from its exact value, infinite where it is not finite.

    Of the scale "norm", every entry has the distance of all of them.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs((got - exact[..., 0]) - exact[..., 1])
        error = np.where(np.isfinite(error), error, np.inf)
        return np.full_like(error, np.sqrt(np.sum(error**2))) if scale == "norm" else error


def _scale(exact, scale):
    """The value whose ulp is the unit of each entry's error."""
    high = exact[..., 0]
    if scale == "norm":
        return np.sum(np.abs(high))
    return high if scale == "entry" else np.max(np.abs(high), initial=0.0)


def budget(size, dtype, passes=1):
    """The largest score that rounding explains for a result that reduces `size` numbers.

    `passes` such reductions follow on one another: a gradient goes through that of its function
    and through one of its own.

    float32 and float64: 4 + log2(size). A sum of `size` terms in pairs has a relative error of
    up to log2(size) half-ulp, and the square root halves it; square, root, quotient and product
    round once each, and an ulp at a power of two is half as large below as above.

    float16 and bfloat16: computed in float32 and rounded once, so half an ulp, and the float32
    budget at its much smaller scale.

    On the machines where the suite was written, the worst constraint takes half of the float32
    budget, the worst gradient a third, and the worst penalty of outputs five sixths. The rest is
    for processors and compilers that sum in another order. Half precision takes all of its half
    ulp.
    """
    single = passes * (4 + math.log2(max(size, 1)))
    bits, _ = _FORMATS[dtype]
    if bits >= 24:
        return single
    return 0.5 + single * 2.0 ** (bits - 24)
