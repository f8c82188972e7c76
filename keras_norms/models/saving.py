"""Saving: whether a model that is saved and loaded has the same settings.

Keras applies what a variable holds. It saves the config of the model, which is made from the
attributes of the layers. Whether an attribute gets into the config depends on the enclosing layers,
and on the model's author. So it is measured: each attribute gets a numbered mark, and the marks are
looked for in the config. A class that is not Keras' own may also set it by itself; it is made again
to see that.
"""

import hashlib
import weakref

import keras

from keras_norms.keras_internals import aside, is_from_keras
from keras_norms.models.loading import needed_to_load
from keras_norms.setting import same


class _Mark:
    """Stands in for a setting. Its config is a number; all else is as the setting has it."""

    def __init__(self, number, setting):
        self.number, self.setting = number, setting

    def __call__(self, w):
        raise AssertionError("A mark is never applied.")

    def __getattr__(self, name):
        if name.startswith("__") or name == "setting":  # a copy that is being made has none yet
            raise AttributeError(name)
        return getattr(self.setting, name)

    def get_config(self):
        return {"number": self.number}


def saved_attributes(model, attributes):
    """Those of `attributes` that the model's config holds.

    Args:
        model: A Keras model or layer.
        attributes: A collection of (layer, attribute name).

    Returns:
        The set of (id of the layer, attribute name); None if the model has no config, so that it
        cannot be saved either.
    """
    unique = {(id(layer), name): (layer, name) for layer, name in attributes}
    places = list(unique.values())
    before = [getattr(layer, name) for layer, name in places]
    try:
        for number, (layer, name) in enumerate(places):
            setattr(layer, name, _Mark(number, before[number]))
        config = model.get_config()
    except Exception:  # a user's class may have no config, or raise anything
        return None
    finally:
        for (layer, name), value in zip(places, before, strict=True):
            setattr(layer, name, value)
    return {(id(places[n][0]), places[n][1]) for n in _numbers(config)}


def _numbers(config):
    """The numbers of the marks in a config."""
    if isinstance(config, dict):
        if config.get("class_name") == _Mark.__name__:
            yield config["config"]["number"]
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for each in config:
            yield from _numbers(each)


def saved_settings(model, weights, kind):
    """For each weight, whether its setting is the same when the model is saved and loaded.

    Args:
        model: The model that would be saved.
        weights: Some of its weights, a sequence of `Weight`.
        kind: "constraint" or "regularizer".

    Returns:
        A list of True, False, and None where it cannot be told without saving the model, or the
        model cannot be saved.
    """
    saved = saved_attributes(model, [place for w in weights for place in w.holders(kind)])
    if saved is None:
        return [None] * len(weights)
    made_again: dict = {}  # by the id of a layer
    return [_comes_back(weight, kind, saved, made_again) for weight in weights]


def _comes_back(weight, kind, saved, made_again):
    """Whether the nearest attribute that is saved holds what the variable holds.

    That a class which is not Keras' own saves an attribute does not say on which weights it sets
    it, and it may set what no attribute holds: such a layer is made again.
    """
    setting = getattr(weight.variable, kind)
    for layer, name in weight.holders(kind):
        if (id(layer), name) in saved:
            if is_from_keras(layer):
                return same(getattr(layer, name), setting) and not needed_to_load(setting)
            break
    layer = next((x for x in (*weight.enclosing, weight.layer) if not is_from_keras(x)), None)
    if layer is None:
        return setting is None
    if id(layer) not in made_again:
        made_again[id(layer)] = _settings_made_again(layer)
    settings = made_again[id(layer)]
    if settings is None:
        return None
    return same(settings[id(weight.variable)][kind], setting) and not needed_to_load(setting)


# What the variables of a layer have when it is made from its config: making a large one takes a
# second. By class, and then by a digest of the config; the oldest go first, because a pruned model
# has other masks after each step.
_MADE: weakref.WeakKeyDictionary[type, dict] = weakref.WeakKeyDictionary()
_MOST_MADE = 64


def _settings_made_again(layer):
    """What a layer that is made again from its config sets on its variables.

    Returns:
        By the id of each variable of the layer, the settings of its twin by kind; None if the
        layer cannot be made again, or has other variables then.
    """
    try:
        config = {k: v for k, v in layer.get_config().items() if k != "name"}
        # Serialized, because a text of a live object need not tell it from another.
        whole = keras.saving.serialize_keras_object([config, layer.get_build_config()])
        key = hashlib.sha256(repr(whole).encode()).digest()
        made = _MADE.setdefault(type(layer), {})
        if key not in made:
            while len(made) >= _MOST_MADE:
                del made[next(iter(made))]
            made[key] = aside(lambda: _made(layer))
    except Exception:  # a user's class may fail in its own way
        return None
    variables = layer.variables
    if [tuple(v.shape) for v in variables] != [each["shape"] for each in made[key]]:
        return None
    return {id(v): each for v, each in zip(variables, made[key], strict=True)}


def _made(layer):
    """The shapes and settings of the variables of a new layer of the same config."""
    twin = type(layer).from_config(layer.get_config())
    twin.build_from_config(layer.get_build_config())
    return [
        {
            "shape": tuple(v.shape),
            "constraint": getattr(v, "constraint", None),
            "regularizer": getattr(v, "regularizer", None),
        }
        for v in twin.variables
    ]
