"""Findings about a model as a whole: its training loop, its optimizer, and its config."""

import dataclasses

import keras
from keras import layers

from keras_norms.averages import averages_of, optimizers_of, value_of
from keras_norms.constraints import Chain
from keras_norms.fixes import SETTERS, after_loading, as_it_is, ours, reach, title
from keras_norms.persistence import lost_on_save
from keras_norms.sets import worst_excess
from keras_norms.weight_findings import Finding, least_rate
from keras_norms.weights import layers_of


def dropped_activity_penalty(model, weights):
    """Keras loses the penalty of outputs that are computed step by step, or by the outer model."""
    for layer, inside in layers_of(model):
        if layer.activity_regularizer is None:
            continue
        stepping = (layers.TimeDistributed, layers.RNN) if _IS_STATELESS else layers.TimeDistributed
        wrapper = next((x for x in inside[::-1] if isinstance(x, stepping)), None)
        if wrapper is not None:
            yield Finding(
                "activity-dropped",
                "error",
                f"{layer.path}/activity",
                f"{type(wrapper).__name__} runs this layer step by step, and `fit` loses its "
                f"penalty; on {wrapper.name} itself, if the outputs are the same, it counts",
                _moved(layer, wrapper, inside),
            )
        elif layer is model and _IS_STATELESS:
            yield Finding(
                "activity-dropped",
                "error",
                f"{layer.path}/activity",
                "`fit` loses the penalty of the outermost model here; inside another model, which "
                "is to be compiled, it counts",
                _enclosed(model),
            )


# A stateless trainer, as JAX has it, calls the model in a scope of its own, and reads the losses of
# the layers inside only; a step of an RNN is traced in another scope still.
_IS_STATELESS = hasattr(keras.Model, "compute_loss_and_updates")
_NEW_STEPS = "model.train_function = model.test_function = None"


def _moved(layer, wrapper, inside):
    """The penalty on the wrapper instead, where that has the same outputs; else none."""
    this, outer = reach(layer, inside), reach(wrapper, inside)
    direct = layer in (getattr(wrapper, "layer", None), getattr(wrapper, "cell", None))
    if direct and wrapper.activity_regularizer is None:
        return (
            f"{outer}.activity_regularizer, {this}.activity_regularizer = "
            f"{this}.activity_regularizer, None; {_NEW_STEPS}"
        )
    return f"{this}.activity_regularizer = None; {_NEW_STEPS}  # and penalise an output outside"


def _enclosed(model):
    shape = (model.get_build_config() or {}).get("input_shape")
    if isinstance(shape, tuple) and all(isinstance(n, (int, type(None))) for n in shape):
        return f"inputs = keras.Input({shape[1:]}); model = keras.Model(inputs, model(inputs))"
    return "model.activity_regularizer = None  # and penalise the outputs of a layer inside"


def averages(model, weights):
    """Moving averages, taken before the constraint, are outside its set."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or int(optimizer.iterations) == 0:  # no average is taken yet
        return
    for variable, average in averages_of(optimizer):
        if variable.constraint is None:
            continue
        worst = worst_excess(variable.constraint, value_of(average, variable))
        if worst > 0:
            yield Finding(
                "averages",
                "error",
                variable.path,
                f"its moving average, which `use_ema=True` puts into the model, is {worst:.3g} "
                f"outside {title(variable.constraint)}: Keras takes it before the constraint",
                "kn.project(model)  # and in every fit: callbacks=[kn.ProjectWeights()]",
            )


def repeated_rate(model, weights):
    """A rate below 1 acts in every micro-step of an accumulated gradient."""
    optimizer = getattr(model, "optimizer", None)
    steps = max(
        getattr(each, "gradient_accumulation_steps", None) or 1 for each in optimizers_of(optimizer)
    )
    for weight in weights:
        constraint = weight.variable.constraint
        part = least_rate(constraint)
        if steps > 1 and part < 1 and not weight.obstacle:
            yield Finding(
                "repeated-rate",
                "warning",
                weight.path,
                f"gradient_accumulation_steps={steps} applies rate={part} {steps} times per "
                f"update, which makes it {1 - (1 - part) ** steps:.3g}",
                as_it_is("constraint", weight, _whole(ours(constraint))),
            )


def _whole(constraint):
    """The same constraint with rate 1."""
    if isinstance(constraint, Chain):
        return Chain(*map(_whole, constraint.constraints))
    has_rate = getattr(constraint, "rate", 1) < 1
    return dataclasses.replace(constraint, rate=1.0) if has_rate else constraint


def not_saved(model, weights):
    """A setting that is another after saving and loading."""
    for kind in SETTERS:
        for weight in lost_on_save(model, weights, kind):
            setting = getattr(weight.variable, kind)
            held = [getattr(*place) for place in weight.holders(kind)[:1]]
            if setting is None or held not in ([], [None], [setting]):
                continue  # the layer has another, which is "not-applied"
            yield Finding(
                "not-saved",
                "warning",
                weight.path,
                f"no config can hold {title(setting)}; a loaded model lacks it, or has another",
                after_loading(kind, weight, setting),
            )


OF_MODELS = (dropped_activity_penalty, averages, repeated_rate, not_saved)
