"""All findings about one weight."""

import numpy as np

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
    violated,
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
