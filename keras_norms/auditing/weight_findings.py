"""Findings about one weight: its constraint, its regularizer, and whether Keras applies them.

A fix is Python that works when it is pasted where `model`, `keras` and `keras_norms as kn` are
known.
"""

import keras
import numpy as np
from keras import ops

from keras_norms.auditing.finding import Finding
from keras_norms.auditing.fixes import SETTERS, call_as_it_is, call_for_units
from keras_norms.constraints import Constraint
from keras_norms.keras_internals import is_from_keras
from keras_norms.models.describe import checked_drop_in_of, drop_in_of, is_sparse, title
from keras_norms.models.expressions import variable_expression
from keras_norms.models.holders import said_by_layer
from keras_norms.models.layouts import has_layout
from keras_norms.models.loading import same
from keras_norms.models.measures import projected, worst_excess
from keras_norms.models.selection import register_call, without_layout
from keras_norms.numerics.groups import axes_of_layout
from keras_norms.numerics.precision import EPS
from keras_norms.regularizers import Regularizer
from keras_norms.setting import Setting


def wrong_axis(weight):
    """A group is not one unit, as with Keras' `axis=0` on a convolution or a table."""
    for kind in SETTERS:
        yield from _about_axis(weight, kind, drop_in_of(getattr(weight.variable, kind)))


def _about_axis(weight, kind, setting):
    wrong = _members_with_wrong_axis(weight, kind, setting)
    if not wrong:
        return
    member, axes, wanted = wrong[0]
    shape = tuple(weight.variable.shape)
    is_whole = member.axis is None
    is_unit = wanted == axes_of_layout(weight.layout)
    (groups, size), (better, better_size) = _count(shape, axes), _count(shape, wanted)
    one = "one norm per unit" if kind == "constraint" else "one group per unit"
    yield Finding(
        "whole-tensor" if is_whole else "wrong-axis",
        "warning" if is_whole else "error",
        weight.path,
        f"axis={member.axis} makes {_several(groups, 'group')} of {_several(size, 'weight')} "
        f"of this {type(weight.layer).__name__} kernel ({weight.layout}); "
        f"{f'{one} makes' if is_unit else 'this layout asks for'} "
        f"{_several(better, 'group')} of {better_size}, axis={wanted}",
        call_for_units(kind, weight, setting, [each for each, *_ in wrong]),
    )


def _members_with_wrong_axis(weight, kind, setting):
    """The members of a setting whose groups are not those of the layer: (member, its axes, better).

    A weight that lacks the axis of a member has no such group to judge.
    """
    if weight.obstacle or not weight.has_units or not isinstance(setting, Setting):
        return []
    if weight.normalizer is not None:  # which overwrites it, whatever its axis
        return []
    is_constraint = kind == "constraint"
    shape = tuple(weight.variable.shape)
    wrong = []
    for member in setting.members:
        # An axis that was chosen for a penalty has a meaning: of inputs, of the whole weight.
        if not isinstance(member, Setting) or not (is_constraint or member.has_default_axis):
            continue
        try:
            axes = member.group_axes(len(shape))
            wanted = member.for_layout(weight.layout).group_axes(len(shape))
        except ValueError:  # the weight lacks the axis, or no axis is better than another
            continue
        except TypeError:  # it cannot have another axis, because its config, too, lacks its axis
            continue
        right = [wanted]
        if member.is_transposable:
            right.append(tuple(a for a in range(len(shape)) if a not in wanted))
        if not member.has_groups or _longer(axes, shape) in [_longer(a, shape) for a in right]:
            continue
        if is_constraint or member.axis is not None:
            wrong.append((member, axes, wanted))
    return wrong


def _longer(axes, shape):
    """The axes longer than 1; the others make no difference."""
    return [a for a in axes if shape[a] > 1]


