"""Identifiers: find what a name, a config or a class stands for, as Keras' `get` functions do."""

import inspect
import re

import keras

from keras_norms.keras_internals import is_from_keras


def by_name(*classes):
    """The classes under their CamelCase and snake_case names, as Keras looks them up."""
    names = {cls.__name__: cls for cls in classes}
    return names | {_snake_case(name): cls for name, cls in names.items()}


def _snake_case(name):
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _names(classes):
    """One name of each class: of those that it has, the one of most words."""
    of_class = dict.fromkeys(classes.values(), "")
    for name, cls in classes.items():
        of_class[cls] = max(of_class[cls], name, key=lambda n: (n.islower(), n.count("_")))
    return sorted(of_class.values())


def from_config(config, classes, custom_objects=None):
    """The object that a config stands for.

    A name stands for one of the classes here, unless the config says that it comes from a module
    which is neither ours nor Keras'.
    """
    module = config.get("module") if isinstance(config, dict) else None
    is_foreign = module and module.partition(".")[0] not in ("keras", "keras_norms", "builtins")
    return keras.saving.deserialize_keras_object(
        config, custom_objects=custom_objects, module_objects=None if is_foreign else classes
    )


def find_setting(identifier, classes, kind):
    """The object that `identifier` stands for.

    Args:
        identifier: None, a name, a config dict, a class, or any other callable.
        classes: The classes by name.
        kind: "constraint" or "regularizer", for the error message.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is none of these.
    """
    given = identifier
    if isinstance(identifier, dict):
        identifier = from_config(identifier, classes)
        if isinstance(identifier, str):  # Keras returns a name that it does not know
            raise ValueError(
                f"Unknown {kind} {identifier!r}; register its class or function by "
                f"`keras.saving.register_keras_serializable`. Received: {given}"
            )
    elif isinstance(identifier, str):
        if identifier not in classes:
            raise ValueError(
                f"Unknown {kind}; known names are {', '.join(_names(classes))}. "
                f"Received: {identifier!r}"
            )
        identifier = classes[identifier]
    if inspect.isclass(identifier):
        identifier = _made(identifier, given)
    if identifier is None or callable(identifier):
        return identifier
    several = {"constraint": "Chain(a, b)", "regularizer": "a + b"}[kind]
    hint = f"; several are {several}" if isinstance(identifier, (list, tuple)) else ""
    raise TypeError(
        f"A {kind} is None, a name, a config dict, a class or a callable{hint}. Received: {given!r}"
    )


def drop_in(setting, classes):
    """Our object in place of one of Keras, with the same arguments; any other setting as it is.

    Raises:
        TypeError, ValueError: If ours refuses the arguments that Keras accepted.
    """
    cls = classes.get(type(setting).__name__)
    if cls is None or not is_from_keras(setting):
        return setting
    return cls.from_config(setting.get_config())


def _made(cls, given):
    """An object of a class, made without arguments."""
    try:
        return cls()
    except TypeError as error:
        raise TypeError(
            f"{cls.__name__} needs arguments ({error}); give an object, as {cls.__name__}(...). "
            f"Received: {given!r}"
        ) from error
