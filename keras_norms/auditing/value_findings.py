"""Findings about the values of a weight: whether they are finite, and in the set."""

import keras
import numpy as np
from keras import ops

from keras_norms.auditing.finding import Finding
from keras_norms.auditing.fixes import call_as_it_is
from keras_norms.keras_internals import is_from_keras
from keras_norms.models.describe import drop_in_of, members_of, title
from keras_norms.models.expressions import variable_expression
from keras_norms.models.measures import projected, worst_excess
from keras_norms.numerics.precision import EPS
from keras_norms.setting import ask


def not_finite(weight):
    """A norm is NaN or infinite, which no constraint mends."""
    place = variable_expression(weight)
    yield Finding(
        "not-finite",
        "error",
        weight.path,
        "a norm of it is NaN or infinite, which no constraint mends; lower the learning rate, and "
        "start from other weights",
        f"{place}.assign(keras.initializers.GlorotUniform()({place}.shape))  # or load weights",
    )


def not_finite_result(weight, worst):
    """A constraint makes NaN or infinity of a finite weight."""
    if worst is not None and not np.isfinite(worst):
        name = title(weight.variable.constraint)
        message = f"{name} makes NaN or infinity of it, although it is finite"
        yield _of_setting(weight, "constraint", message)


def not_finite_penalty(weight, penalty):
    """A penalty is NaN or infinite, and so is the loss, although the weight is finite."""
    if penalty is not None and not np.isfinite(penalty):
        name = title(weight.variable.regularizer)
        message = f"its penalty by {name} is {penalty:g}, and so is the loss"
        yield _of_setting(weight, "regularizer", message)


def _of_setting(weight, kind, message):
    better = finite_drop_in(getattr(weight.variable, kind), weight.variable)
    fix = call_as_it_is(kind, weight, better)
    return Finding("not-finite", "error", weight.path, message, fix)


def finite_drop_in(setting, x):
    """Ours in place of a setting of Keras, if what it makes of `x` is then finite; else None."""
    ours = drop_in_of(setting)
    if ours is setting:
        return None
    result = ops.cast(ours(x), "float32")
    return ours if np.isfinite(ops.convert_to_numpy(result)).all() else None


def violated(weight, worst):
    """A weight is outside its set now; if it is frozen, it stays there."""
    constraint = weight.variable.constraint
    if not worst or not np.isfinite(worst):  # it is None without a constraint
        return
    if weight.obstacle in ("lora", "quantized"):
        return
    if weight.normalizer is not None:  # which is what puts it outside
        return
    if ask(drop_in_of(constraint), "step_rate", 1) < 1 and weight.obstacle is None:
        return  # it comes nearer with each step
    outside = f"a group is {worst:.3g} outside {title(constraint)}"
    severity, code, fix = "warning", "violated", "kn.project(model)"
    if weight.obstacle == "frozen":
        severity, code = "error", "frozen"
        message = f"{outside}; the weight is frozen, and Keras never constrains it"
    elif worst_excess(constraint, projected(constraint, weight.variable)) > 0:
        message = (
            f"{outside}, and a projection does not change that: each moves the weight again, as "
            "that of a chain whose members do not agree"
        )
        fix = "# choose constraints of which the last keeps what the others have done"
    else:
        message = (
            f"{outside}; Keras constrains after the next step of the optimizer, not before, and a "
            "step that you compiled yourself keeps what was set then"
        )
    yield Finding(code, severity, weight.path, message, fix)


def half_precision(weight):
    """float16 weights are rounded so that a bound holds to three digits; bfloat16, to two."""
    variable = weight.variable
    dtype = keras.backend.standardize_dtype(variable.dtype)
    members = map(drop_in_of, members_of(variable.constraint))
    if all(ask(each, "is_exact", False) for each in members):
        return
    if dtype in ("float16", "bfloat16"):
        and_norms = (
            ", and Keras computes norms in it, too, so that a long group may become zero"
            if is_from_keras(variable.constraint)
            else ""
        )
        yield Finding(
            "half-precision",
            "warning",
            weight.path,
            f"in {dtype} a bound holds to {EPS[dtype] / 2:.2%} only{and_norms}; under mixed "
            "precision weights are float32 and their bounds exact",
            f'keras.config.set_dtype_policy("mixed_{dtype}")  # and build the model again',
        )
