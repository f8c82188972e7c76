"""Holders: where Keras applies a setting, where it saves it, and whether a loaded model has it.

Keras applies what a variable holds. It saves the config of the model, which is made from the
attributes of the layers. Whether an attribute gets into the config depends on the enclosing layers,
and on the model's author. So it is measured: each attribute gets a numbered mark, and the marks are
looked for in the config. A class that is not Keras' own may also set it by itself; it is made again
to see that.
"""

import collections
import hashlib
import weakref

import keras

from keras_norms.keras_internals import aside, is_from_keras, models_with
from keras_norms.models.loading import needed_to_load, same


def apply_settings(weights, settings, kind):
    """Set constraints or regularizers on some weights of a model.

    Args:
        weights: All weights of the model, a sequence of `Weight`.
        settings: Pairs of a weight and what to set on it, which may be None.
        kind: "constraint" or "regularizer".
    """
    for weight, setting in settings:
        setattr(weight.variable, kind, setting)
    # An attribute holds the setting of the weights that are nearest to it, or of all others if it
    # is the nearest to none. If they do not have the same setting, it stays as it is.
    nearest: dict = collections.defaultdict(list)
    further: dict = collections.defaultdict(list)
    for weight in weights:
        for number, (layer, attribute) in enumerate(weight.holders(kind)):
            (further if number else nearest)[layer, attribute].append(weight.variable)
    for weight, _ in settings:
        for number, place in enumerate(weight.holders(kind)):
            if number and place in nearest:
                continue
            held = nearest.get(place) or further[place]
            first = getattr(held[0], kind)
            if all(getattr(variable, kind) == first for variable in held):
                layer, attribute = place
                setattr(layer, attribute, first)


def renew_steps(layers):
    """Make the compiled train and test steps anew, in every model that has one of these layers.

    TensorFlow and JAX compile the settings into these steps.
    """
    for model in models_with(layers):
        held = vars(model)
        # Not by `force=True`, which a method that a user has written may not take.
        if held.get("train_function") is not None:
            model.train_function = None
            model.make_train_function()
        if held.get("test_function") is not None:
            model.test_function = None
            model.make_test_function()


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


def said_by_layer(weight, kind):
    """What the nearest layer says of a weight's setting.

    Args:
        weight: A `Weight`.
        kind: "constraint" or "regularizer".

    Returns:
        (layer, attribute name, setting), made if the layer has its name or config; None if the
        layer says nothing.
    """
    for layer, attribute in weight.holders(kind)[:1]:
        setting = getattr(layer, attribute)
        if isinstance(setting, (str, dict)):
            try:
                setting = getattr(keras, f"{kind}s").get(setting)
            except Exception:  # a name that only the user's class knows
                return None
        if setting is not None:
            return layer, attribute, setting
    return None
