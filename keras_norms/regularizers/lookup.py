"""Looking up regularizers: `get`, `serialize` and `deserialize`, as in Keras."""

from typing import Any

import keras

from keras_norms.identifiers import find_setting, from_config

# `__init__.py` fills this. `Sum` and `BatchMean` need `get`, so they cannot be imported here.
CLASSES: dict[str, type] = {}


def get(identifier: Any) -> Any:
    """The regularizer that `identifier` stands for.

    "l1_l2" has both factors at 0.01, which Keras documents for this name but does not find;
    "L1L2" is `L1L2()`, as in Keras, and penalises nothing.

    Args:
        identifier: None, a name ("l2" or "L2"), a config dict, a class, or any other callable,
            which is returned as it is.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is none of these.

    Example:
    >>> from keras_norms import regularizers
    >>> regularizers.get("l2")
    L2(l2=0.01)
    """
    if isinstance(identifier, str) and identifier == "l1_l2":
        return CLASSES["L1L2"](l1=0.01, l2=0.01)
    return find_setting(identifier, CLASSES, "regularizer")


def get_one(name: str, value: Any) -> Any:
    """What `get` finds for a part of another regularizer, which must be one."""
    regularizer = get(value)
    if regularizer is None:
        raise ValueError(f"`{name}` must be a regularizer. Received: {name}=None")
    if isinstance(regularizer, keras.constraints.Constraint):
        raise TypeError(
            f"`{name}` must be a regularizer. Received: {name}={regularizer!r}, a constraint"
        )
    return regularizer


def serialize(regularizer: Any) -> dict[str, Any]:
    """The config dict of a regularizer, from which `deserialize` makes an equal one.

    Example:
    >>> from keras_norms import regularizers
    >>> regularizers.serialize(regularizers.L2(0.1))["config"]
    {'l2': 0.1}
    """
    return keras.saving.serialize_keras_object(regularizer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer that `serialize` made `config` from.

    Args:
        config: A config dict.
        custom_objects: Classes by name, for regularizers that are not registered.

    Example:
    >>> from keras_norms import regularizers
    >>> regularizers.deserialize(regularizers.serialize(regularizers.L2(0.1)))
    L2(l2=0.1)
    """
    return from_config(config, CLASSES, custom_objects)
