"""Penalties on norms: `L1`, `L2` and `L1L2`."""

import dataclasses
from typing import final

import keras

from keras_norms.numerics.entries import magnitude
from keras_norms.numerics.summation import total_of_all
from keras_norms.regularizers.base import Regularizer, factor, times

_registered = keras.saving.register_keras_serializable("keras_norms")


def _l1(x):
    return total_of_all(magnitude(x))


def _l2(x):
    return total_of_all(x * x)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class L1(Regularizer):
    """`l1 * sum(abs(x))`, with gradient 0 at each zero entry.

    Args:
        l1: The factor, not negative. None is the default, 0.01.

    Raises:
        ValueError: If `l1` is negative or not finite.
        TypeError: If `l1` is not a number.

    Source: Tibshirani, "Regression Shrinkage and Selection via the Lasso", JRSS B 58, 1996.

    Example:
    >>> import keras_norms as kn
    >>> float(kn.L1(0.5)([-3.0, 4.0]))
    3.5
    """

    l1: float = factor(0.01)

    def compute_penalty(self, x):
        """The sum of absolute values, times the factor."""
        return times(self.l1, _l1, x)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class L2(Regularizer):
    """`l2 * sum(x**2)`: the square, without a half and without a root.

    Args:
        l2: The factor, not negative. None is the default, 0.01.

    Raises:
        ValueError: If `l2` is negative or not finite.
        TypeError: If `l2` is not a number.

    Source: Krogh, Hertz, "A Simple Weight Decay Can Improve Generalization", NIPS 1991.

    Example:
    >>> import keras_norms as kn
    >>> float(kn.L2(0.5)([-3.0, 4.0]))
    12.5
    """

    l2: float = factor(0.01)

    def compute_penalty(self, x):
        """The sum of squares, times the factor."""
        return times(self.l2, _l2, x)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class L1L2(Regularizer):
    """`l1 * sum(abs(x)) + l2 * sum(x**2)`, the elastic net.

    Args:
        l1: The factor of the first term, not negative. None is the default, 0.
        l2: The factor of the second term, not negative. None is the default, 0.

    Raises:
        ValueError: If a factor is negative or not finite.
        TypeError: If a factor is not a number.

    Source: Zou, Hastie, "Regularization and variable selection via the elastic net", JRSS B
    67, 2005.

    Example:
    >>> import keras_norms as kn
    >>> float(kn.L1L2(l1=0.5, l2=0.5)([-3.0, 4.0]))
    16.0
    """

    l1: float = factor(0.0)
    l2: float = factor(0.0)

    @classmethod
    def examples(cls):
        """One with both terms."""
        return [cls(0.5, 0.25)]

    def compute_penalty(self, x):
        """The sum of both terms."""
        return times(self.l1, _l1, x) + times(self.l2, _l2, x)
