"""Fixes: Python that sets something on a model, as text to paste.

The text runs where `model`, `keras` and `keras_norms as kn` are known.
"""

import re

from keras_norms.models.describe import drop_in_of, expression
from keras_norms.models.expressions import (
    any_variable_expression,
    layer_expression,
    variable_expression,
)
from keras_norms.models.weights import SETTERS
from keras_norms.setting import ask, same


def call_for_units(kind, weight, setting, wrong):
    """The call that sets a constraint or regularizer with the axis that the layer needs.

    Args:
        kind: "constraint" or "regularizer".
        weight: A `Weight`.
        setting: The constraint or regularizer.
        wrong: Those of its members that have a wrong axis. The others keep theirs.
    """
    setting = drop_in_of(setting)
    text = expression(setting, with_axis=False)
    if text is None:
        text = f'{_held_expression(kind, weight, setting)}.for_layout("{weight.layout}")'
        return f'kn.{SETTERS[kind]}(model, {text}, where={where_expression(weight)}, axis="own")'
    others = [m for m in setting.members if not any(m is each for each in wrong)]
    if any(expression(m) != expression(m, with_axis=False) for m in map(drop_in_of, others)):
        layout = weight.layout
        members = [m if m in others else m.for_layout(layout) for m in setting.members]
        return call_as_it_is(kind, weight, type(setting)(*members))
    return f"kn.{SETTERS[kind]}(model, {text}, where={where_expression(weight)})"


def call_as_it_is(kind, weight, setting, made_by=""):
    """The call that sets a constraint or regularizer on one weight, as it is.

    Args:
        kind: "constraint" or "regularizer".
        weight: A `Weight`.
        setting: The constraint or regularizer; None removes.
        made_by: The call of a method, as ".at_full_rate()", that made it of the one that the model
            holds, if another one made it.
    """
    setting = drop_in_of(setting)
    text = expression(setting)
    if text is None:
        held = getattr(weight.variable, kind) if made_by else setting
        text = f"{_held_expression(kind, weight, held)}{made_by}"
    has_axis = kind == "constraint" or ask(setting, "has_groups", False)
    own = ', axis="own"' if has_axis and setting is not None else ""
    return f"kn.{SETTERS[kind]}(model, {text}, where={where_expression(weight)}{own})"


def where_expression(weight):
    """The `where` that selects one weight, also where its path lacks the model's name.

    A model that was loaded, or is not built yet in the script that makes it, may lack it.
    """
    if weight.has_twin:
        return f"lambda layer, variable: variable is {any_variable_expression(weight)}"
    if not weight.enclosing:
        return _literal(f"^{re.escape(weight.path)}$")
    model = f"{weight.enclosing[0].name}/"
    own = weight.path.removeprefix(model)
    return _literal(f"^({re.escape(model)})?{re.escape(own)}$")


def _literal(pattern):
    return repr(pattern) if '"' in pattern else f'r"{pattern}"'


def _held_expression(kind, weight, setting):
    """The expression for an object of the user's that the model holds."""
    for layer, attribute in weight.holders(kind):
        held_by = layer_expression(weight.outermost, layer)
        is_public = held_by is not None and not attribute.startswith("_")
        if is_public and same(getattr(layer, attribute), setting):
            return f"{held_by}.{attribute}"
    return f"{variable_expression(weight)}.{kind}"
