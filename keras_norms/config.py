"""Configured: the dataclass fields are the Keras config, each with a check of its value."""

import dataclasses
import inspect
import math
import numbers
import re

import keras
import numpy as np

_TINY, _HUGE = (float(x) for x in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))


def parameter(check, default=dataclasses.MISSING):
    """A field that holds `check(name, value)`, for example a validated Python float."""
    return dataclasses.field(default=default, metadata={"check": check})


class Configured:
    """Mixin of the frozen dataclasses that Keras saves: checked fields, and the config from them.

    It stands before the Keras class in the bases, because Keras' own `get_config` of a
    constraint returns `{}`. A subclass that is not a dataclass keeps what Keras does.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if "check" in field.metadata:  # a user's own field may have none
                value = field.metadata["check"](field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, value)

    def get_config(self):
        """The fields as a dict that JSON can hold."""
        if not dataclasses.is_dataclass(self):
            return super().get_config()  # type: ignore[misc]
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}


def _plain(value):
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and math.isinf(value):
        return str(value)  # JSON has no infinity
    if value is None or isinstance(value, (int, float, str)):
        return value
    return keras.saving.serialize_keras_object(value)


class Several(Configured):
    """Mixin of the frozen dataclasses that are made of others: `Chain(a, b)`.

    The only field is a tuple, whose check is applied to each member. Members of the same class
    are taken apart, so that `(a + b) + c` is `a + b + c`.
    """

    def __init__(self, *members):
        (field,) = dataclasses.fields(self)  # type: ignore[arg-type]
        check = field.metadata["check"]
        parts = [check(member) for member in members]
        flat = [each for p in parts for each in (p._members if type(p) is type(self) else [p])]
        if len(flat) < 2:
            raise ValueError(
                f"{type(self).__name__} is made of two or more {field.name}. Received: {flat}"
            )
        object.__setattr__(self, field.name, tuple(flat))

    @property
    def _members(self):
        (field,) = dataclasses.fields(self)  # type: ignore[arg-type]
        return getattr(self, field.name)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(repr, self._members))})"

    def get_config(self):
        """The members as configs, in a dict that JSON can hold."""
        (field,) = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: [keras.saving.serialize_keras_object(each) for each in self._members]}

    @classmethod
    def from_config(cls, config):
        """The object that `get_config` made `config` from."""
        (members,) = config.values()
        return cls(*[keras.saving.deserialize_keras_object(each) for each in members])


def positive(name, value):
    """`value` as a Python float > 0, normal in float32."""
    return _real(name, value, "positive and finite", _TINY, _HUGE)


def nonnegative(name, value):
    """`value` as a Python float >= 0, finite in float32."""
    return _real(name, value, "non-negative and finite", 0, _HUGE)


def fraction(name, value):
    """`value` as a Python float in [0, 1]."""
    return _real(name, value, "in [0, 1]", 0, 1)


def limit(name, value):
    """`value` as a Python float, which may be infinite."""
    if isinstance(value, str) and value in ("inf", "-inf"):  # as `get_config` writes it
        return float(value)
    return _real(name, value, "a number that is not NaN", -math.inf, math.inf)


def _real(name, value, words, low, high):
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    if not low <= value <= high:  # false for NaN too
        raise ValueError(f"`{name}` must be {words}. Received: {name}={value!r}")
    return float(value)


def by_name(*classes):
    """The classes under their CamelCase and snake_case names, as Keras looks them up."""
    names = {cls.__name__: cls for cls in classes}
    return names | {_snake_case(name): cls for name, cls in names.items()}


def _snake_case(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def find(identifier, classes, kind):
    """The object that `identifier` stands for.

    Args:
        identifier: None, a name, a config dict, a class, or any other callable.
        classes: The classes by name.
        kind: "constraint" or "regularizer", for the error message.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is none of these.
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier, module_objects=classes)
    elif isinstance(identifier, str):
        if identifier not in classes:
            raise ValueError(
                f"Unknown {kind}; known names are {', '.join(sorted(classes))}. "
                f"Received: {identifier!r}"
            )
        identifier = classes[identifier]
    if inspect.isclass(identifier):
        identifier = identifier()
    if identifier is None or callable(identifier):
        return identifier
    raise TypeError(
        f"A {kind} is None, a name, a config dict, a class or a callable. Received: {identifier!r}"
    )
