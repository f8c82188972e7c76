"""Settings: constraints and regularizers, where Keras applies, saves and compiles them."""

import gc

import keras

from keras_norms.weights import layers_of


def put(weights, settings, kind):
    """Set constraints or regularizers on some weights of a model.

    Args:
        weights: All weights of the model, a list of `keras_norms.weights.Weight`.
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
    # An attribute that several weights share holds their setting, if they have one in common.
    for (_, attribute), layer in shared.items():
        held = [w.variable for w in weights if (layer, attribute) in w.holders(kind)[1:]]
        first = getattr(held[0], kind)
        if all(getattr(variable, kind) == first for variable in held):
            setattr(layer, attribute, first)


def renew_steps(model):
    """Have the compiled steps made anew of every model that has a layer of this one.

    The steps of TensorFlow and JAX hold the settings that they were compiled with. A layer does not
    know the models that it is in, so they are looked for among all objects that live.
    """
    layers = {id(layer) for layer, _ in layers_of(model)}
    for each in gc.get_objects():
        if not issubclass(type(each), keras.Model) or not vars(each).get("_layers"):
            continue
        if layers.isdisjoint(map(id, each._flatten_layers())):
            continue
        if vars(each).get("train_function") is not None:
            each.make_train_function(force=True)
        if vars(each).get("test_function") is not None:
            each.make_test_function(force=True)
