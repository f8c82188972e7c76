"""Findings about what is set on a weight, and whether Keras applies it."""

import keras

from keras_norms.auditing.axis_findings import members_to_change
from keras_norms.auditing.finding import Finding
from keras_norms.auditing.fixes import call_as_it_is, call_for_units
from keras_norms.models.describe import checked_drop_in_of, drop_in_of, title
from keras_norms.models.holders import said_by_layer
from keras_norms.models.weights import KINDS
from keras_norms.regularizers import Regularizer
from keras_norms.setting import ask, same


def not_applied(weight):
    """A layer has a setting that its variable lacks, so Keras never applies it."""
    for kind in KINDS:
        said = said_by_layer(weight, kind)
        if said is None or weight.obstacle in ("lora", "frozen", "quantized"):
            continue
        layer, attribute, says = said
        does = getattr(weight.variable, kind)
        if same(says, does):
            continue
        ours = drop_in_of(says)  # once, because its members are told by their identity
        wrong = members_to_change(weight, kind, ours)
        yield Finding(
            "not-applied",
            "error",
            weight.path,
            f"{layer.name}.{attribute} is {title(says)}, but the variable, which Keras looks "
            f"at, has {title(does)}; an attribute that is set after the layer is built does "
            "nothing",
            call_for_units(kind, weight, ours, wrong)
            if wrong
            else call_as_it_is(kind, weight, says),
        )


def quantized(weight):
    """A quantized weight has a setting, or its layer still has one that quantization took away."""
    if weight.obstacle != "quantized":
        return
    for kind in KINDS:
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
    for kind in KINDS:
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


def batch_of_weights(weight):
    """A penalty of activations is on a weight, which has no batch."""
    regularizer = weight.variable.regularizer
    if not ask(regularizer, "for_activations", False) or weight.obstacle:
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
    if members_to_change(weight, "regularizer", regularizer):  # which is to be mended first
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
