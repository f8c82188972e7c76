"""Which weights `constrain` and `regularize` choose, and what they leave out, with the reason."""

import re

import keras
import numpy as np
import pytest
from older_keras import HOLDS_NO_MODULE, fails_before
from whole_models import BUILDERS, L, quietly

import keras_norms as kn
from keras_norms.keras_internals import held_variable


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, {"conv/kernel", "deep/conv/kernel", "head/kernel"}),
        (L.Conv2D, {"conv/kernel"}),
        ((L.Conv2D, L.Dense), {"conv/kernel", "head/kernel"}),
        (r"deep", {"deep/conv/kernel", "deep/bn/gamma", "deep/bn/beta", "deep/conv/bias"}),
        (lambda layer, variable: "gamma" in variable.path, {"deep/bn/gamma"}),
        (keras.Sequential, {"deep/conv/kernel"}),
    ],
)
def test_where(where, expected):
    inputs = L.Input((6, 6, 2))
    x = L.Conv2D(3, 2, name="conv")(inputs)
    deep = [L.Conv1D(2, 1, name="conv"), L.BatchNormalization(name="bn")]
    x = keras.Sequential(deep, name="deep")(L.Reshape((25, 3))(x))
    model = keras.Model(inputs, L.Dense(2, name="head")(L.Flatten()(x)))
    changes = kn.constrain(model, kn.NonNeg(), where=where)
    assert {change.path for change in changes} == expected


def test_a_function_of_one_argument_is_refused():
    model = BUILDERS["sequential"]()
    with pytest.raises(TypeError, match="of two arguments, the layer and the variable"):
        kn.constrain(model, kn.NonNeg(), where=lambda layer: True)
    with pytest.raises(ValueError, match=r'must be "unit" or "own". Received: axis=array'):
        kn.constrain(model, kn.NonNeg(), axis=np.array([0, 1]))


def test_factors_of_lora_have_no_units():
    model = BUILDERS["sequential"]()
    with_lora(model)
    with pytest.raises(ValueError, match="LoRA multiplies it by another weight"):
        kn.constrain(model, kn.MaxNorm(1.0), where="lora_kernel_a")


def test_a_weight_that_a_wrapper_normalizes_is_listed():
    model = keras.Sequential([L.Input((8,)), L.SpectralNormalization(L.Dense(4)), L.Dense(2)])
    changes = kn.constrain(model, kn.MaxNorm(0.1))
    (skipped,) = changes.skipped
    assert "scales it to a spectral norm of 1 in each training step" in str(skipped)
    assert [change.shape for change in changes] == [(4, 2)]
    assert len(kn.constrain(model, keras.constraints.NonNeg(), axis="own")) == 1
    assert len(kn.regularize(model, kn.L2(0.1))) == 2  # a penalty of it counts


def test_tables_are_named():
    inputs = L.Input((5,))
    x = L.Embedding(7, 3, "ones", name="tokens")(inputs)
    model = keras.Model(inputs, L.Dense(2, name="head")(L.Flatten()(x)))
    changes = kn.constrain(model, kn.MaxNorm(0.1))
    assert [c.path for c in changes] == ["head/kernel"]
    assert [str(each) for each in changes.skipped] == [
        "tokens/embeddings (7, 3): an embedding table is no kernel; name it: "
        'where=r"^tokens/embeddings$"'
    ]
    (change,) = kn.constrain(model, kn.MaxNorm(0.01), where=L.Embedding)
    assert change.after == kn.MaxNorm(0.01, axis=1)
    norms = np.linalg.norm(np.asarray(model.layers[1].embeddings), axis=1)
    np.testing.assert_allclose(norms, 0.01, rtol=1e-6)


def frozen(model):
    model.layers[0].trainable = False


def with_lora(model):
    model.layers[0].enable_lora(2)


def quantized(model):
    model.layers[0].quantize("int8")


@pytest.mark.parametrize(
    ("spoil", "reason", "fix"),
    [
        (frozen, "the weight is frozen", "set `trainable = True` on its layer first"),
        (with_lora, "LoRA trains other weights in its place", ""),
        (quantized, "the weight is quantized", "{} the model first, and quantize it last"),
    ],
)
def test_what_keras_would_pass_over_is_listed(spoil, reason, fix):
    model = BUILDERS["sequential"]()
    spoil(model)
    first, last = model.layers[0], model.layers[1]
    for function, setting in ((kn.constrain, kn.MaxNorm(0.1)), (kn.regularize, kn.L2(0.1))):
        for where in (None, "kernel$", L.Dense, lambda layer, v: v.path.endswith("kernel")):
            changes = function(model, setting, where=where)
            assert [change.path for change in changes] == [last.kernel.path]
            assert {each.reason for each in changes.skipped} == {reason}
            assert {each.fix for each in changes.skipped} == {fix.format(function.__name__)}
            assert f"left out: {changes.skipped[0].path}" in str(changes)
        with pytest.raises(ValueError, match=reason):
            function(model, setting, where=f"{first.name}/kernel")
    assert held_variable(first, "kernel").constraint is None


