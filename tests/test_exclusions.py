"""What the audit keeps to itself: findings that would be wrong of some weights, or say it twice."""

import keras
import numpy as np
import pytest
from whole_models import L

import keras_norms as kn


def of(layer, shape=(4,)):
    return keras.Sequential([L.Input(shape), layer])


def codes(model):
    return [finding.code for finding in kn.audit(model).findings]


SLOW = {"kernel_constraint": kn.MinMaxNorm(0.0, 0.01, rate=0.5)}
# What is said of a layer with these arguments while it is trained, and once it is frozen.
FROZEN = {
    "a rate below 1": (SLOW, [], ["frozen"]),
    "a mean of a batch": ({"kernel_regularizer": kn.BatchMean("l2")}, ["batch-of-weights"], []),
    "no way to 0": ({"kernel_regularizer": kn.OrthogonalRegularizer(0.1)}, ["unreachable"], []),
}


@pytest.mark.parametrize("name", FROZEN)
def test_of_frozen_weights(name):
    arguments, trained, frozen = FROZEN[name]
    model = of(L.Dense(3, **arguments))
    assert codes(model) == trained
    model.layers[0].trainable = False
    assert codes(model) == frozen


def test_what_is_set_on_a_frozen_layer_is_not_missing():
    model = of(L.Dense(3))
    model.layers[0].trainable = False
    model.layers[0].kernel_constraint = kn.MaxNorm(9.0)
    assert codes(model) == []


def test_steps_of_a_frozen_weight_are_not_repeated():
    model = keras.Sequential([L.Input((2,)), L.Dense(1, **SLOW), L.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4), "mse")
    assert "repeated-rate" in codes(model)
    model.layers[0].trainable = False
    assert "repeated-rate" not in codes(model)


def test_of_lora_it_says_only_that():
    model = of(L.Dense(4))
    model.layers[0].enable_lora(2)
    model.layers[0]._kernel.constraint = kn.MaxNorm(0.01)
    assert "lora" in codes(model)
    assert "violated" not in codes(model)


def test_of_a_normalized_weight_it_says_only_that():
    wrapped = L.SpectralNormalization(L.Dense(3, kernel_constraint=kn.MaxNorm(0.01)))
    assert codes(of(wrapped)) == ["overwritten"]


def test_a_penalty_of_the_whole_weight_by_default_is_meant():
    assert codes(of(L.Dense(3, kernel_regularizer=kn.Hoyer()))) == []


def test_each_term_of_a_sum_is_asked_for_its_axis():
    both = kn.GroupLasso(0.1, axis=0) + kn.Hoyer(0.1, axis=1)  # the first has its default axis
    model = of(L.Conv2D(4, 3, kernel_regularizer=both), (8, 8, 2))
    (finding,) = [f for f in kn.audit(model).findings if f.code == "wrong-axis"]
    assert finding.message.startswith("axis=0 makes")


def test_a_constraint_with_a_variable_keeps_no_other_finding_back():
    model = of(L.Dense(3, kernel_constraint=keras.constraints.MaxNorm(keras.Variable(9.0))))
    model.layers[0].kernel.regularizer = keras.regularizers.L2(1e39)  # beyond float32
    assert "bad-argument" in codes(model)


@pytest.mark.parametrize(("dtype", "off"), [("float16", "0.05%"), ("bfloat16", "0.39%")])
def test_the_accuracy_of_half_precision_is_that_of_rounding(dtype, off):
    (finding,) = kn.audit(of(L.Dense(3, kernel_constraint=kn.MaxNorm(9.0), dtype=dtype))).findings
    assert finding.message.startswith(f"in {dtype} a bound holds to {off} only; under")


def test_the_fix_of_a_late_constraint_keeps_its_axis():
    model = of(L.Conv2D(4, 3), (8, 8, 2))
    model.layers[0].kernel_constraint = kn.MaxNorm(9.0, axis=None)
    (finding,) = [f for f in kn.audit(model).findings if f.code == "not-applied"]
    assert "axis=None" in finding.fix
    assert 'axis="own"' in finding.fix


def test_the_fix_of_an_infinite_penalty_is_never_infinite():
    model = of(L.Dense(2, kernel_regularizer=keras.regularizers.L2(1.0)), (1,))
    model.layers[0].kernel.assign([[1.5e19, 1.5e19]])  # norms are finite, the sum of squares is not
    (finding,) = [f for f in kn.audit(model).findings if f.code == "not-finite"]
    assert finding.fix.startswith("kn.regularize(model, None")
    layer = L.Dense(1, activity_regularizer=kn.L2(1.0), name="d", kernel_initializer="ones")
    audit = kn.audit(of(layer, (2,)), np.full((1, 2), 1e30, "float32"))
    (finding,) = [f for f in audit.findings if f.code == "not-finite"]
    assert finding.fix.startswith('model.get_layer("d").activity_regularizer = None')


class Plain(L.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 2), name="w")

    def call(self, x):
        return x @ self.w


def test_a_weight_of_unknown_layout_is_in_the_table_all_the_same():
    audit = kn.audit(of(Plain(), (3,)))
    (report,) = audit.weights
    assert report.layout is None
    assert "?" in str(audit)


def test_in_a_narrow_terminal_there_is_no_heading_without_a_value(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    layers = [L.Dense(3, kernel_constraint=kn.MaxNorm(9.0)), L.Dense(2)]
    text = str(kn.audit(keras.Sequential([L.Input((2,)), *layers])))
    assert text.count("constraint ") == text.count("excess ") == 1
