"""Regularizers: penalties on weights or activations, added to the loss.

Drop-in for `keras.regularizers`: the same names, arguments, defaults, config keys and values. A
penalty is computed in float32 at least and returned so, which keeps it finite under mixed
precision.
"""

import dataclasses
from typing import Any, final

import keras
from keras import ops

from keras_norms.config import Configured, Several, by_name, find, nonnegative, parameter
from keras_norms.groups import as_rows
from keras_norms.norms import l2_or_one, magnitude
from keras_norms.precision import lift

_registered = keras.saving.register_keras_serializable("keras_norms")

# From Keras 3.14, a layer divides what its activity regularizer returns by the batch size.
KERAS_DIVIDES_BY_BATCH = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14)


def _factor(default):
    """A factor field; None means its default, as in Keras."""

    def check(name, value):
        return nonnegative(name, default if value is None else value)

    return parameter(check, default)


class Regularizer(Configured, keras.regularizers.Regularizer):
    """Base class of the regularizers: a scalar penalty.

    A subclass is a frozen dataclass that defines `_penalty(x)`, where `x` is a tensor of float32
    or float64. A class that only overrides `__call__`, as one made for
    `keras.regularizers.Regularizer` does, works too.

    Example:
    >>> import dataclasses, keras
    >>> from keras_norms.regularizers import Regularizer
    >>> @keras.saving.register_keras_serializable("my_package")
    ... @dataclasses.dataclass(frozen=True)
    ... class Mean(Regularizer):
    ...     def _penalty(self, x):
    ...         return keras.ops.mean(x)
    >>> float(Mean()([1.0, 3.0]))
    2.0

    The sum of penalties is a penalty; `sum([a, b])` works, and so do Keras' own:
    >>> import keras_norms as kn
    >>> kn.L1(0.1) + kn.L2(0.2)
    Sum(L1(l1=0.1), L2(l2=0.2))
    """

    def __add__(self, other):
        return Sum(self, other) if callable(other) else NotImplemented

    def __radd__(self, other):
        if type(other) is int and other == 0:  # where `sum` starts
            return self
        return Sum(other, self) if callable(other) else NotImplemented

    def __call__(self, x):
        """The penalty as Keras adds it to the loss: a float32 or float64 scalar.

        Args:
            x: A `keras.Variable`, tensor or array of floating-point numbers, of any shape:
                weights, or a layer's output with the batch as its first axis.

        Raises:
            TypeError: If `x` does not hold floating-point numbers.
        """
        return self.value(x)

    def value(self, x):
        """The penalty that enters the loss in the end, whatever Keras does to an activity's."""
        x, _ = lift(x, "Regularized values")
        return self._penalty(x)

    def _penalty(self, x):
        raise NotImplementedError(
            f"{type(self).__name__} must define `_penalty(x)`, or override `__call__`."
        )


def _l1(x):
    return ops.sum(magnitude(x))


def _l2(x):
    return ops.sum(x * x)


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

    Example:
    >>> import keras_norms as kn
    >>> float(kn.L1(0.5)([-3.0, 4.0]))
    3.5
    """

    l1: float = _factor(0.01)

    def _penalty(self, x):
        return self.l1 * _l1(x)


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

    Example:
    >>> import keras_norms as kn
    >>> float(kn.L2(0.5)([-3.0, 4.0]))
    12.5
    """

    l2: float = _factor(0.01)

    def _penalty(self, x):
        return self.l2 * _l2(x)


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

    l1: float = _factor(0.0)
    l2: float = _factor(0.0)

    def _penalty(self, x):
        # A factor of 0 leaves its term out: 0 times an overflowing sum would be NaN.
        terms = [f * norm(x) for f, norm in ((self.l1, _l1), (self.l2, _l2)) if f != 0]
        return sum(terms, start=ops.zeros((), dtype=x.dtype))


def _mode(name, value):
    if value not in ("rows", "columns"):
        raise ValueError(f'`{name}` must be "rows" or "columns". Received: {name}={value!r}')
    return value


