"""Looking up constraints: `get`, `serialize` and `deserialize`, as in Keras."""

from typing import Any

import keras

from keras_norms.identifiers import find_setting, from_config

# `__init__.py` fills this. `Chain` needs `get`, so the classes cannot be imported here.
CLASSES: dict[str, type] = {}


def get(identifier: Any) -> Any:
    """The constraint that `identifier` stands for.

    Args:
        identifier: None, a name ("max_norm" or "MaxNorm"), a config dict, a class, or any
            other callable, which is returned as it is.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is none of these.

    Example:
    >>> from keras_norms import constraints
    >>> constraints.get("max_norm")
    MaxNorm(max_value=2, axis=0, ord=2)
    """
    return find_setting(identifier, CLASSES, "constraint")


def serialize(constraint: Any) -> dict[str, Any]:
    """The config dict of a constraint, from which `deserialize` makes an equal one.

    Example:
    >>> from keras_norms import constraints
    >>> constraints.serialize(constraints.MaxNorm(3.0))["config"]
    {'max_value': 3.0, 'axis': 0}
    """
    return keras.saving.serialize_keras_object(constraint)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that `serialize` made `config` from.

    Args:
        config: A config dict.
        custom_objects: Classes by name, for constraints that are not registered.

    Example:
    >>> from keras_norms import constraints
    >>> constraints.deserialize(constraints.serialize(constraints.MaxNorm(3.0)))
    MaxNorm(max_value=3.0, axis=0, ord=2)
    """
    return from_config(config, CLASSES, custom_objects)
