"""Penalties of a model: the regularizers of its weights, and of the outputs of its layers."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from keras_norms.settings import put
from keras_norms.weights import layers_of, weights_of


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A regularizer that a model has, of a weight or of the outputs of a layer.

    Attributes:
        path: The weight's path, or the layer's with "/activity".
        regularizer: The regularizer that Keras applies.
        set: A function that puts another in its place.
    """

    path: str
    regularizer: Any
    set: Callable[[Any], None]


def penalties_of(model):
    """The penalties of a model's weights, then those of its layers' outputs.

    Args:
        model: A built Keras model or layer.
    """
    weights = weights_of(model)
    on_weights = [
        Penalty(w.path, w.variable.regularizer, functools.partial(_put, weights, w))
        for w in weights
        if w.variable.regularizer is not None
    ]
    on_outputs = [
        Penalty(
            f"{layer.path or layer.name}/activity",
            layer.activity_regularizer,
            functools.partial(setattr, layer, "activity_regularizer"),
        )
        for layer, _ in layers_of(model)
        if layer.activity_regularizer is not None
    ]
    return on_weights + on_outputs


def _put(weights, weight, regularizer):
    put(weights, [(weight, regularizer)], "regularizer")
