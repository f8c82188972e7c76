"""Holders: the attributes of layers that hold what a variable has, so that Keras can save it."""

import collections

import keras

from keras_norms.keras_internals import forget_steps, models_with
from keras_norms.setting import same


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
            if all(same(getattr(variable, kind), first) for variable in held):
                layer, attribute = place
                setattr(layer, attribute, first)


def renew_steps(layers):
    """Make the compiled train and test steps anew, in every model that has one of these layers.

    TensorFlow and JAX compile the settings into these steps.
    """
    for model in models_with(layers):
        forget_steps(model)
        # Not by `force=True`, which a method that a user has written may not take.
        if getattr(model, "train_function", None) is not None:
            model.train_function = None
            model.make_train_function()
        if getattr(model, "test_function", None) is not None:
            model.test_function = None
            model.make_test_function()


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
