"""Findings about a model as a whole: its training loop, its optimizer, and its config."""

import math

from keras import layers, ops

from keras_norms.auditing.finding import Finding
from keras_norms.auditing.fixes import SETTERS, call_as_it_is
from keras_norms.keras_internals import (
    HAS_STATELESS_TRAINER,
    TRACES_LOOPS,
    averages_in,
    calls_in,
    optimizers_in,
    traces_alone,
)
from keras_norms.models.averages import value_of
from keras_norms.models.copies import lost_by_saving
from keras_norms.models.describe import drop_in_of, expression, title, without_rates
from keras_norms.models.expressions import layer_expression
from keras_norms.models.holders import said_by_layer
from keras_norms.models.loading import needed_to_load, same
from keras_norms.models.measures import worst_excess
from keras_norms.models.penalties import activity_paths, is_constraint
from keras_norms.models.saving import saved_settings

_MAKE_ANEW = "# no public name leads to the layer: make it anew without activity_regularizer"
_NEW_STEPS = "model.train_function = model.test_function = None"


def dropped_activity_penalty(contents):
    """Keras loses the penalty of a layer that runs step by step, or of the outermost model.

    Of a layer that the outermost model calls more than once, JAX loses all but the last.
    That of an RNN's cell it does not lose: where the loop over steps is compiled, `fit` fails. So
    it does where JAX traces what is in a layer alone, to compute it again in the backward pass.
    """
    calls = calls_in(contents.model) if HAS_STATELESS_TRAINER else {}
    paths = activity_paths(contents)
    for layer, enclosing in contents.layers:
        if layer.activity_regularizer is None or is_constraint(layer.activity_regularizer):
            continue
        shared = next((x for x in (*enclosing, layer) if calls.get(id(x), 0) > 1), None)
        wrapper = next((x for x in enclosing[::-1] if _runs_step_by_step(x, contents.model)), None)
        again = next((x for x in enclosing[::-1] if traces_alone(x)), None)
        if wrapper is not None:
            yield _dropped(
                paths[id(layer)],
                f"{type(wrapper).__name__} runs this layer step by step, and `fit` "
                f"{'fails at' if isinstance(wrapper, layers.RNN) else 'loses'} its penalty; if "
                f"{wrapper.name} has the same outputs, Keras counts a penalty there",
                _move_penalty(contents.model, layer, wrapper),
            )
        elif again is not None:
            yield _dropped(
                paths[id(layer)],
                f"{again.name} is computed again in the backward pass (RematScope), and `fit` "
                f"fails at a penalty inside; if {again.name} has the same outputs, Keras counts a "
                "penalty there",
                _move_penalty(contents.model, layer, again),
            )
        elif layer is contents.model and HAS_STATELESS_TRAINER:
            yield _dropped(
                paths[id(layer)],
                "`fit` loses the penalty of the outermost model here; if another model encloses "
                "this one, and you compile that, it counts",
                _enclose(layer),
            )
        elif shared is not None:
            yield _dropped(
                paths[id(layer)],
                f"the model calls {shared.name} {calls[id(shared)]} times, and `fit` counts the "
                "penalty of the last call only here; if another model encloses this one, and you "
                "compile that, all count",
                "model = keras.Model(model.input, model(model.input))",
            )


def _dropped(path, message, fix):
    return Finding("activity-dropped", "error", path, message, fix)


def _runs_step_by_step(layer, model):
    """Whether the layers inside are traced in a scope of their own, which keeps their losses."""
    # With `run_eagerly`, TensorFlow runs each step, and JAX traces them all the same.
    is_eager = getattr(model, "run_eagerly", False) and not HAS_STATELESS_TRAINER
    is_traced = TRACES_LOOPS and not is_eager
    is_traced_loop = isinstance(layer, layers.RNN) and is_traced and not layer.unroll
    return isinstance(layer, layers.TimeDistributed) or is_traced_loop


def leaked_activity_penalty(contents, leaked):
    """A penalty stays in a scope that the layer around it traces alone, as by `ops.cond`.

    Args:
        contents: The `Contents` of a model.
        leaked: The paths of penalties that were no numbers after a call, as "path/activity".
    """
    paths = activity_paths(contents)
    for layer, enclosing in contents.layers:
        path = paths[id(layer)]
        if path in leaked:
            yield _dropped(
                path,
                f"{enclosing[-1].name if enclosing else layer.name} calls this layer in a "
                "scope that is traced alone, as in `ops.cond`, and `fit` fails at its penalty",
                _move_penalty(contents.model, layer, None),
            )


def _move_penalty(model, layer, wrapper):
    """Python that moves the penalty to a wrapper with the same outputs, else removes it.

    `wrapper` is None if there is none.
    """
    this = layer_expression(model, layer)
    if this is None:
        return _MAKE_ANEW
    has_same_outputs = layer in (getattr(wrapper, "layer", None), getattr(wrapper, "cell", None))
    if has_same_outputs and wrapper.activity_regularizer is None:
        outer = layer_expression(model, wrapper)
        return (
            f"{outer}.activity_regularizer, {this}.activity_regularizer = "
            f"{this}.activity_regularizer, None; {_NEW_STEPS}"
        )
    return f"{this}.activity_regularizer = None; {_NEW_STEPS}  # and penalise a later layer"


def _enclose(model):
    """Python that makes another model, which encloses this one."""
    shape = (model.get_build_config() or {}).get("input_shape")
    if isinstance(shape, tuple) and all(isinstance(n, (int, type(None))) for n in shape):
        return f"inputs = keras.Input({shape[1:]}); model = keras.Model(inputs, model(inputs))"
    return "model.activity_regularizer = None  # and penalise one of its layers"


def not_finite_activities(contents, activities):
    """A penalty of outputs is NaN or infinite, and so is the loss.

    Args:
        contents: The `Contents` of a model.
        activities: The penalty of each layer's outputs on a batch, by "path/activity".
    """
    paths = activity_paths(contents)
    for layer, _ in contents.layers:
        penalty, setting = activities.get(paths[id(layer)]), layer.activity_regularizer
        if penalty is None or math.isfinite(penalty):
            continue
        ours, place = drop_in_of(setting), layer_expression(contents.model, layer)
        text = "None" if ours is setting else expression(ours)
        yield Finding(
            "not-finite",
            "error",
            paths[id(layer)],
            f"the penalty of its outputs by {title(setting)} is {penalty:g}, and so is the loss",
            f"{place}.activity_regularizer = {text}; {_NEW_STEPS}" if place else _MAKE_ANEW,
        )


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
        rate = getattr(constraint, "step_rate", 1)
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
        for kind in SETTERS:
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


def wrong_kind_of_activity(contents):
    """A constraint where an activity regularizer belongs: Keras adds its result to the loss."""
    paths = activity_paths(contents)
    for layer, _ in contents.layers:
        if is_constraint(layer.activity_regularizer):
            this = layer_expression(contents.model, layer)
            yield Finding(
                "wrong-kind",
                "error",
                paths[id(layer)],
                f"{title(layer.activity_regularizer)} is a constraint, and is set as "
                "activity_regularizer; Keras would add its result to the loss",
                f"{this}.activity_regularizer = None; {_NEW_STEPS}" if this else _MAKE_ANEW,
            )


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
    not_built,
)
