"""Copies: a model saved to a temporary file and loaded again, to see which settings come back."""

import pathlib
import tempfile

import keras

from keras_norms.keras_internals import is_from_keras, same_random_numbers
from keras_norms.models.loading import needed_to_load
from keras_norms.models.weights import KINDS, contents_of
from keras_norms.setting import same


def lost_by_saving(contents):
    """The settings that a saved and loaded model lacks, or has others in their place.

    A setting that was removed, and that a layer sets again when it is loaded, is one of them.

    Returns:
        Pairs of a `Weight` and "constraint" or "regularizer", and a clause that says why.
    """
    settings = [(weight, kind) for weight in contents.weights for kind in KINDS]
    set_now = [(w, kind) for w, kind in settings if getattr(w.variable, kind) is not None]
    try:
        loaded = contents_of(_saved_and_loaded(contents)).weights
    except Exception as error:  # a user's class may fail in its own way
        return set_now, f"the model cannot be saved and loaded ({_first_line(error)})"
    shapes = [tuple(w.variable.shape) for w in contents.weights]
    if shapes != [tuple(w.variable.shape) for w in loaded]:
        return set_now, "the loaded model has other weights"
    twins = {id(w.variable): twin for w, twin in zip(contents.weights, loaded, strict=True)}
    lost = [
        (w, kind)
        for w, kind in settings
        if not same(getattr(w.variable, kind), getattr(twins[id(w.variable)].variable, kind))
        # Its config may be the same, and lack something.
        or ((w, kind) in set_now and needed_to_load(getattr(w.variable, kind)))
    ]
    return lost, "a model that was saved and loaded lacks it"


def _saved_and_loaded(contents):
    own = {type(layer) for layer, _ in contents.layers if not is_from_keras(layer)}
    with same_random_numbers(), tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        contents.model.save(path)
        # Without the optimizer and the loss, which have no part in this and may not be registered.
        return keras.saving.load_model(
            path, custom_objects={cls.__name__: cls for cls in own}, compile=False
        )


def _first_line(error):
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
