"""Penalties that make groups or activations sparse: `GroupLasso`, `Hoyer` and `KLSparsity`."""

import dataclasses
import math
from typing import final

import keras
from keras import ops

from keras_norms.config import flag, limit, nonnegative, parameter
from keras_norms.numerics.entries import magnitude
from keras_norms.numerics.groups import Axis, axis_of
from keras_norms.numerics.norms import in_units_near_peak, l2, l2_or_one
from keras_norms.numerics.summation import count, mean, total, total_of_all
from keras_norms.regularizers.activities import ActivityRegularizer
from keras_norms.regularizers.base import Regularizer, times

_registered = keras.saving.register_keras_serializable("keras_norms")


@_registered
@final
@dataclasses.dataclass(frozen=True)
class GroupLasso(Regularizer):
    """`factor * sum(sqrt(n) * norm)` over groups of n entries: draws whole groups to zero.

    `GroupLasso() + L1()` is the sparse group lasso. The gradient of a zero group is 0.

    Of groups of n entries in float32, norms from `1e-15 * sqrt(n)` to 1e18 are exact. Beyond, a
    norm may be 0 or infinite, without a gradient.

    An optimizer that follows gradients makes groups small, not zero. After training, prune those
    that are small beside the others: `SparseUnits` keeps the largest.

    Args:
        factor: The factor, not negative.
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.
        size_scaled: Whether the norm of a group counts `sqrt(n)` times, so that factors mean the
            same for groups of all sizes.

    Raises:
        ValueError: If `factor` is negative or not finite, or `axis` names an axis twice.
        TypeError: If `factor` is not a number, `axis` not made of integers, or `size_scaled` not
            True or False.

    Source: Yuan, Lin, "Model selection and estimation in regression with grouped variables", JRSS B
    68, 2006; Scardapane et al., "Group sparse regularization for deep neural networks", 2017.

    Example:
    >>> import keras_norms as kn
    >>> float(kn.GroupLasso(0.5, size_scaled=False)([[3.0, 0.0], [4.0, 0.0]]))
    2.5
    """

    factor: float = parameter(nonnegative, 0.01, is_factor=True)
    axis: Axis = parameter(axis_of, 0)
    size_scaled: bool = parameter(flag, True)

    @classmethod
    def examples(cls):
        """One with each scaling."""
        return [cls(0.5), cls(0.5, size_scaled=False)]

    def compute_penalty(self, x):
        """The sum of the norms of the groups, times the factor."""
        axes = self.axes_for(x)
        size = count(x, axes) if self.size_scaled else 1
        return times(self.factor, lambda x: total_of_all(l2(x, axes)) * size**0.5, x)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class Hoyer(Regularizer):
    """`factor * sum(abs(w))**2 / sum(w**2)`, summed over groups: few entries, whatever their size.

    The ratio is 1 for one entry that is not zero, and n for n equal ones. It does not change if the
    group is multiplied by a number, so it does not shrink large entries as L1 does. A group of
    zeros has penalty and gradient 0. `regularize` makes one group per unit; with `axis="own"`, None
    stays one group for the whole weight.

    Args:
        factor: The factor, not negative.
        axis: The axes inside a group: an integer, a tuple of integers, or None for the whole
            tensor. One group per unit: 0 for Dense, `(0, 1, 2)` for Conv2D; see `unit_axes`.

    Raises:
        ValueError: If `factor` is negative or not finite, or `axis` names an axis twice.
        TypeError: If `factor` is not a number, or `axis` not made of integers.

    Source: Yang, Wen, Li, "DeepHoyer: Learning Sparser Neural Network with Differentiable Scale-
    Invariant Sparsity Measures", ICLR 2020.

    Example:
    >>> import keras_norms as kn
    >>> print(round(float(kn.Hoyer(1.0)([3.0, -3.0, 0.0])), 4))
    2.0
    """

    factor: float = parameter(nonnegative, 0.01, is_factor=True)
    axis: Axis = parameter(axis_of, None)

    def compute_penalty(self, x):
        """The squared ratio of two norms of each group, summed, times the factor."""
        axes = self.axes_for(x)

        def penalty(x):
            x, _ = in_units_near_peak(x, axes)
            ratio = total(magnitude(x), axes) / l2_or_one(x, axes)
            return total_of_all(ratio * ratio)

        return times(self.factor, penalty, x)


def _rate(name, value):
    value = limit(name, value)
    if not 0 < value < 1:
        raise ValueError(f"`{name}` must be in (0, 1). Received: {name}={value!r}")
    return value


# The nearest that a mean activation counts as to 0 and 1, where the divergence is infinite. 1 less
# this number is exact in float32.
_LEAST = 2.0**-20


@_registered
@final
@dataclasses.dataclass(frozen=True)
class KLSparsity(ActivityRegularizer):
    """Draws the mean activation of each unit to `rho`: the penalty of the sparse autoencoder.

    It is `factor * sum(KL(rho, mean))` over the units, the last axis of the output, with

        KL(rho, mean) = rho * log(rho / mean) + (1 - rho) * log((1 - rho) / (1 - mean))

    and the mean over the batch and all other axes. Activations must lie in [0, 1], as those of a
    sigmoid do. A mean below 2**-20 (1e-6) or above 1 - 2**-20 counts as that, and has no gradient.

    It is a statistic of the batch: a batch that is repeated has the same penalty, under every
    Keras. The mean of a short last batch is over fewer samples. Masked steps count, as Keras hands
    them over. On several devices, TensorFlow and PyTorch take the mean over the samples of each
    device, and JAX over the whole batch.

    Args:
        factor: The factor, not negative.
        rho: The mean activation to come to, in (0, 1).

    Raises:
        ValueError: If `factor` is negative or not finite, or `rho` is not in (0, 1).
        TypeError: If an argument is not a number.

    Source: Ng, "Sparse autoencoder", CS294A lecture notes, 2011.

    Example:
    >>> import numpy as np, keras_norms as kn
    >>> outputs = np.full((8, 3), 0.05, "float32")
    >>> abs(float(kn.KLSparsity(1.0, rho=0.05).value(outputs))) < 1e-6
    True
    >>> print(round(float(kn.KLSparsity(1.0, rho=0.05).value(10 * outputs)), 2))  # 3 * KL(0.05, .5)
    1.48
    """

    factor: float = parameter(nonnegative, 0.01, is_factor=True)
    rho: float = parameter(_rate, 0.05)

    def compute_penalty(self, x):
        """The divergence of each unit's mean activation from `rho`, summed, times the factor."""
        return times(self.factor, self._divergence, x)

    def _divergence(self, x):
        axes = tuple(range(len(x.shape) - 1))
        means = ops.clip(mean(x, axes), _LEAST, 1 - _LEAST)
        on = self.rho * (math.log(self.rho) - ops.log(means))
        off = (1 - self.rho) * (math.log1p(-self.rho) - ops.log1p(-means))
        divergence = total_of_all(on + off)
        # An empty batch has no mean.
        return ops.where(ops.equal(count(x, axes), 0), ops.zeros_like(divergence), divergence)
