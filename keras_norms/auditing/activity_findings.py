"""Findings about penalties of outputs: whether Keras adds them to the loss."""

import math

from keras import layers

from keras_norms.auditing.finding import Finding
from keras_norms.keras_internals import (
    HAS_STATELESS_TRAINER,
    TRACES_LOOPS,
    calls_in,
    traces_alone,
)
from keras_norms.models.describe import drop_in_of, expression, title
from keras_norms.models.expressions import layer_expression
from keras_norms.models.penalties import activity_paths, is_constraint

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


def cannot_apply_to_outputs(contents, errors):
    """A penalty of outputs raises an error when it is called, or cannot be called at all.

    Args:
        contents: The `Contents` of a model.
        errors: What penalties raised on a batch, by "path/activity".
    """
    paths = activity_paths(contents)
    for layer, _ in contents.layers:
        path, setting = paths[id(layer)], layer.activity_regularizer
        error = errors.get(path)
        if setting is not None and not callable(setting):
            error = f"a {type(setting).__name__} cannot be called"
        if error is not None:
            this = layer_expression(contents.model, layer)
            yield Finding(
                "cannot-apply",
                "error",
                path,
                f"{title(setting)} cannot be applied to the outputs of this layer, and stops the "
                f"training: {' '.join(str(error).split())}",
                f"{this}.activity_regularizer = None; {_NEW_STEPS}" if this else _MAKE_ANEW,
            )


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
