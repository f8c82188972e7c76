"""Penalties of a model: the regularizers of its weights, and of the outputs of its layers."""

import collections
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
    weights, paths = contents.weights, activity_paths(contents)
    on_weights = [
        Penalty(w.path, w.variable.regularizer, functools.partial(_put, weights, w))
        for w in weights
        if w.variable.regularizer is not None
    ]
    on_outputs = [
        Penalty(
            paths[id(layer)],
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


def activity_paths(contents):
    """The path that names the penalty of each layer's outputs: the layer's, with "/activity".

    A layer without weights has a name only. Of several layers with one name, those that enclose
    them come first; what is still the same has numbers, as in the labels of weights.

    Returns:
        The paths by the ids of the layers.
    """
    plain = {id(layer): layer.path or layer.name for layer, _ in contents.layers}
    several = {name for name, count in collections.Counter(plain.values()).items() if count > 1}
    used: collections.Counter[str] = collections.Counter()
    for layer, enclosing in contents.layers:
        path = plain[id(layer)]
        if path in several and not layer.path:
            path = "/".join(x.name for x in (*enclosing, layer))
        used[path] += 1
        number = f":{used[path]}" if used[path] > 1 else ""
        plain[id(layer)] = f"{path}{number}/activity"
    return plain


def _put(weights, weight, regularizer):
    apply_settings(weights, [(weight, regularizer)], "regularizer")