@_registered
@final
@dataclasses.dataclass(frozen=True)
class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean of `abs(cos)` over all pairs of rows, or of columns.

    A kernel of any rank is read as a matrix `(everything else, last axis)`, so that the columns
    are the units of a Dense layer and the filters of a convolution. A zero vector is orthogonal
    to every other. With fewer than two vectors there are no pairs, and the penalty is 0.

    More vectors than they have entries cannot all be orthogonal: on a tall kernel, `mode="rows"`
    never reaches 0.

    Args:
        factor: The factor, not negative.
        mode: "rows" or "columns", the vectors that should be orthogonal.

    Raises:
        ValueError: If `factor` is negative or not finite, `mode` is unknown, or the weight is a
            scalar or of unknown shape.
        TypeError: If `factor` is not a number.

    Example:
    >>> import keras_norms as kn
    >>> penalty = kn.OrthogonalRegularizer(1.0, mode="columns")
    >>> round(float(penalty([[3.0, 0.0], [4.0, 2.0]])), 6)
    0.8
    """

    factor: float = parameter(nonnegative, 0.01)
    mode: str = parameter(_mode, "rows")

    def _penalty(self, x):
        rank = len(x.shape)
        if rank == 0:
            raise ValueError("OrthogonalRegularizer needs vectors. Received: a scalar weight")
        if None in tuple(x.shape):
            raise ValueError(
                "OrthogonalRegularizer is for weights, whose shape is known. "
                f"Received: shape={tuple(x.shape)}"
            )
        inside = (rank - 1,) if self.mode == "rows" else tuple(range(rank - 1))
        vectors = as_rows(x, inside)
        count = vectors.shape[0]
        if count < 2:
            return ops.zeros((), dtype=x.dtype)
        vectors = vectors / l2_or_one(vectors, (1,))
        cosines = vectors @ ops.transpose(vectors)  # `ops.matmul` rounds float64 on PyTorch
        pairs = magnitude(cosines * (1 - ops.eye(count, dtype=x.dtype)))
        return self.factor * (ops.sum(pairs) / (count * (count - 1)))


def is_for_activations(regularizer):
    """Whether a penalty needs a batch, or has a term that does."""
    terms = regularizer.regularizers if isinstance(regularizer, Sum) else (regularizer,)
    return any(isinstance(term, BatchMean) for term in terms)


def _per_sample(name, value):
    regularizer = get(value)
    if regularizer is None or is_for_activations(regularizer):
        raise ValueError(
            f"`{name}` must be a regularizer that is not a BatchMean, nor a sum with one. "
            f"Received: {name}={value!r}"
        )
    return regularizer


@_registered
@final
@dataclasses.dataclass(frozen=True)
class BatchMean(Regularizer):
    """`regularizer(outputs) / batch` as an activity penalty, the same under every Keras.

    A layer adds `activity_regularizer(outputs)` to the loss up to Keras 3.13, and divides it by
    the batch size from 3.14. BatchMean does the division exactly where Keras does not, so the
    strength per sample depends neither on the batch size nor on the version. It is for
    activations: a weight has no batch.

    Args:
        regularizer: A regularizer, ours or Keras', or what `get` takes.

    Raises:
        ValueError: If `regularizer` is None, unknown, or a BatchMean itself.
        TypeError: If `regularizer` is nothing that `get` takes.

    Example:
    >>> import numpy as np, keras_norms as kn
    >>> penalty = kn.BatchMean(kn.L2(1.0))
    >>> float(penalty.value(np.full((5, 2), 4.0, "float32")))  # 160 / 5
    32.0
    """

    regularizer: Regularizer = parameter(_per_sample)

    def __call__(self, x):
        """What Keras adds to the loss after its own division, if any, is `value(x)`."""
        return self._sum(x) if KERAS_DIVIDES_BY_BATCH else self.value(x)

    def value(self, x):
        """The penalty that enters the loss: a float32 or float64 scalar.

        Args:
            x: A layer's output, with the batch as its first axis. A scalar is its own batch,
                which Keras does not divide either.

        Raises:
            TypeError: If `x` does not hold floating-point numbers.
        """
        total = self._sum(x)
        if len(x.shape) == 0:
            return total
        batch = ops.maximum(ops.shape(x)[0], 1)  # an empty batch has penalty 0
        return total / ops.cast(batch, total.dtype)

    def _sum(self, x):
        x, _ = lift(x, "Regularized values")
        return self.regularizer(x)


def _term(value):
    regularizer = get(value)
    if regularizer is None:
        raise ValueError("A Sum is made of regularizers. Received: None")
    return regularizer


@_registered
@final
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Sum(Several, Regularizer):
    """The sum of several penalties, which `a + b` makes.

    Args:
        *regularizers: Two or more regularizers, ours or Keras', or what `get` takes.

    Raises:
        ValueError: If there are fewer than two, one is None, or a name is unknown.
        TypeError: If one of them is nothing that `get` takes.

    Example:
    >>> import keras_norms as kn
    >>> float((kn.L1(0.5) + kn.L2(0.5))([-3.0, 4.0]))
    16.0
    """

    regularizers: tuple[Any, ...] = parameter(_term)

    def __call__(self, x):
        """What Keras adds to the loss after its own division, if any, is `value(x)`."""
        x, _ = lift(x, "Regularized values")
        return sum(r(x) for r in self.regularizers)

    def _penalty(self, x):
        return sum(r.value(x) if isinstance(r, Regularizer) else r(x) for r in self.regularizers)


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

CLASSES = by_name(L1, L2, L1L2, OrthogonalRegularizer, BatchMean, Sum) | {"l1_l2": L1L2}


def get(identifier):
    """The regularizer that `identifier` stands for.

    "l1_l2" has both factors at 0.01, which Keras documents for this name but does not find;
    "L1L2" is `L1L2()`, as in Keras, and penalises nothing.

    Args:
        identifier: None, a name ("l2" or "L2"), a config dict, a class, or any other callable,
            which is returned as it is.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is none of these.

    Example:
    >>> from keras_norms import regularizers
    >>> regularizers.get("l2")
    L2(l2=0.01)
    """
    if isinstance(identifier, str) and identifier == "l1_l2":
        return L1L2(l1=0.01, l2=0.01)
    return find(identifier, CLASSES, "regularizer")


def serialize(regularizer):
    """The config dict of a regularizer, from which `deserialize` makes an equal one.

    Example:
    >>> from keras_norms import regularizers
    >>> regularizers.serialize(regularizers.L2(0.1))["config"]
    {'l2': 0.1}
    """
    return keras.saving.serialize_keras_object(regularizer)


def deserialize(config, custom_objects=None):
    """The regularizer that `serialize` made `config` from.

    Args:
        config: A config dict.
        custom_objects: Classes by name, for regularizers that are not registered.

    Example:
    >>> from keras_norms import regularizers
    >>> regularizers.deserialize(regularizers.serialize(regularizers.L2(0.1)))
    L2(l2=0.1)
    """
    return keras.saving.deserialize_keras_object(
        config, custom_objects=custom_objects, module_objects=CLASSES
    )
