"""Configured: the fields of a dataclass are its Keras config, each with a check of its value."""

import dataclasses
import inspect
import math
import numbers
import operator
import re
import sys
from typing import Any

import keras
import numpy as np

_TINY, _HUGE = (float(x) for x in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))


def parameter(check, default=dataclasses.MISSING, *, in_keras=True, is_factor=False):
    """A field that holds `check(name, value)`, for example a validated Python number.

    Args:
        check: A function of the field's name and a value. It returns what the field holds.
        default: The default value, which is checked too.
        in_keras: Whether Keras' class of the same name has this argument. If not, the
            config leaves it out while it has its default, so that Keras can read the config.
        is_factor: Whether the field is a factor that scales a penalty.
    """
    metadata = {"check": check, "in_keras": in_keras, "is_factor": is_factor}
    return dataclasses.field(default=default, metadata=metadata)


class Configured:
    """Mixin of the frozen dataclasses that Keras saves: it checks the fields and makes the config.

    Name it before the Keras class among the bases, because Keras' own `get_config` of a
    constraint returns `{}`. A subclass that is not a dataclass has Keras' `get_config`, unless its
    `__init__` takes arguments: then it must have its own.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if "check" in field.metadata:
                value = field.metadata["check"](field.name, value)
            else:
                value = _as_before_json(value, field.type)
            object.__setattr__(self, field.name, value)

    def get_config(self) -> dict[str, Any]:
        """The fields as a dict that JSON can hold.

        An argument that Keras' class of the same name lacks is in the dict only if it differs from
        its default. Otherwise, the keys are Keras', and its `from_config` can read them.

        Raises:
            NotImplementedError: If the class is no dataclass, and `__init__` takes arguments.
        """
        if not dataclasses.is_dataclass(self):
            if lost := arguments_of(type(self)):
                raise NotImplementedError(
                    f"{type(self).__name__} must override `get_config`, or be a frozen dataclass, "
                    f"or its arguments would be lost. Received: __init__({', '.join(lost)})"
                )
            return super().get_config()  # type: ignore[misc]
        values = {f: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            field.name: _as_json(value)
            for field, value in values.items()
            if field.metadata.get("in_keras", True) or value != field.default
        }


def _as_before_json(value, kind):
    """What a field without a check, which is a user's own, held when its config was made.

    Args:
        value: What the config holds, or what the user gave.
        kind: The annotation of the field: a type, or its text.
    """
    if isinstance(value, (list, tuple)):
        return tuple(_as_before_json(each, kind) for each in value)
    if isinstance(value, str) and value in _INFINITE and re.search(r"\bfloat\b", _text(kind)):
        return float(value)
    if isinstance(value, dict):
        if "class_name" in value:
            return keras.saving.deserialize_keras_object(value)
        return {key: _as_before_json(each, kind) for key, each in value.items()}
    return value


# How `get_config` writes infinity, for which JSON has no number.
_INFINITE = ("inf", "-inf")


def _text(kind):
    return kind.__name__ if isinstance(kind, type) else str(kind)


def default_of(cls, name, otherwise):
    """The default of an argument that a class takes; `otherwise` if it takes none of this name."""
    try:
        parameter = inspect.signature(cls).parameters[name]
    except (KeyError, ValueError):  # a class that is written in C has no signature
        return otherwise
    return parameter.default


def arguments_of(cls):
    """The names of the arguments that a class takes, but for `*args` and `**kwargs`."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        parameters = inspect.signature(cls).parameters.values()
    except ValueError:  # a class that is written in C has none to see
        return []
    return [p.name for p in parameters if p.kind in kinds]


def _as_json(value):
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, float) and math.isinf(value):
        return str(value)  # JSON has no infinity
    if value is None or isinstance(value, (int, float, str)):
        return value
    return keras.saving.serialize_keras_object(value)


def positive(name, value):
    """`value` as a Python number > 0, neither subnormal nor infinite in float32."""
    words = "positive and finite in float32"
    if isinstance(value, (float, np.floating)) and 0 < value < _TINY:
        words = f"at least {_TINY:.3g}, the least normal number of float32"
    return _real(name, value, words, _TINY, _HUGE)


def nonnegative(name, value):
    """`value` as a Python number >= 0, finite in float32."""
    return _real(name, value, "non-negative and finite in float32", 0, _HUGE)


def fraction(name, value):
    """`value` as a Python number in [0, 1]."""
    return _real(name, value, "in [0, 1]", 0, 1)


def whole(low, high=None):
    """The check of a parameter that is an integer from `low`, to `high` if there is one."""

    def check(name, value):
        try:
            if isinstance(value, bool):
                raise TypeError
            value = operator.index(value)
        except TypeError:
            raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}") from None
        if value < low or (high is not None and value > high):
            words = f"at least {low}" if high is None else f"in [{low}, {high}]"
            raise ValueError(f"`{name}` must be {words}. Received: {name}={value}")
        return value

    return check


def one_of(*words):
    """The check of a parameter that is one of some words."""
    *some, last = (f'"{word}"' for word in words)

    def check(name, value):
        if not isinstance(value, str) or value not in words:
            expected = f"{', '.join(some)} or {last}"
            raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")
        return value

    return check


def flag(name, value):
    """`value`, which is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def limit(name, value):
    """`value` as a Python number, which may be infinite."""
    if isinstance(value, str) and value in _INFINITE:
        return float(value)
    return _real(name, value, "a number that is not NaN", -math.inf, math.inf)


def _real(name, value, words, low, high):
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    # NumPy would round the limits to float16, in which they are 0 and infinite.
    compared = float(value) if isinstance(value, np.floating) else value
    if not low <= compared <= high:  # false for NaN too
        raise ValueError(f"`{name}` must be {words}. Received: {name}={value!r}")
    # An integer stays one, as in Keras' configs, unless it is too large for a backend's integers.
    if isinstance(value, numbers.Integral) and -(2**31) < int(value) < 2**31:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"`{name}` must not exceed the largest float, {sys.float_info.max:.2g}. "
            f"Received: {name}=an integer of {len(str(value))} digits"
        ) from None


def check_ascending(constraint):
    """Refuse a `min_value` above the `max_value` of the same constraint."""
    low, high = constraint.min_value, constraint.max_value
    if low > high:
        raise ValueError(
            "`min_value` must not exceed `max_value`. "
            f"Received: min_value={low:g}, max_value={high:g}"
        )