class Own(L.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2), name="matrix")
        self.cube = self.add_weight(shape=(2, 2, 2), name="cube")
        self.scale = self.add_weight(shape=(2,), name="scale", initializer="ones")

    def call(self, x):
        return x @ self.matrix * self.scale


def with_own():
    class Mine(Own):
        pass

    class Scaled(L.Dense):
        pass

    return keras.Sequential([L.Input((8,)), Scaled(4, name="scaled"), Mine(name="mine")]), Mine


@pytest.mark.parametrize("setting", [kn.MaxNorm(0.1), kn.NonNeg(), kn.L2(0.1)], ids=repr)
def test_unknown_weights_are_left_out_and_listed(setting):
    model, _ = with_own()
    function = kn.regularize if isinstance(setting, kn.L2) else kn.constrain
    with pytest.warns(kn.KerasNormsWarning) as warned:
        changes = function(model, setting)
    assert [change.path.rpartition("/")[2] for change in changes] == ["kernel"]
    assert [each.path.rpartition("/")[2] for each in changes.skipped] == ["matrix", "cube"]
    (warning,) = [w for w in warned if w.category is kn.KerasNormsWarning]
    message = str(warning.message)
    assert warning.filename == __file__  # the line of the user's
    assert message.startswith("These weights are left as they are")
    # The hints have a word for each axis, and run when they are pasted.
    assert 'matrix="in unit"' in message
    assert 'cube="in in unit"' in message
    assert "scale" not in message  # a vector has one number per unit
    for each in changes.skipped:
        exec(each.fix, {"kn": kn, "model": model})
    changes = quietly(function, model, setting)
    assert [c.path.rpartition("/")[2] for c in changes] == ["kernel", "matrix", "cube"]
    assert changes.skipped == ()


def test_unknown_weights_may_be_an_error():
    model, _ = with_own()
    with pytest.raises(ValueError, match=r"These weights are left as they are(.|\n)*cube"):
        kn.constrain(model, kn.MaxNorm(0.1), unknown="raise")
    assert model.layers[0].kernel.constraint is None
    assert kn.constrain(model, kn.MaxNorm(0.1), where=L.Dense, unknown="raise").skipped == ()


def test_what_is_named_needs_no_layout_if_nothing_has_groups():
    model, _ = with_own()
    for setting, function in ((kn.Clip(-1, 1), kn.constrain), (kn.L1(0.1), kn.regularize)):
        changes = quietly(function, model, setting, where="mine", unknown="raise")
        assert [c.path.rpartition("/")[2] for c in changes] == ["matrix", "cube", "scale"]
    changes = quietly(kn.constrain, model, kn.MaxNorm(1.0), where="cube", axis="own")
    assert [change.after for change in changes] == [kn.MaxNorm(1.0)]


def test_only_unknown_weights_are_an_error():
    model = keras.Sequential([L.Input((8,)), Own(name="own")])
    with pytest.raises(ValueError, match=r"no layout is known for Own: kn\.register_layout"):
        kn.constrain(model, kn.MaxNorm(0.1))


def test_a_layout_that_does_not_fit_says_so():
    model, cls = with_own()
    kn.register_layout(cls, matrix="unit in more")
    with pytest.warns(kn.KerasNormsWarning, match=r"one word per axis of \(4, 2\)"):
        kn.constrain(model, kn.MaxNorm(0.1))


def test_an_audit_says_that_a_layout_does_not_fit():
    model, cls = with_own()
    kn.register_layout(cls, matrix="unit in more")
    matrix = next(v for v in model.weights if v.path.endswith("matrix"))
    matrix.constraint = kn.MaxNorm(9.0)
    messages = [f.message for f in kn.audit(model).findings if f.code == "unknown-layout"]
    assert len(messages) == 1
    assert "one word per axis of (4, 2)" in messages[0]


def test_an_elementwise_penalty_is_offered_for_single_entries():
    model = BUILDERS["sequential"]()
    with pytest.raises(ValueError, match=r"penalise its entries with `keras_norms\.L1` or `L2`"):
        kn.regularize(model, kn.GroupLasso(), where="bias$")
    with pytest.raises(ValueError, match=r"limit its entries with `keras_norms\.Clip`"):
        kn.constrain(model, kn.MaxNorm(), where="bias$")
    changes = kn.constrain(model, kn.MaxNorm(0.5, ord="inf"), where="bias$")
    assert len(changes) == 2


def test_pruning_speaks_of_zeros():
    model = BUILDERS["sequential"]()
    model.trainable = False
    with pytest.raises(ValueError, match="No weight that `where` selects can have zeros"):
        kn.prune(model, 0.5)


