"""Fixes: Python that sets something on a model, as text to paste.

It is to run where `model`, `keras` and `keras_norms as kn` are known.
"""

import dataclasses
import re

import keras

from keras_norms.constraints import CLASSES as CONSTRAINTS
from keras_norms.constraints import Chain, Constraint
from keras_norms.regularizers import CLASSES as REGULARIZERS
from keras_norms.regularizers import Regularizer, Sum

SETTERS = {"constraint": "constrain", "regularizer": "regularize"}


def one_norm_per_unit(weight):
    """The call that keeps the weight's constraint, with the axis that its layer needs."""
    constraint = ours(weight.variable.constraint)
    if _written(constraint):
        text = _written(_without_axis(constraint))
        return f"kn.constrain(model, {text}, where={pattern(weight)})"
    along = f"{_held('constraint', weight, constraint)}.along({weight.unit_axes})"
    return f'kn.constrain(model, {along}, where={pattern(weight)}, axis="own")'


def as_it_is(kind, weight, setting):
    """The call that sets a constraint or regularizer on one weight, as it is.

    Args:
        kind: "constraint" or "regularizer".
        weight: A `keras_norms.weights.Weight`.
        setting: The constraint or regularizer; None removes.
    """
    setting = ours(setting)
    return _call(kind, weight, _written(setting) or _held(kind, weight, setting), setting)


def after_loading(kind, weight, setting):
    """The same for a copy that is loaded, which has not the objects of this model."""
    setting = ours(setting)
    text = _written(setting)
    if text is None:
        try:
            config = keras.saving.serialize_keras_object(setting)
            keras.saving.deserialize_keras_object(config)
            text = f"kn.{kind}s.deserialize({config!r})"
        except Exception:  # a function of the user's: only its author knows where it is
            return f"# after loading, call kn.{SETTERS[kind]} again as before"
    return _call(kind, weight, text, setting, loaded=True) + "  # after loading"


def _call(kind, weight, text, setting, loaded=False):
    own = ', axis="own"' if kind == "constraint" and setting is not None else ""
    return f"kn.{SETTERS[kind]}(model, {text}, where={pattern(weight, loaded)}{own})"


def ours(setting):
    """Our drop-in for one of Keras' own constraints or regularizers; others as they are."""
    known = CONSTRAINTS if isinstance(setting, keras.constraints.Constraint) else REGULARIZERS
    if type(setting).__module__.startswith("keras.") and type(setting).__name__ in known:
        return known[type(setting).__name__].from_config(setting.get_config())
    return setting


def title(setting):
    """How a setting reads in a message."""
    setting = ours(setting)
    if setting is None or isinstance(setting, (Constraint, Regularizer)):
        return repr(setting)
    return getattr(setting, "__name__", type(setting).__name__)


def pattern(weight, loaded=False):
    """The `where` that selects one weight; in a loaded copy, paths may lack the model's name."""
    path = re.escape(weight.path)
    if weight.has_twin:
        place = f"layer is {reach(weight.layer, weight.inside)}"
        return f'lambda layer, variable: {place} and variable.name == "{weight.variable.name}"'
    if loaded and weight.inside:
        own = re.escape(weight.path.removeprefix(f"{weight.inside[0].name}/"))
        return f'r"(^|/){own}$"'
    return f'r"^{path}$"'


def reach(layer, inside):
    """The expression for a layer of `model`.

    Args:
        layer: The layer.
        inside: The layers that enclose it, the model first.
    """
    if not inside:
        return "model"
    return f"model._flatten_layers()[{inside[0]._flatten_layers().index(layer)}]"


def variable_of(weight):
    """The expression for the variable, which a list or dict of its layer may hold."""
    if weight.name is None:
        return f"next(v for v in model.variables if v.path == {weight.path!r})"
    return f"{reach(weight.layer, weight.inside)}.{weight.name}"


def _without_axis(constraint):
    """The same set with the axis left out."""
    if isinstance(constraint, Chain):
        return Chain(*map(_without_axis, constraint.constraints))
    return constraint.along(type(constraint).axis)


def _written(setting):
    """The expression that makes a setting; None if it is not all ours."""
    if setting is None:
        return "None"
    name = type(setting).__name__
    if type(setting) not in (CONSTRAINTS | REGULARIZERS).values():
        return None
    if isinstance(setting, (Chain, Sum)):
        (members,) = vars(setting).values()
        parts = [_written(ours(member)) for member in members]
    else:
        parts = [_argument(f, getattr(setting, f.name)) for f in dataclasses.fields(setting)]
    return None if None in parts else f"kn.{name}({', '.join(filter(None, parts))})"


def _argument(field, value):
    """`name=value`; empty for the usual axis or order, None for what is not ours."""
    if field.name in ("axis", "ord") and value == field.default:
        return ""
    if not callable(value):
        return f"{field.name}={value!r}"
    text = _written(ours(value))
    return text and f"{field.name}={text}"


def _held(kind, weight, setting):
    """Where an object of the user's is found in the model."""
    for layer, attribute in weight.holders(kind):
        if getattr(layer, attribute) == setting:
            return f"{reach(layer, weight.inside)}.{attribute}"
    return f"{variable_of(weight)}.{kind}"
