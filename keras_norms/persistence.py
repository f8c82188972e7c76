"""Persistence: which settings of a built model Keras will find again after saving and loading.

Keras saves what the config of the model says, and that is made from the attributes of its layers.
Whether an attribute gets into the config depends on the layers around it, and on the model's
author; so this is measured, by putting a numbered mark into each attribute and looking for it.
"""

import dataclasses


@dataclasses.dataclass
class _Mark:
    number: int

    def __call__(self, w):
        raise AssertionError("A mark is never applied.")

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
            setattr(layer, name, _Mark(number))
        config = model.get_config()
    except NotImplementedError:  # a subclass that has none cannot be saved whole
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
    """The weights whose setting is another after saving and loading.

    Args:
        model: The model that would be saved.
        weights: A list of `keras_norms.weights.Weight`.
        kind: "constraint" or "regularizer".
    """
    saved = saved_attributes(model, [place for w in weights for place in w.holders(kind)])
    return [w for w in weights if not _comes_back(w, kind, saved)]


def _comes_back(weight, kind, saved):
    """Whether the nearest attribute that is saved holds what the variable holds."""
    setting = getattr(weight.variable, kind)
    for layer, name in weight.holders(kind):
        if (id(layer), name) in saved:
            return getattr(layer, name) == setting
    return setting is None
