"""Findings about a model as a whole: its loss, its optimizer, and its config."""

import math

from keras import ops

from keras_norms.auditing.activity_findings import (
    dropped_activity_penalty,
    wrong_kind_of_activity,
)
from keras_norms.auditing.finding import Finding
from keras_norms.auditing.fixes import call_as_it_is
from keras_norms.auditing.step_findings import own_step
from keras_norms.keras_internals import averages_in, optimizers_in
from keras_norms.models.averages import value_of
from keras_norms.models.copies import lost_by_saving
from keras_norms.models.describe import drop_in_of, title, without_rates
from keras_norms.models.holders import said_by_layer
from keras_norms.models.loading import needed_to_load
from keras_norms.models.measures import worst_excess
from keras_norms.models.saving import saved_settings
from keras_norms.models.weights import KINDS
from keras_norms.setting import ask, same


def not_finite_loss(contents, loss):
    """The loss on a batch is NaN or infinite, although all weights and penalties are finite."""
    if loss is None or math.isfinite(loss):
        return
    yield Finding(
        "not-finite",
        "error",
        contents.model.name,
        f"the loss on this batch is {loss:g}, although all weights and penalties are finite",
        "# look for NaN, infinity and huge numbers in `x`, `y` and `model(x)`",
    )


def averages(contents):
    """A moving average is outside the set, because Keras takes it before the constraint."""
    optimizer = getattr(contents.model, "optimizer", None)
    steps = getattr(optimizer, "iterations", None)  # an optimizer may be of another make
    if steps is None or ops.convert_to_numpy(steps) == 0:  # no average is taken yet
        return
    for variable, average in averages_in(optimizer):
        constraint = without_rates(variable.constraint)  # the others come nearer with each step
        if constraint is None:
            continue
        try:
            worst = worst_excess(constraint, value_of(average, variable))
        except Exception:  # whatever it raises, the same for the weight is "cannot-apply"
            continue
        if worst > 0:
            yield Finding(
                "averages",
                "error",
                variable.path,
                f"its moving average, which `use_ema=True` puts into the model, is {worst:.3g} "
                f"outside {title(constraint)}: Keras takes it before the constraint",
                "kn.project(model)  # and in every fit: callbacks=[kn.ProjectWeights()]",
            )


def repeated_rate(contents):
    """A rate below 1 acts in every micro-step of an accumulated gradient."""
    optimizer = getattr(contents.model, "optimizer", None)
    steps = max(
        getattr(each, "gradient_accumulation_steps", None) or 1 for each in optimizers_in(optimizer)
    )
    for weight in contents.constrained:
        constraint = drop_in_of(weight.variable.constraint)
        rate = ask(constraint, "step_rate", 1)
        if steps > 1 and rate < 1 and not weight.obstacle:
            yield Finding(
                "repeated-rate",
                "warning",
                weight.path,
                f"gradient_accumulation_steps={steps} applies rate={rate} {steps} times per "
                f"update, which makes it {1 - (1 - rate) ** steps:.3g}",
                call_as_it_is("constraint", weight, constraint.at_full_rate(), ".at_full_rate()"),
            )


def not_saved(contents, saving=False):
    """Settings change when the model is saved and loaded: one finding for all of them.

    Args:
        contents: The `Contents` of the model.
        saving: Whether to save and load the model; else only layers that are not Keras' own are
            made again from their configs, and what that does not settle is not reported.
    """
    if saving:
        lost, why = lost_by_saving(contents)
    else:
        lost = []
        for kind in KINDS:
            # Without a setting there is nothing to lose, and no layer to make again.
            weights = [w for w in contents.weights if getattr(w.variable, kind) is not None]
            kept = saved_settings(contents.model, weights, kind)
            lost += [(w, kind) for w, each in zip(weights, kept, strict=True) if each is False]
        why = "no config can hold it"
    lost = [(weight, kind) for weight, kind in lost if not _is_another(weight, kind)]
    if not lost:
        return
    lost.sort(key=lambda one: getattr(one[0].variable, one[1]) is None)
    weight, kind = lost[0]
    setting = getattr(weight.variable, kind)
    first = f"the removal of a {kind}" if setting is None else title(setting)
    more = f", and {len(lost) - 1} more settings," if len(lost) > 1 else ""
    fix = 'kn.save_settings(model, "settings.json")'
    after = 'after loading, kn.load_settings(model, "settings.json")'
    held = [getattr(w.variable, k) for w, k in lost]
    needed = next(filter(None, (needed_to_load(each) for each in held if each is not None)), None)
    if needed:
        fix = f"# {needed}; then {fix}"
        why = why if saving else "Keras cannot make it again from its config"
    yield Finding(
        "not-saved",
        "warning",
        weight.path,
        f"{first}{more} will be lost when the model is saved: {why}",
        f"{fix}  # {after}",
    )


def _is_another(weight, kind):
    """Whether the layer holds another setting than the variable, which is "not-applied"."""
    said = said_by_layer(weight, kind)
    return said is not None and not same(said[2], getattr(weight.variable, kind))


def not_built(contents):
    """A layer was never called, so its weights do not exist."""
    for layer in contents.unbuilt:
        yield Finding(
            "not-built",
            "warning",
            layer.path or layer.name,
            f"this {type(layer).__name__} was never called, so it has no weights to look at",
            "# call the model so that it uses this layer, then set and audit again",
        )


MODEL_CHECKS = (
    dropped_activity_penalty,
    wrong_kind_of_activity,
    averages,
    repeated_rate,
    own_step,
    not_built,
)