def test_a_registered_layout():
    model, cls = with_own()
    with pytest.raises(ValueError, match=r"as in register_layout\(.*Received: none"):
        kn.register_layout(cls)
    with pytest.raises(ValueError, match='must have the word "unit"'):
        kn.register_layout(cls, matrix="in units")
    kn.register_layout(cls, matrix="in unit", cube="*")
    changes = quietly(kn.constrain, model, kn.MaxNorm(0.1))
    assert [change.path.rpartition("/")[2] for change in changes] == ["kernel", "matrix"]
    assert [change.saved for change in changes] == [True, False]  # it has no argument for it


def test_a_pattern_that_matches_biases_too():
    model = BUILDERS["convolutional"]()
    name = next(layer.name for layer in model.layers if type(layer) is L.Conv2D)
    changes = kn.constrain(model, kn.MaxNorm(0.1), where=f"^{name}/")
    assert [change.path for change in changes] == [f"{name}/kernel"]
    assert str(changes).splitlines() == [
        f"{name}/kernel (3, 3, 2, 4): MaxNorm(max_value=0.1, axis=(0, 1, 2), ord=2), "
        'from its layout "y x in unit"',
        f"left out: {name}/bias (4,): it has one number per unit, so each group would be a single "
        'entry; limit its entries with `keras_norms.Clip`, or give an axis and `axis="own"`',
    ]


def test_a_compiled_pattern_and_a_constraint_of_keras():
    model = BUILDERS["convolutional"]()
    conv = next(layer for layer in model.layers if type(layer) is L.Conv2D)
    kn.constrain(model, keras.constraints.MaxNorm(0.1), where=re.compile(f"{conv.name}/kernel"))
    assert conv.kernel.constraint == kn.MaxNorm(0.1, axis=(0, 1, 2))


def test_layers_without_kernels():
    model = BUILDERS["convolutional"]()
    with pytest.raises(ValueError, match=r"layers that have no kernel.*gamma.*by a regular"):
        kn.constrain(model, kn.MaxNorm(), where=L.BatchNormalization)


def test_a_layer_without_weights_that_was_never_built():
    class Unused(L.Layer):
        def __init__(self):
            super().__init__()
            self.dense, self.unused = L.Dense(3), L.Activation("relu")
            self.unused.built = False

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            return self.dense(x)

    model = keras.Sequential([L.Input((8,)), Unused()])
    assert not model.layers[0].unused.built
    assert len(quietly(kn.constrain, model, kn.MaxNorm())) == 1


class Heads(L.Layer):
    """A layer that holds its weights in a list."""

    def build(self, input_shape):
        self.heads = [self.add_weight(shape=(input_shape[-1], 2), name="head") for _ in range(2)]

    def call(self, inputs):
        return sum(inputs @ head for head in self.heads)


def wrapped_jax():
    def dense(params, inputs):
        return inputs @ params["kernel"]

    return L.JaxLayer(dense, params={"kernel": np.full((4, 2), 3.0, "float32")})


def wrapped_torch():
    import torch

    return L.TorchModuleWrapper(torch.nn.Linear(2, 4, bias=False), name="wrapper")


WRAPPED = {
    "jax": [wrapped_jax],
    "torch": [pytest.param(wrapped_torch, marks=fails_before((3, 13), HOLDS_NO_MODULE))],
}.get(keras.backend.backend(), [])


@pytest.mark.parametrize("inner", [Heads, *WRAPPED])
def test_weights_that_no_attribute_holds_are_constrained_by_path(inner, tmp_path):
    width = 2 if inner is wrapped_torch else 4
    model = keras.Sequential([L.Input((width,)), inner(), L.Dense(3, name="last")])
    model(np.ones((1, width), "float32"))
    (first, *_) = (weight.path for weight in model.layers[0].weights)
    with pytest.warns(kn.KerasNormsWarning, match="their layout is not known"):
        (change,) = kn.constrain(model, kn.MaxNorm(0.1))
    assert change.path.endswith("last/kernel")
    with pytest.warns(kn.KerasNormsWarning, match="will be lost when the model is saved"):
        kn.constrain(model, kn.MaxNorm(0.1), where=f"^{first}$", axis="own")
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(np.ones((8, width), "float32"), np.ones((8, 3), "float32"), verbose=0)
    weight = keras.ops.convert_to_numpy(model.layers[0].weights[0])
    assert np.linalg.norm(weight, axis=0).max() <= 0.1 * (1 + 1e-6)
    path = tmp_path / "settings.json"
    kn.save_settings(model, path)
    kn.constrain(model, None, where="")
    assert first in kn.load_settings(model, path)


def test_layers_without_weights_are_listed_only_if_they_are_meant():
    class Both(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.other = L.Dense(3), L.Conv2D(2, 3)

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            return self.dense(x)

    model = Both()
    model(np.ones((1, 4), "float32"))
    assert kn.constrain(model, kn.MaxNorm(1.0), where=L.Dense).skipped == ()


def test_the_number_of_weights_that_are_not_named():
    model = keras.Sequential([L.Input((4,)), L.Dense(3), L.Dense(3)])
    model.trainable = False
    with pytest.raises(ValueError, match=r"\(and 1 more\): the weight is frozen"):
        kn.constrain(model, kn.MaxNorm(1.0))
