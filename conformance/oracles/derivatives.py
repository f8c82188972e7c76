"""Gradients by central differences, whose error is 2**-120 of the value in 200-bit arithmetic.

At a kink they are the mean of the two sides: 0 for abs at 0, the subgradient of least norm.
"""

from mpmath import mp, mpf

from conformance.oracles.exact import Tensor

_STEP = mpf(2) ** -60


def gradient(function, x):
    """The gradient of a scalar function of a tensor."""

    def slope(place):
        sides = []
        for step in (_STEP, -_STEP):
            entries = list(x.entries)
            entries[place] += step
            sides.append(mpf(function(Tensor(x.shape, tuple(entries)))))
        return (sides[0] - sides[1]) / (2 * _STEP)

    # What is left of a difference that is 0 is rounding.
    rounded = [s if abs(s) > mpf(2) ** -100 else mpf(0) for s in map(slope, range(len(x.entries)))]
    return Tensor(x.shape, tuple(rounded))


def weighted(function, weights):
    """The scalar sum(weights * function(x)), for the gradient of a map between tensors."""

    def scalar(x):
        values = function(x).entries
        return mp.fsum(c * v for c, v in zip(weights.entries, values, strict=True))

    return scalar
