"""Weights that hold no floating-point numbers: quantized ones, integers and complex numbers."""

import keras
import numpy as np
import pytest
from older_keras import HAS_NO_SUCH_POLICY, fails_before
from whole_models import L, quietly

import keras_norms as kn
from keras_norms import keras_internals

# PyTorch refuses integers that can be trained.
DTYPES = ["complex64"] if keras.backend.backend() == "torch" else ["complex64", "int32"]


class OfDtype(L.Layer):
    """A layer with a weight that any gradient leaves alone, of another dtype than its kernel."""

    def __init__(self, other, **kwargs):
        super().__init__(**kwargs)
        self.other_dtype = other

    def build(self, shape):
        self.other = self.add_weight(
            shape=(4, 3), dtype=self.other_dtype, initializer="ones", name="other"
        )
        self.kernel = self.add_weight(shape=(4, 3), initializer="ones", name="kernel")
        self.built = True

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


def model_with(dtype):
    first = L.Dense(4, kernel_initializer="ones", name="first")
    last = L.Dense(3, kernel_initializer="ones", name="last")
    layers = [L.Input((4,)), first, OfDtype(dtype, name="middle"), last]
    return keras.Sequential(layers, name="m")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "set_on", [(kn.constrain, kn.Clip(-0.1, 0.1)), (kn.regularize, kn.L2(0.1))]
)
def test_what_has_no_place_in_a_set_is_left_out(dtype, set_on):
    model = model_with(dtype)
    function, setting = set_on
    changes = quietly(function, model, setting, where="kernel|other")
    assert [change.path.split("/")[-2] for change in changes] == ["first", "middle", "last"]
    (skipped,) = changes.skipped
    assert skipped.path.endswith("middle/other")
    assert skipped.reason == "the weight does not hold floating-point numbers"
    if function is kn.constrain:
        assert {change.after for change in changes} == {setting}
        assert keras.ops.convert_to_numpy(model.layers[-1].kernel).max() == np.float32(0.1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_audit_shows_no_norm_of_it(dtype):
    model = model_with(dtype)
    audit = kn.audit(model, spectra=True)
    (report,) = [each for each in audit.weights if each.path.endswith("other")]
    assert np.isnan(report.norms).all()
    assert audit.findings == ()
    assert "other" in str(audit)


def test_one_weight_alone_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="does not hold floating-point numbers"):
        kn.constrain(model_with("complex64"), kn.NonNeg(), where="other")


def test_pruning_goes_around_it():
    model = model_with("complex64")
    kn.register_layout(OfDtype, kernel="in unit", other="in unit")
    changes = quietly(kn.prune, model, 0.5)
    assert len(changes) == 3
    assert [each.path.split("/")[-1] for each in changes.skipped] == ["other"]


def dense():
    layer = L.Dense(8, name="d", kernel_constraint=kn.MaxNorm(0.5))
    return keras.Sequential([L.Input((16,)), layer], name="m")


def test_settings_of_a_file_are_not_set_on_quantized_weights(tmp_path):
    path = tmp_path / "settings.json"
    model = dense()
    assert kn.save_settings(model, path) == ["m/d/kernel"]
    model = dense()
    model.layers[0].quantize("int8")
    with pytest.warns(kn.KerasNormsWarning, match="m/d/kernel is quantized"):
        assert kn.load_settings(model, path) == []
    assert model.layers[0].kernel_constraint is None
    assert kn.audit(model).findings == ()


def test_the_message_says_where_the_constraint_has_gone():
    model = dense()
    model.layers[0].quantize("int8")
    model.compile("sgd", "mse")
    x, y = np.ones((4, 16), "float32"), np.ones((4, 8), "float32")
    for callback in (kn.ProjectWeights(), kn.NormHistory()):
        with pytest.raises(ValueError, match="Quantization has taken away"):
            model.fit(x, y, verbose=0, callbacks=[callback])
    with pytest.raises(ValueError, match="Quantization has taken away"):
        kn.project(model)


def test_a_constraint_on_a_quantized_weight_is_a_warning_and_its_fix_removes_it():
    model = dense()
    model.layers[0].quantize("int8")
    model.layers[0]._kernel.constraint = kn.MaxNorm(0.5)
    (finding,) = kn.audit(model).findings
    assert (finding.code, finding.severity) == ("quantized", "warning")
    exec(finding.fix, {"model": model, "kn": kn})
    assert model.layers[0]._kernel.constraint is None
    assert kn.audit(model).findings == ()


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("gptq/4/-1_from_float32", marks=fails_before((3, 12), HAS_NO_SUCH_POLICY)),
        pytest.param("awq/4/-1_from_float32", marks=fails_before((3, 14), HAS_NO_SUCH_POLICY)),
    ],
)
def test_a_kernel_that_is_held_under_another_name_is_found(policy):
    layer = L.Dense(4, dtype=policy, kernel_constraint=kn.MaxNorm(1.0), name="d")
    model = keras.Sequential([L.Input((8,)), layer, L.Dense(2, name="last")], name="m")
    (finding,) = kn.audit(model).findings
    assert (finding.code, finding.path) == ("quantized", "m/d/kernel")
    changes = kn.constrain(model, kn.MaxNorm(1.0))
    assert [change.path for change in changes] == ["m/last/kernel"]
    assert [(each.path, each.reason) for each in changes.skipped] == [
        ("m/d/kernel", "the weight is quantized")
    ]


def test_scales_of_float8_have_no_averages():
    model = keras.Sequential([L.Input((4,)), L.Dense(3, kernel_initializer="ones")])
    kn.constrain(model, kn.MaxNorm(0.5))
    model.layers[0].quantize("float8")
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)
    kn.project(model)
    averages = list(keras_internals.averages_in(model.optimizer))
    assert {variable.path for variable, _ in averages} == {
        f"{model.layers[0].path}/kernel",
        f"{model.layers[0].path}/bias",
    }
