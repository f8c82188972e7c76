"""Fixes of findings: the text that is pasted sets what the finding asks for, and nothing else."""

import dataclasses
import math

import keras
import numpy as np
import pytest
from older_keras import TAKES_NO_FUNCTION, fails_before
from traps import conv, dense

import keras_norms as kn
from keras_norms.models.expressions import layer_expression

UNIT = (0, 1, 2)  # of the kernel of a convolution


@keras.saving.register_keras_serializable("test_fixes")
@dataclasses.dataclass(frozen=True)
class Cap(kn.constraints.Constraint):
    """A constraint of the user's."""

    def compute_projection(self, w, axes):
        return keras.ops.minimum(w, 9.0)


@keras.saving.register_keras_serializable("test_fixes")
def mean_of_squares(x):
    return 0.5 * keras.ops.mean(keras.ops.square(x))


def paste(model, code):
    """Run the fix of the one finding of a code. The finding must be gone then."""
    (finding,) = [f for f in kn.audit(model).findings if f.code == code]
    exec(finding.fix, {"model": model, "kn": kn, "keras": keras})
    assert code not in [f.code for f in kn.audit(model).findings]
    return model.layers[0].kernel


def with_mask(model):
    """The model with some zeros that are frozen."""
    kn.prune(model, 0.5)
    kn.freeze_zeros(model)
    return model


def test_a_mask_stays_where_another_member_has_a_wrong_axis():
    model = with_mask(conv(kernel_constraint=kn.MaxNorm(2.0)))
    bound, mask = model.layers[0].kernel.constraint.members
    assert paste(model, "wrong-axis").constraint == kn.Chain(bound.along(UNIT), mask)


def test_a_mask_that_is_set_too_late_is_applied():
    model = dense()
    mask = kn.FixedMask(np.tri(8, 4))
    model.layers[0].kernel_constraint = mask
    assert paste(model, "not-applied").constraint is mask


@pytest.mark.parametrize("other", [Cap(), kn.FixedMask(np.tri(8, 4))])
def test_a_rate_beside_what_has_no_text(other):
    model = dense(kernel_constraint=kn.Chain(kn.MinMaxNorm(0.0, 9.0, rate=0.5), other))
    model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4), "mse")
    expected = kn.Chain(kn.MinMaxNorm(0.0, 9.0, rate=1.0), other)
    assert paste(model, "repeated-rate").constraint == expected


A_FUNCTION = fails_before((3, 15), TAKES_NO_FUNCTION)


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        pytest.param(*(kn.BatchMean(mean_of_squares), mean_of_squares), marks=A_FUNCTION),
        (kn.L1(0.1) + kn.BatchMean(mean_of_squares), kn.L1(0.1) + mean_of_squares),
    ],
)
def test_a_function_of_the_users_in_a_penalty_of_a_batch(penalty, expected):
    model = dense(kernel_regularizer=penalty)
    assert paste(model, "batch-of-weights").regularizer == expected


@pytest.mark.parametrize(
    "other",
    [
        *(kn.Sparse(0.5, axis=0), kn.Sparse(0.5), kn.MaxNorm(9.0, axis=UNIT), kn.NonNeg()),
        kn.MaxSpectralNorm(3.0, axis=3),  # the same as for `UNIT`, by other groups
    ],
)
def test_only_the_members_with_a_wrong_axis_get_another(other):
    model = conv(kernel_constraint=kn.Chain(kn.MaxNorm(2.0), other))
    assert paste(model, "wrong-axis").constraint == kn.Chain(kn.MaxNorm(2.0, axis=UNIT), other)


def test_an_infinite_limit_can_be_pasted():
    model = dense()
    model.layers[0].kernel_constraint = kn.Clip(-math.inf, 0.5)
    assert paste(model, "not-applied").constraint == kn.Clip(-math.inf, 0.5)


def test_an_error_of_several_lines_stays_in_its_row():
    class Fails(keras.constraints.Constraint):
        def __call__(self, w):
            raise ValueError("first line\nsecond | line")

    model = dense()
    model.layers[0].kernel.constraint = Fails()
    audit = kn.audit(model)
    assert "first line second | line" in audit.findings[0].message
    rows = [line for line in audit.to_markdown().splitlines() if "first line" in line]
    assert [row.endswith("|") for row in rows] == [True]


def test_a_kernel_under_lora_is_found_among_the_variables():
    """Its attribute computes the sum of the kernel and the two factors."""
    model = dense()
    model.layers[0].enable_lora(2)
    model.layers[0]._kernel.assign(np.full(model.layers[0]._kernel.shape, np.nan))
    paste(model, "not-finite")


def test_of_two_layers_of_one_name_each_has_its_own_place():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = keras.layers.Dense(3, name="x"), keras.layers.Dense(3, name="x")

        def build(self, shape):
            self.one.build(shape)
            self.two.build(shape)

        def call(self, x):
            return self.two(x)

    model = Two()
    model.build((None, 4))
    for layer in (model.one, model.two):
        assert eval(layer_expression(model, layer), {"model": model}) is layer
