"""Findings about one weight: its constraint, its regularizer, and whether Keras applies them.

One function per code. A fix is Python that works when it is pasted where `model`, `keras` and
`keras_norms as kn` are known. Only what fails without a word is an error.
"""

import dataclasses

import keras
import numpy as np

from keras_norms.constraints import Constraint
from keras_norms.fixes import SETTERS, as_it_is, one_norm_per_unit, reach, title, variable_of
from keras_norms.regularizers import BatchMean, OrthogonalRegularizer
from keras_norms.sets import EPS, inside_axes


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is not as it looks.

    Attributes:
        code: What kind of finding it is, such as "wrong-axis".
        severity: "error" if it fails silently, else "warning".
        path: The path of the weight or layer.
        message: What is wrong.
        fix: Python code that mends it.
    """

    code: str
    severity: str
    path: str
    message: str
    fix: str


def wrong_axis(weight):
    """A norm is not of one unit: Keras' `axis=0` on a convolution, or on an embedding table."""
    constraint = weight.variable.constraint
    if weight.obstacle or not weight.has_units or not _has_known_axis(constraint):
        return
    for each in getattr(constraint, "constraints", (constraint,)):
        shape = tuple(weight.variable.shape)
        inside = inside_axes(each, len(shape))
        if not inside or _longer(inside, shape) == _longer(weight.unit_axes, shape):
            continue
        whole = each.axis is None
        (groups, size), (units, wanted) = _count(shape, inside), _count(shape, weight.unit_axes)
        yield Finding(
            "whole-tensor" if whole else "wrong-axis",
            "warning" if whole else "error",
            weight.path,
            f"axis={each.axis} makes {_several(groups, 'group')} of {_several(size, 'weight')} of "
            f"this {type(weight.layer).__name__} kernel ({weight.words}); one norm per unit is "
            f"{units} of {wanted}, axis={weight.unit_axes}",
            one_norm_per_unit(weight),
        )
        return


def _longer(axes, shape):
    """Axes of length 1 make no difference."""
    return [a for a in axes if shape[a] > 1]


