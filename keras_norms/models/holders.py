"""Holders: where Keras applies a setting, where it saves it, and whether a loaded model has it.

Keras applies what a variable holds. It saves the config of the model, which is made from the
attributes of the layers. Whether an attribute gets into the config depends on the enclosing layers,
and on the model's author. So it is measured: each attribute gets a numbered mark, and the marks are
looked for in the config.
"""

import warnings

import keras

from keras_norms.keras_internals import models_with


def apply_settings(weights, settings, kind):
    """Set constraints or regularizers on some weights of a model.

    Args:
        weights: All weights of the model, a sequence of `Weight`.
        settings: Pairs of a weight and what to set on it, which may be None.
        kind: "constraint" or "regularizer".
    """
    shared: dict = {}
    for weight, setting in settings:
        setattr(weight.variable, kind, setting)
        for layer, attribute in weight.holders(kind)[:1]:
            setattr(layer, attribute, setting)
        for layer, attribute in weight.holders(kind)[1:]:
            shared[id(layer), attribute] = layer
    # An attribute that several weights share holds their setting if it is the same for all.
    for (_, attribute), layer in shared.items():
        held = [w.variable for w in weights if (layer, attribute) in w.holders(kind)[1:]]
        first = getattr(held[0], kind)
        if all(getattr(variable, kind) == first for variable in held):
            setattr(layer, attribute, first)


def renew_steps(layers):
    """Make the compiled train and test steps anew, in every model that has one of these layers.

    TensorFlow and JAX compile the settings into these steps.
    """
    for model in models_with(layers):
        held = vars(model)
        if held.get("train_function") is not None:
            model.make_train_function(force=True)
        if held.get("test_function") is not None:
            model.make_test_function(force=True)


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
        The set of (id of the layer, attribute name).
    """
    unique = {(id(layer), name): (layer, name) for layer, name in attributes}
    places = list(unique.values())
    before = [getattr(layer, name) for layer, name in places]
    try:
        for number, (layer, name) in enumerate(places):
            setattr(layer, name, _Mark(number, before[number]))
        config = model.get_config()
    except Exception:  # a user's class may have no config, or raise anything: it cannot be saved
        config = {}
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


def lost_on_save(model, weights, kind):
    """The weights whose setting changes when the model is saved and loaded.

    Args:
        model: The model that would be saved.
        weights: Some of its weights, a sequence of `Weight`.
        kind: "constraint" or "regularizer".
    """
    saved = saved_attributes(model, [place for w in weights for place in w.holders(kind)])
    return [w for w in weights if not _comes_back(w, kind, saved)]


def _comes_back(weight, kind, saved):
    """Whether the nearest attribute that is saved holds what the variable holds."""
    setting = getattr(weight.variable, kind)
    holders = weight.holders(kind)
    for layer, name in holders:
        if (id(layer), name) in saved:
            return getattr(layer, name) == setting and _is_loadable(setting)
    if setting is None or holders:
        return setting is None
    return _is_built_in(weight, kind, setting)


def _is_loadable(setting):
    """Whether Keras can load it without `custom_objects`, which a user's function needs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns that a lambda is unsafe
            keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(setting))
    except Exception:  # whatever a reader raises
        return False
    return True


def _is_built_in(weight, kind, setting):
    """Whether the layer, which has no attribute for it, sets it by itself when it is built."""
    layer = weight.layer
    try:
        twin = type(layer).from_config(layer.get_config())
        twin.build_from_config(layer.get_build_config())
        (position,) = [i for i, v in enumerate(layer.variables) if v is weight.variable]
        its = getattr(twin.variables[position], kind)
    except Exception:  # a user's class may fail in its own way
        return False
    return its == setting or (type(its) is type(setting) and _config(its) == _config(setting))


def _config(setting):
    """What to compare in place of a setting: Keras' own are equal only if they are one object."""
    return setting.get_config() if hasattr(setting, "get_config") else setting
