"""Penalties of a model: the regularizers of its weights, and of the outputs of its layers."""

import dataclasses

from keras_norms.weights import layers_of, weights_of


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A regularizer that a model has, of a weight or of the outputs of a layer.

    Attributes:
        path: The weight's path, or the layer's with "/activity".
        places: Where it is held: (object, attribute), the one that Keras applies first.
    """

    path: str
    places: tuple[tuple[object, str], ...]

    @property
    def regularizer(self):
        """The regularizer that Keras applies."""
        return getattr(*self.places[0])

    def set(self, regularizer):
        """Put another regularizer in its place."""
        for owner, attribute in self.places:
            setattr(owner, attribute, regularizer)


def penalties_of(model):
    """The penalties of a model's weights, then those of its layers' outputs.

    Args:
        model: A built Keras model or layer.
    """
    on_weights = [
        Penalty(w.path, ((w.variable, "regularizer"), *w.holders("regularizer")))
        for w in weights_of(model)
        if w.variable.regularizer is not None
    ]
    on_outputs = [
        Penalty(f"{layer.path or layer.name}/activity", ((layer, "activity_regularizer"),))
        for layer, _ in layers_of(model)
        if layer.activity_regularizer is not None
    ]
    return on_weights + on_outputs
