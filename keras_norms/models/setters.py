"""Setters: settings put on the weights of a model, where Keras applies and saves them.

A setting goes to the variable, which Keras applies, and to the layer, which Keras saves. The
compiled step functions are made anew, because those of TensorFlow and JAX hold the old settings.
"""

import numpy as np
from keras import ops

from keras_norms.models.changes import Change, Changes
from keras_norms.models.describe import is_exported, title
from keras_norms.models.holders import apply_settings, renew_steps
from keras_norms.models.loading import needed_to_load
from keras_norms.models.measures import projected
from keras_norms.models.saving import saved_settings
from keras_norms.setting import ask, same
from keras_norms.warning import warn


def set_on_weights(contents, given, settings, skipped, kind):
    """Set each setting on its weight, make the compiled steps anew, and say what was done.

    Args:
        contents: The `Contents` of a model.
        given: The setting that the user gave; None if there was none.
        settings: Pairs of a `Weight` and its setting.
        skipped: What is left out.
        kind: "constraint" or "regularizer".
    """
    before = [getattr(weight.variable, kind) for weight, _ in settings]
    for weight, setting in settings:
        _try(setting, weight, kind)
    apply_settings(contents.weights, settings, kind)
    renew_steps(layer for layer, _ in contents.layers)
    saved = saved_settings(contents.model, [w for w, _ in settings], kind)
    changes = [
        Change(
            path=weight.path,
            shape=tuple(weight.variable.shape),
            layout=weight.layout,
            before=old,
            after=setting,
            saved=is_saved,
            is_fitted=given is not None and not same(setting, given),
        )
        for (weight, setting), old, is_saved in zip(settings, before, saved, strict=True)
    ]
    return Changes(changes, skipped)


def warn_if_lost(changes, kind):
    """Warn about settings that a saved model does not hold."""
    lost = [change for change in changes if change.saved is False]
    if lost:
        warn(_about_lost(lost, kind))


def _about_lost(changes, kind):
    """What becomes of changes that a saved model does not hold, and what to do about it."""
    paths = ", ".join(change.path for change in changes[:3])
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    set_now = [change.after for change in changes if change.after is not None]
    fix = (
        "After `model.save`, call `keras_norms.save_settings(model, filepath)`; after loading, "
        "`keras_norms.load_settings(model, filepath)`."
    )
    if not set_now:
        return (
            f"The {kind} that was removed from {paths}{more} will be there again when the model is "
            f"saved and loaded, because a layer sets it. {fix}"
        )
    needed = next(filter(None, map(needed_to_load, set_now)), "")
    why = "no config can hold it"
    if needed:
        why = "Keras cannot make it again from its config"
        fix = f"{needed[0].upper()}{needed[1:]}. {fix}"
    return f"The {kind} of {paths}{more} will be lost when the model is saved, because {why}. {fix}"


def _try(setting, weight, kind):
    """Refuse what cannot be applied, before anything is changed."""
    members = ask(setting, "members", (setting,))
    if setting is None or all(map(is_exported, members)):
        return  # it checked its parameters when it was made
    try:
        if kind == "constraint":
            result = projected(setting, weight.variable)
        else:
            result = setting(weight.variable)
    except Exception as error:
        # A function of the user's, or a constraint of Keras, fails in its own way on each backend.
        raise ValueError(
            f"{title(setting)} cannot be applied to {weight.path}, of shape "
            f"{tuple(weight.variable.shape)}: {error}"
        ) from error
    wanted = tuple(weight.variable.shape) if kind == "constraint" else ()
    found = tuple(getattr(result, "shape", ()))
    if found != wanted:
        must = "keep the shape" if kind == "constraint" else "return one number, of shape"
        raise ValueError(
            f"{title(setting)} must {must} {wanted} for {weight.path}. Received: shape={found}"
        )


def project_weight(variable, what=lambda constraint: constraint):
    """Put a weight into the set of its constraint, or of what a function chooses of that."""
    constraint = what(variable.constraint)
    if constraint is not None:
        variable.assign(projected(constraint, variable))


def _is_finite(variable):
    """Whether all entries are finite; by NumPy, because JAX would compile for each shape."""
    w = ops.convert_to_numpy(variable.value)
    with np.errstate(over="ignore", invalid="ignore"):
        is_sum_finite = np.isfinite(w.sum())  # one pass, which overflows only near the largest
    return bool(is_sum_finite or np.isfinite(w).all())


def warn_if_not_finite(settings):
    """Warn about weights with entries that no constraint mends."""
    bad = [w.path for w, _ in settings if not _is_finite(w.variable)]
    if bad:
        warn(
            f"{', '.join(bad)} has NaN or infinite entries, which no constraint mends; start from "
            "other weights.",
        )
