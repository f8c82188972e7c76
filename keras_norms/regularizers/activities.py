"""Penalties on activations, the outputs of a layer for a batch: `BatchMean`."""

import dataclasses
from typing import Any, final

import keras
from keras import ops

from keras_norms.config import parameter
from keras_norms.identifiers import drop_in
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES
from keras_norms.regularizers.base import Regularizer, loss_of
from keras_norms.regularizers.lookup import CLASSES, get_one
from keras_norms.setting import ask, text_of

_registered = keras.saving.register_keras_serializable("keras_norms")


class ActivityRegularizer(Regularizer):
    """Base class of the penalties on activations: they mean the same under every Keras.

    Up to Keras 3.13, a layer adds `activity_regularizer(outputs)` to the loss. From 3.14 on, it
    divides that by the batch size before. Under both, what a subclass returns from
    `compute_penalty(outputs)` enters the loss as it is: if Keras divides, a call multiplies first.
    If `keras.config.floatx()` is float16, that product must not exceed 65504, or the loss is
    infinite; mixed precision has losses in float32, and no such limit.

    Example:
    >>> import dataclasses, keras, numpy as np
    >>> from keras_norms.regularizers import ActivityRegularizer
    >>> @dataclasses.dataclass(frozen=True)
    ... class Variance(ActivityRegularizer):
    ...     def compute_penalty(self, outputs):
    ...         return keras.ops.mean(keras.ops.var(outputs, axis=0))
    >>> layer = keras.layers.Identity(activity_regularizer=Variance())
    >>> _ = layer(np.array([[0.0], [4.0]], "float32"))
    >>> float(layer.losses[0])
    4.0
    """

    @property
    def for_activations(self):
        """True: a weight has no batch."""
        return True

    def for_weights(self):
        """None: a weight has no batch."""
        return None

    def compute_loss(self, x):
        """What Keras turns into the penalty: times the batch size if Keras divides by that.

        Args:
            x: A layer's output, with the batch as its first axis. A scalar is a batch
                of one, which Keras does not divide either.
        """
        penalty = self.compute_penalty(x)
        return penalty * batch_size(x, penalty.dtype) if DIVIDES_ACTIVITY_PENALTIES else penalty


def batch_size(x, dtype):
    """How many samples a layer's output has: a number, or a tensor of `dtype`; at least 1."""
    if len(x.shape) == 0:  # a scalar is a batch of one
        return 1
    if x.shape[0] is not None:
        return max(x.shape[0], 1)  # so that the penalty of an empty batch is 0
    return ops.cast(ops.maximum(ops.shape(x)[0], 1), dtype)


def _per_sample(name, value):
    regularizer = get_one(name, value)
    if ask(regularizer, "for_activations", False):
        raise ValueError(
            f"`{name}` must be a regularizer of weights, not one of activations, as BatchMean, "
            "KLSparsity and sums with one of them are. "
            f"Received: {name}={value!r}"
        )
    return regularizer


@_registered
@final
@dataclasses.dataclass(frozen=True, repr=False)
class BatchMean(ActivityRegularizer):
    """`regularizer(outputs) / batch_size`: an activity penalty, the same under every Keras.

    The strength per sample depends neither on the batch size nor on the version of Keras.

    Args:
        regularizer: A regularizer, ours or Keras', or what `get` takes.

    Raises:
        ValueError: If `regularizer` is None, unknown, or for activations itself.
        TypeError: If `regularizer` is a constraint, or nothing that `get` takes.

    Example:
    >>> import numpy as np, keras_norms as kn
    >>> penalty = kn.BatchMean(kn.L2(1.0))
    >>> float(penalty.value(np.full((5, 2), 4.0, "float32")))  # 160 / 5
    32.0
    """

    regularizer: Any = parameter(_per_sample)

    def __repr__(self):
        return f"BatchMean(regularizer={text_of(self.regularizer)})"

    @classmethod
    def examples(cls):
        """One of a sum of squares."""
        return [cls("l2")]

    @classmethod
    def from_config(cls, config):
        """The object that `get_config` made `config` from. A regularizer of Keras stays Keras'."""
        return cls(keras.saving.deserialize_keras_object(config["regularizer"]))

    def for_weights(self):
        """The regularizer whose penalty is divided here."""
        return self.regularizer

    @property
    def factors(self):
        """Those of the regularizer whose penalty is divided."""
        return ask(self._ours, "factors", ())

    def with_factor(self, name, value):
        """The same with another factor of the regularizer whose penalty is divided."""
        return BatchMean(self._ours.with_factor(name, value))

    @property
    def _ours(self):
        return drop_in(self.regularizer, CLASSES)  # those of Keras have no `with_factor`

    def compute_penalty(self, x):
        """The penalty of all outputs, divided by the batch size."""
        total = loss_of(self.regularizer, x)
        return total / batch_size(x, total.dtype)