def _several(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _count(shape, axes):
    """How many groups there are, and how many weights in each."""
    size = int(np.prod([shape[a] for a in axes]))
    return int(np.prod(shape)) // size, size


def not_applied(weight):
    """A layer has a setting that its variable lacks, so Keras never applies it."""
    for kind in SETTERS:
        for layer, attribute in weight.holders(kind)[:1]:
            says, does = getattr(layer, attribute), getattr(weight.variable, kind)
            if says is None or says == does or weight.obstacle in ("lora", "frozen"):
                continue
            if weight.obstacle == "quantized":  # which took it away without a word
                yield Finding(
                    "quantized",
                    "warning",
                    weight.path,
                    f"{title(says)} is not applied, because quantized weights are not trained",
                    as_it_is(kind, weight, None),
                )
                continue
            yield Finding(
                "not-applied",
                "error",
                weight.path,
                f"{layer.name}.{attribute} is {title(says)}, but the variable, which Keras looks "
                f"at, has {title(does)}; an attribute that is set after the layer is built does "
                "nothing",
                as_it_is(kind, weight, says),
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
            as_it_is("constraint", weight, None),
        )


def measured(weight, worst):
    """What the numbers of the weight say; `worst` as for `findings_of`."""
    if worst is not None and np.isnan(worst):
        yield from not_finite(weight)
    else:
        yield from violated(weight, worst)


def not_finite(weight):
    """NaN or infinity, which no constraint brings back."""
    place = variable_of(weight)
    yield Finding(
        "not-finite",
        "error",
        weight.path,
        "a norm of it is NaN or infinite, which no constraint mends; lower the learning rate, and "
        "start from other weights",
        f"{place}.assign(keras.initializers.GlorotUniform()({place}.shape))  # or load weights",
    )


def violated(weight, worst):
    """A weight is outside its set now; if it is frozen, it stays there."""
    constraint = weight.variable.constraint
    if not worst or weight.obstacle in ("lora", "quantized"):  # 0, or None without a constraint
        return
    if least_rate(constraint) < 1 and weight.obstacle is None:
        return  # it comes near step by step
    outside = f"a group is {worst:.3g} outside {title(constraint)}"
    if weight.obstacle == "frozen":
        severity, code = "error", "frozen"
        message = f"{outside}; the weight is frozen, and Keras never constrains it"
    else:
        severity, code = "warning", "violated"
        message = f"{outside}; Keras constrains after the next step of the optimizer, not before"
    yield Finding(code, severity, weight.path, message, "kn.project(model)")


def half_precision(weight):
    """The weights themselves are rounded, so that a bound holds to three digits, or two."""
    variable = weight.variable
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if variable.constraint is not None and dtype in ("float16", "bfloat16"):
        yield Finding(
            "half-precision",
            "warning",
            weight.path,
            f"in {dtype} a bound holds to {EPS[dtype] / 2:.2%} only; under mixed precision "
            "weights are float32 and their bounds exact",
            f'keras.config.set_dtype_policy("mixed_{dtype}")  # and build the model again',
        )


def for_activations(weight):
    """A penalty of a batch on a weight, which has none."""
    regularizer = weight.variable.regularizer
    if isinstance(regularizer, BatchMean) and not weight.obstacle:
        yield Finding(
            "batch-of-weights",
            "warning",
            weight.path,
            "BatchMean divides by the batch size, but a weight has no batch, so its strength "
            "depends on the version of Keras",
            as_it_is("regularizer", weight, regularizer.regularizer),
        )


def unreachable(weight):
    """More vectors than dimensions cannot all be orthogonal."""
    regularizer = weight.variable.regularizer
    theirs = keras.regularizers.OrthogonalRegularizer
    if weight.obstacle or not isinstance(regularizer, (OrthogonalRegularizer, theirs)):
        return
    columns = weight.variable.shape[-1]
    rows = int(np.prod(weight.variable.shape)) // max(columns, 1)
    vectors, entries = (rows, columns) if regularizer.mode == "rows" else (columns, rows)
    if vectors > entries:
        other = "columns" if regularizer.mode == "rows" else "rows"
        better = OrthogonalRegularizer(float(regularizer.factor), other)
        yield Finding(
            "unreachable",
            "warning",
            weight.path,
            f"{vectors} {regularizer.mode} of {entries} entries cannot all be orthogonal, so the "
            "penalty never reaches 0",
            as_it_is("regularizer", weight, better),
        )


def unknown_layout(weight):
    """A norm whose axis cannot be judged, because the layer's layout is not known."""
    constraint = weight.variable.constraint
    if weight.words or not weight.name or not _has_known_axis(constraint):
        return
    rank = len(weight.variable.shape)
    if inside_axes(constraint, rank):
        words = " ".join(["in"] * (rank - 1) + ["unit"])
        yield Finding(
            "unknown-layout",
            "warning",
            weight.path,
            f"no layout is known for {type(weight.layer).__name__}, so its axis is not judged; "
            "say which axes tell units apart, if it is not the last as here",
            f"kn.register_layout(type({reach(weight.layer, weight.inside)}), "
            f'{weight.name}="{words}")',
        )


def least_rate(constraint):
    """The share of the way that one step goes, the least of a chain."""
    return min(getattr(c, "rate", 1) for c in getattr(constraint, "constraints", (constraint,)))


def _has_known_axis(constraint):
    """Whether its `axis` is known to mean the axes inside a group."""
    if isinstance(constraint, Constraint):
        return True
    return hasattr(constraint, "axis") and type(constraint).__module__.startswith("keras.")


OF_WEIGHTS = (
    *(wrong_axis, not_applied, lora, half_precision, for_activations, unreachable),
    unknown_layout,
)
