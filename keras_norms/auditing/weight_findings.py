"""All findings about one weight."""

from keras_norms.auditing.axis_findings import unknown_layout, wrong_axis
from keras_norms.auditing.setting_findings import (
    batch_of_weights,
    lora,
    not_applied,
    overwritten,
    quantized,
    unreachable,
)
from keras_norms.auditing.value_findings import (
    half_precision,
    not_finite,
    not_finite_penalty,
    not_finite_result,
    violated,
)


def findings_of(weight, is_finite, worst, penalty):
    """All findings about one weight, whose settings can be applied.

    Args:
        weight: A `Weight`.
        is_finite: Whether its norms are finite.
        worst: How far it is outside its set: 0.0 if it is in the set, NaN if that is not finite,
            None without a constraint.
        penalty: What its regularizer adds to the loss; None if there is none.
    """
    if not is_finite:
        yield from not_finite(weight)
    else:
        yield from not_finite_result(weight, worst)
        yield from not_finite_penalty(weight, penalty)
        yield from violated(weight, worst)
    for check in WEIGHT_CHECKS:
        yield from check(weight)


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
