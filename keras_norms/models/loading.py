"""Loading: whether a loaded setting is the one that was saved, and what it lacks to be."""

import warnings

import keras
import numpy as np

from keras_norms.config import arguments_of
from keras_norms.models.describe import title
from keras_norms.setting import ask, same


def needed_to_load(setting):
    """What must be done for Keras to load a setting without `custom_objects`; None if nothing.

    Keras loads a class of the user's if it is registered, and makes the object from the config. An
    argument that the config lacks has its default then, and nobody is told.
    """
    define = f"let `get_config` of {title(setting)} return all arguments of `__init__`"
    register = f"make {title(setting)} known by `keras.saving.register_keras_serializable`"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns that a lambda is unsafe
            config = keras.saving.serialize_keras_object(setting)
            loaded = keras.saving.deserialize_keras_object(config)
    except Exception:  # whatever a user's class or its reader raises
        of_a_part = next(filter(None, map(needed_to_load, _parts_of(setting))), None)
        return of_a_part or (define if _is_registered(setting) else register)
    lost = [name for name in arguments_of(type(setting)) if not _is_kept(name, setting, loaded)]
    return define if lost else None


def _parts_of(setting):
    """The settings that a setting is made of: members, and what one of its arguments is."""
    members = [each for each in ask(setting, "members", ()) if each is not setting]
    arguments = getattr(setting, "__dict__", {}).values()
    return members or [each for each in arguments if hasattr(each, "get_config")]


def _is_registered(setting):
    name = keras.saving.get_registered_name(type(setting))
    return keras.saving.get_registered_object(name) is not None


def _is_kept(name, setting, loaded):
    """Whether the attribute that holds an argument, if there is one, was loaded as it was saved."""
    held = next((n for n in (name, f"_{name}") if n in getattr(setting, "__dict__", ())), None)
    if held is None:
        return True
    try:
        return _are_alike(getattr(setting, held), getattr(loaded, held, None))
    except Exception:  # whatever a user's object raises if it is compared
        return True


def _are_alike(before, after):
    """Whether two values of an argument are the same, but that configs make tuples lists."""
    if isinstance(before, dict):
        keys = before.keys()
        is_dict = isinstance(after, dict) and keys == after.keys()
        return is_dict and all(_are_alike(before[key], after[key]) for key in keys)
    if hasattr(before, "get_config"):
        before.get_config()  # raises if nothing can be said
        return same(before, after)
    is_nan = isinstance(before, float) and np.isnan(before)  # which equals nothing
    return bool(is_nan or np.array_equal(before, after))
