"""Describe: how a constraint or regularizer of any make reads, and the code that makes it again."""

import dataclasses
import math

import numpy as np

from keras_norms.constraints import Chain
from keras_norms.constraints.lookup import CLASSES as CONSTRAINTS
from keras_norms.identifiers import drop_in
from keras_norms.regularizers.lookup import CLASSES as REGULARIZERS
from keras_norms.setting import ask, text_of


def drop_in_of(setting):
    """Our drop-in for a constraint or regularizer of Keras; any other setting as it is.

    As it is, too, if it has arguments that Keras accepts and ours refuses, such as -1.
    """
    try:
        return checked_drop_in_of(setting)
    except (TypeError, ValueError):
        return setting


def checked_drop_in_of(setting):
    """What `drop_in_of` returns.

    Raises:
        TypeError, ValueError: If ours refuses the arguments that Keras accepted.
    """
    return drop_in(drop_in(setting, CONSTRAINTS), REGULARIZERS)


def members_of(constraint):
    """The constraints that a chain is made of, or the one that it is, or none."""
    found = ask(drop_in_of(constraint), "members", (constraint,))
    return [each for each in found if each is not None]


def without_rates(constraint):
    """What of a constraint goes all of the way in one step."""
    return part_of(constraint, lambda member: ask(member, "step_rate", 1) == 1)


def part_of(constraint, is_kept):
    """What is left of a constraint with some of its members: itself, fewer of them, or None."""
    members = members_of(constraint)
    chosen = [each for each in members if is_kept(each)]
    return constraint if len(chosen) == len(members) else chained(chosen)


def chained(members):
    """Several constraints as one; None for none."""
    return Chain(*members) if len(members) > 1 else next(iter(members), None)


def is_sparse(constraint):
    """Whether it is one of our constraints that put entries to zero."""
    return ask(constraint, "is_sparse", False)


def is_exported(setting):
    """Whether its class is one that the package exports."""
    return type(setting) in (CONSTRAINTS | REGULARIZERS).values()


def title(setting):
    """How a setting reads in a message."""
    return text_of(drop_in_of(setting))


def expression(setting, with_axis=True):
    """The Python expression that makes a setting.

    It is None if its class is not one of keras_norms, or an argument is no text, as a mask.

    Args:
        setting: A constraint or regularizer of ours, or None.
        with_axis: Whether to keep an axis other than the default.
    """
    if setting is None:
        return "None"
    cls = type(setting)
    if not is_exported(setting):
        return None
    if setting.members != (setting,):
        parts = [expression(drop_in_of(member), with_axis) for member in setting.members]
    else:
        fields = [f for f in dataclasses.fields(setting) if with_axis or f.name != "axis"]
        parts = [_argument(f, getattr(setting, f.name), with_axis) for f in fields]
    return None if None in parts else f"kn.{cls.__name__}({', '.join(filter(None, parts))})"


def _argument(field, value, with_axis):
    """`name=value`; "" if it may be left out, None for an array and a callable that is not ours."""
    if isinstance(value, np.ndarray):
        return None
    if value == field.default and (field.name == "axis" or not field.metadata["in_keras"]):
        return ""
    text = expression(drop_in_of(value), with_axis) if callable(value) else _literal(value)
    return text and f"{field.name}={text}"


def _literal(value):
    is_infinite = isinstance(value, float) and math.isinf(value)
    return f'float("{value}")' if is_infinite else repr(value)
