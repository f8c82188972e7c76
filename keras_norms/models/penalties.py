"""Penalties of a model: the regularizers of its weights, and of the outputs of its layers."""

import collections
import dataclasses
from typing import Any

import keras

from keras_norms.keras_internals import attribute_names
from keras_norms.models.holders import apply_settings
from keras_norms.models.weights import Weight
from keras_norms.regularizers import L1L2
from keras_norms.setting import same


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A regularizer that a model has, of a weight or of the outputs of a layer.

    Attributes:
        path: The weight's path, or the layer's with "/activity".
        regularizer: The regularizer that Keras applies.
        owner: The `Weight`, or the layer.
    """

    path: str
    regularizer: Any
    owner: Any

    @property
    def is_counted(self):
        """Whether Keras adds it to the loss: not that of a weight that it does not train."""
        return not isinstance(self.owner, Weight) or self.owner.is_trained


def penalties_of(contents):
    """The penalties of a model's weights, then those of its layers' outputs.

    Args:
        contents: The `Contents` of a model.
    """
    weights, paths = contents.weights, activity_paths(contents)
    on_weights = [
        Penalty(w.path, w.variable.regularizer, w)
        for w in weights
        if w.variable.regularizer is not None
    ]
    on_outputs = [
        Penalty(paths[id(layer)], layer.activity_regularizer, layer)
        for layer, _ in contents.layers
        if layer.activity_regularizer is not None and not is_constraint(layer.activity_regularizer)
    ]
    return on_weights + on_outputs


def set_penalties(contents, settings):
    """Put other regularizers in the place of some penalties.

    Args:
        contents: The `Contents` of a model.
        settings: Pairs of a `Penalty` and a regularizer.
    """
    on_weights, around = [], {id(layer): enclosing for layer, enclosing in contents.layers}
    for penalty, regularizer in settings:
        if isinstance(penalty.owner, Weight):
            on_weights.append((penalty.owner, regularizer))
        else:
            penalty.owner.activity_regularizer = regularizer
            _tell_config(contents, around[id(penalty.owner)], penalty, regularizer)
    apply_settings(contents.weights, on_weights, "regularizer")


def _tell_config(contents, around, penalty, regularizer):
    """Let layers whose configs hold the penalty of an output by another way hold the new one.

    Attention makes the layers in it again from one argument of its own, which stays as it is until
    none of them has the old penalty.
    """
    is_argument = isinstance(regularizer, L1L2)  # not what was put in its place
    if is_argument and isinstance(penalty.owner, keras.layers.ActivityRegularization):
        penalty.owner.l1, penalty.owner.l2 = regularizer.l1, regularizer.l2
    _, held = attribute_names("activity_regularizer")  # the other is a penalty of its own
    for outer in around:
        if not same(vars(outer).get(held), penalty.regularizer):
            continue
        within = [layer for layer, enclosing in contents.layers if outer in enclosing]
        if not any(same(layer.activity_regularizer, penalty.regularizer) for layer in within):
            setattr(outer, held, regularizer)


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
