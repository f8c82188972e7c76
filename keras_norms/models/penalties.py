"""Penalties of a model: the regularizers of its weights, and of the outputs of its layers."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras

from keras_norms.models.holders import apply_settings


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


def penalties_of(contents):
    """The penalties of a model's weights, then those of its layers' outputs.

    Args:
        contents: The `Contents` of a model.
    """
    weights = contents.weights
    on_weights = [
        Penalty(w.path, w.variable.regularizer, functools.partial(_put, weights, w))
        for w in weights
        if w.variable.regularizer is not None
    ]
    on_outputs = [
        Penalty(
            activity_path(layer),
            layer.activity_regularizer,
            functools.partial(setattr, layer, "activity_regularizer"),
        )
        for layer, _ in contents.layers
        if layer.activity_regularizer is not None and not is_constraint(layer.activity_regularizer)
    ]
    return on_weights + on_outputs


def is_constraint(setting):
    """Whether what is set as a penalty is a constraint, ours or Keras', by mistake."""
    return isinstance(setting, keras.constraints.Constraint)


def activity_path(layer):
    """The path that names the penalty of a layer's outputs: the layer's, with "/activity"."""
    return f"{layer.path or layer.name}/activity"


def _put(weights, weight, regularizer):
    apply_settings(weights, [(weight, regularizer)], "regularizer")
