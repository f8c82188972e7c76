"""Planning: what to set on each weight, and what is left out, before anything is changed."""

from keras_norms.config import one_of
from keras_norms.models.describe import title
from keras_norms.models.selection import (
    left_out,
    never_applied,
    never_called,
    normalized,
    select,
    table,
    unbuilt_in,
    without_layout,
    without_units,
)
from keras_norms.setting import Setting, ask
from keras_norms.warning import warn


def planned(contents, setting, where, *, to_units, unknown, kind="constraint", what=None):
    """Pairs of a weight and its setting, and what is left out, before anything is changed.

    `what` names the setting in an error message, if it is not what the user gave.
    """
    one_of("warn", "raise")("unknown", unknown)
    if setting is None and where is None:
        raise ValueError(
            'Removing needs an explicit `where`, for example `where=""`, which is every weight. '
            f"Received: {kind}=None, where=None"
        )
    has_groups = to_units and ask(setting, "has_groups", False)
    is_fitted = to_units and ask(setting, "needs_layout", False)
    needs_layout = is_fitted or where is None
    settings, skipped, without = [], [], []
    unbuilt = unbuilt_in(contents, where)
    for weight in select(contents.weights, where, unbuilt):
        if setting is not None and weight.obstacle:
            skipped.append(never_applied(weight, kind))
        elif setting is not None and kind == "constraint" and weight.normalizer is not None:
            skipped.append(normalized(weight))
        elif needs_layout and weight.layout is None:
            without.append(without_layout(weight))
        elif has_groups and weight.layout and not weight.has_units:
            skipped.append(without_units(weight, kind, is_fitted))
        else:
            try:
                own = setting.for_layout(weight.layout) if is_fitted else setting
            except ValueError as error:  # as for N:M without an axis of inputs
                skipped.append(left_out(weight, str(error)))
                continue
            if isinstance(own, Setting):
                own.axes_for(weight.variable)  # raises if the weight lacks an axis, or has no place
            settings.append((weight, own))
    if where is None:
        skipped += [table(w) for w in contents.weights if w.has_units and not w.is_kernel]
    skipped += [never_called(layer) for layer in unbuilt]
    if not settings:
        raise ValueError(_why_nothing(what or title(setting), where, [*without, *skipped]))
    if without:
        message = _about_unknown(without)
        if unknown == "raise":
            raise ValueError(message)
        warn(message)
    return settings, [*without, *skipped]


def _why_nothing(what, where, skipped):
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    first = skipped[0]
    fix = f": {first.fix}" if first.fix else ""
    return (
        f"No weight that `where` selects can have {what}. Of {first.path}, "
        f"{first.shape}{more}: {first.reason}{fix}. Received: where={where!r}"
    )


def _about_unknown(without, most=8):
    """One message for all weights of unknown layout, with each fix once."""
    places = [f"  {each.path} {each.shape}: {each.reason}" for each in without[:most]]
    if len(without) > most:
        places.append(f"  and {len(without) - most} more, which `.skipped` of the result lists")
    fixes = list(dict.fromkeys(f"  {each.fix}" for each in without))[:most]
    return "\n".join(
        [
            "These weights are left as they are, because their layout is not known, and none is "
            "guessed:",
            *places,
            'Name the weights you mean, as in where="kernel$" or where=keras.layers.Dense, or say '
            "what the axes are:",
            *fixes,
        ]
    )