def _several(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _count(shape, axes):
    """How many groups there are, and how many weights in each."""
    size = int(np.prod([shape[a] for a in axes]))
    return int(np.prod(shape)) // max(size, 1), size


def quantized(weight):
    """A quantized weight has a setting, or its layer still has one that quantization took away."""
    if weight.obstacle != "quantized":
        return
    for kind in SETTERS:
        said = said_by_layer(weight, kind)
        held = getattr(weight.variable, kind)
        setting = held if held is not None else said and said[2]
        if setting is not None:
            yield Finding(
                "quantized",
                "warning",
                weight.path,
                f"{title(setting)} is not applied, because quantized weights are not trained",
                call_as_it_is(kind, weight, None),
            )


def not_applied(weight):
    """A layer has a setting that its variable lacks, so Keras never applies it."""
    for kind in SETTERS:
        said = said_by_layer(weight, kind)
        if said is None or weight.obstacle in ("lora", "frozen", "quantized"):
            continue
        layer, attribute, says = said
        does = getattr(weight.variable, kind)
        if same(says, does):
            continue
        wrong = _to_change(weight, kind, drop_in_of(says))
        yield Finding(
            "not-applied",
            "error",
            weight.path,
            f"{layer.name}.{attribute} is {title(says)}, but the variable, which Keras looks "
            f"at, has {title(does)}; an attribute that is set after the layer is built does "
            "nothing",
            call_for_units(kind, weight, says, wrong)
            if wrong
            else call_as_it_is(kind, weight, says),
        )


def _to_change(weight, kind, setting):
    """The members of a setting that cannot be meant as they are, for a weight of this layout."""
    if not isinstance(setting, Setting) or not weight.has_units:
        return []
    try:
        setting.group_axes(len(weight.variable.shape))
    except ValueError:  # the weight lacks the axis
        return list(setting.members)
    wrong = _members_with_wrong_axis(weight, kind, setting)
    return [member for member, *_ in wrong if member.axis is not None]


def lora(weight):
    """LoRA freezes the constrained weight, and trains two others, which it adds."""
    constraint = weight.variable.constraint
    if constraint is not None and weight.obstacle == "lora":
        yield Finding(
            "lora",
            "error",
            weight.path,
            f"{title(constraint)} is never applied: LoRA trains other weights in its place",
            call_as_it_is("constraint", weight, None),
        )


def overwritten(weight):
    """A wrapper scales the constrained weight in each training step."""
    constraint, wrapper = weight.variable.constraint, weight.normalizer
    if constraint is not None and wrapper is not None:
        yield Finding(
            "overwritten",
            "error",
            weight.path,
            f"{title(constraint)} has no effect in training: {wrapper.name} scales the weight to "
            "a spectral norm of 1 before each use",
            call_as_it_is("constraint", weight, None),
        )


def wrong_kind(weight):
    """A penalty where a constraint belongs, or the other way round: Keras asks nobody."""
    for kind, other, base in (
        ("constraint", "regularizer", keras.regularizers.Regularizer),
        ("regularizer", "constraint", keras.constraints.Constraint),
    ):
        setting = getattr(weight.variable, kind)
        if isinstance(setting, base):
            yield Finding(
                "wrong-kind",
                "error",
                weight.path,
                f"{title(setting)} is a {other}, and is set as {kind}; Keras would call it without "
                "an error",
                call_as_it_is(kind, weight, None),
            )


def bad_argument(weight):
    """A constraint or penalty of Keras has an argument that is none, which Keras does not check."""
    for kind in SETTERS:
        setting = getattr(weight.variable, kind)
        try:
            checked_drop_in_of(setting)
        except ValueError as error:
            yield Finding(
                "bad-argument",
                "error",
                weight.path,
                f"{title(setting)} of Keras has an argument that Keras does not check: {error}",
                call_as_it_is(kind, weight, None),
            )
        except TypeError:  # as of a variable, which Keras can compute with
            continue


def cannot_apply(weight, kind, error):
    """A setting raises an error when it is applied, as with an axis that the weight lacks."""
    setting, layer = getattr(weight.variable, kind), type(weight.layer).__name__
    return Finding(
        "cannot-apply",
        "error",
        weight.path,
        f"{title(setting)} cannot be applied to this weight of {layer}, of shape "
        f"{tuple(weight.variable.shape)}, and stops the training: {' '.join(str(error).split())}",
        call_as_it_is(kind, weight, None),
    )


def findings_of(weight, worst, penalty):
    """All findings about one weight, whose settings can be applied.

    Args:
        weight: A `Weight`.
        worst: How far it is outside its set: 0.0 if it is in the set, NaN if it or its norm is not
            finite, None without a constraint.
        penalty: What its regularizer adds to the loss; None if there is none.
    """
    if worst is not None and np.isnan(worst):
        yield from not_finite(weight)
    else:
        yield from not_finite_penalty(weight, penalty)
        yield from violated(weight, worst)
    for check in WEIGHT_CHECKS:
        yield from check(weight)


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


def not_finite_penalty(weight, penalty):
    """A penalty is NaN or infinite, and so is the loss, although the weight is finite."""
    if penalty is None or np.isfinite(penalty):
        return
    regularizer = weight.variable.regularizer
    yield Finding(
        "not-finite",
        "error",
        weight.path,
        f"its penalty by {title(regularizer)} is {penalty:g}, and so is the loss",
        call_as_it_is("regularizer", weight, finite_drop_in(regularizer, weight.variable)),
    )


def finite_drop_in(regularizer, x):
    """Ours in place of a penalty of Keras, if that of `x` is then finite; else None."""
    ours = drop_in_of(regularizer)
    if ours is regularizer or not np.isfinite(float(ops.convert_to_numpy(ours(x)))):
        return None
    return ours


def violated(weight, worst):
    """A weight is outside its set now; if it is frozen, it stays there."""
    constraint = weight.variable.constraint
    if not worst or weight.obstacle in ("lora", "quantized"):  # 0, or None without a constraint
        return
    if weight.normalizer is not None:  # which is what puts it outside
        return
    if getattr(drop_in_of(constraint), "step_rate", 1) < 1 and weight.obstacle is None:
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
    if is_sparse(variable.constraint):
        return  # zeros are exact in every dtype
    if variable.constraint is not None and dtype in ("float16", "bfloat16"):
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


def batch_of_weights(weight):
    """A penalty of activations is on a weight, which has no batch."""
    regularizer = weight.variable.regularizer
    if not getattr(regularizer, "for_activations", False) or weight.obstacle:
        return
    yield Finding(
        "batch-of-weights",
        "warning",
        weight.path,
        f"{title(regularizer)} is for a batch of outputs, but a weight has no batch, so that its "
        "strength depends on the shape of the weight and on the version of Keras",
        call_as_it_is("regularizer", weight, regularizer.for_weights(), ".for_weights()"),
    )


def unreachable(weight):
    """The penalty can never be 0 for a weight of this shape."""
    regularizer = drop_in_of(weight.variable.regularizer)
    shape = tuple(weight.variable.shape)
    if weight.obstacle or not isinstance(regularizer, Regularizer):
        return
    if _to_change(weight, "regularizer", regularizer):  # which is to be mended first
        return
    reason = regularizer.why_never_zero(shape)
    if reason is not None:
        reaching = regularizer.reaching_zero(shape)
        yield Finding(
            "unreachable",
            "warning",
            weight.path,
            f"{reason}, so the penalty never reaches 0",
            call_as_it_is("regularizer", weight, reaching, f".reaching_zero({shape})"),
        )


def unknown_layout(weight):
    """The axis of a norm cannot be judged, because the layer's layout is not known."""
    constraint = drop_in_of(weight.variable.constraint)
    if weight.layout or not weight.name or not isinstance(constraint, Constraint):
        return
    if not constraint.needs_layout:
        return
    is_known = has_layout(weight.layer, weight.name)
    if is_known and is_from_keras(weight.layer):  # as of an equation without units
        return
    reason = without_layout(weight).reason
    yield Finding(
        "unknown-layout",
        "warning",
        weight.path,
        f"{reason}, so its axis is not judged; say which axes tell units apart",
        register_call(weight),
    )


# Findings that follow from what is set, whatever the values of the weight.
WEIGHT_CHECKS = (
    wrong_axis,
    not_applied,
    quantized,
    lora,
    overwritten,
    half_precision,
    batch_of_weights,
    unreachable,
    unknown_layout,
)
