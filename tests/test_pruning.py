"""Whole models with zeros: how they are shared out, held, scheduled, saved and resumed."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_norms as kn


def network(dtype=None):
    """A small chain with a convolution, and no names that Keras numbers."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu", name="conv", dtype=dtype),
            layers.Flatten(),
            layers.Dense(32, activation="relu", name="hidden", dtype=dtype),
            layers.Dense(4, name="head", dtype=dtype),
        ],
        name="net",
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    return model


def data(n=64):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 8, 8, 1)).astype("float32"), rng.integers(0, 4, n)


def kernels(model):
    """By the names that they have in the model; a model that is loaded has none of its own."""
    held = {f"net/{layer.name}/kernel": layer for layer in model.layers if layer.weights}
    return {path: keras.ops.convert_to_numpy(layer.kernel) for path, layer in held.items()}


def zeros(model):
    return {path: float(np.mean(w == 0)) for path, w in kernels(model).items()}


class Watch(keras.callbacks.Callback):
    """The share of zeros after each step."""

    def __init__(self, path="net/hidden/kernel"):
        super().__init__()
        self.path, self.seen = path, []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.seen[-1].append(zeros(self.model)[self.path])


def test_uniform_gives_each_kernel_its_share_at_once_and_after_training():
    model = network()
    changes = kn.prune(model, 0.75)
    assert [change.after for change in changes] == [kn.Sparse(0.75)] * 3
    wanted = {path: round(w.size * 0.25) for path, w in kernels(model).items()}
    for _ in range(2):
        assert {p: np.count_nonzero(w) for p, w in kernels(model).items()} == wanted
        model.fit(*data(), epochs=1, verbose=0)


def test_global_keeps_the_largest_of_all():
    model = network()
    before = kernels(model)
    kn.prune(model, 0.9, "global")
    everything = np.sort(np.abs(np.concatenate([w.ravel() for w in before.values()])))[::-1]
    count = round(everything.size * 0.1)
    for path, w in kernels(model).items():
        np.testing.assert_array_equal(w != 0, np.abs(before[path]) >= everything[count - 1])


def test_erk_is_in_proportion_to_the_lengths_and_at_most_dense():
    model = keras.Sequential([keras.layers.Input((64,))], name="net")
    for units, name in ((400, "wide"), (100, "narrow"), (4, "head")):
        model.add(keras.layers.Dense(units, name=name))
    kn.prune(model, 0.9, "erk")
    found = {path: np.count_nonzero(w) for path, w in kernels(model).items()}
    # 6600 of 66000 weights stay. The head would get more than its 400; the others share the rest
    # in proportion to 464 and 500, the sums of their axis lengths.
    scale = (6600 - 400) / (464 + 500)
    assert scale * 104 > 400
    wanted = [round(scale * 464), round(scale * 500), 400]
    assert list(found.values()) == wanted


@pytest.mark.parametrize("distribution", ["uniform", "global", "erk"])
@pytest.mark.parametrize("sparsity", [0, 0.37, 1])
def test_counts_are_what_is_asked_for(distribution, sparsity):
    model = network()
    kn.prune(model, sparsity, distribution)
    found = kernels(model)
    kept = sum(np.count_nonzero(w) for w in found.values())
    assert abs(kept - sum(w.size for w in found.values()) * (1 - sparsity)) <= len(found)


def test_another_constraint_stays_and_a_sparse_one_is_replaced():
    model = network()
    kn.constrain(model, kn.MaxNorm(0.5))
    kn.prune(model, 0.5, where="hidden")
    kn.prune(model, 0.6, where="hidden")
    found = model.get_layer("hidden").kernel.constraint
    assert found == kn.Chain(kn.MaxNorm(0.5), kn.Sparse(0.6))
    kn.freeze_zeros(model, where="hidden")
    members = model.get_layer("hidden").kernel.constraint.members
    assert members[0] == kn.MaxNorm(0.5)
    assert isinstance(members[1], kn.FixedMask)
    assert len(members) == 2
    assert not kn.audit(model).findings


def test_nan_in_one_weight_does_not_empty_the_others():
    layers = [keras.layers.Dense(4, name=name) for name in ("good", "bad")]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    layers[1].kernel.assign(np.full((4, 4), np.nan))
    with pytest.warns(kn.KerasNormsWarning, match="bad/kernel has NaN"):
        kn.prune(model, 0.25, "global")
    assert (layers[0].get_weights()[0] != 0).sum() == 8


class Theirs(keras.constraints.Constraint):
    def __call__(self, w):
        return w


def test_a_constraint_that_cannot_be_kept_is_refused_before_training():
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(3, kernel_constraint=Theirs())]
    )
    model.compile("sgd", "mse")
    schedule = kn.SparsitySchedule(0.5, 1, 2)
    with pytest.raises(TypeError, match="kernel has a constraint that cannot be kept"):
        model.fit(np.ones((2, 4)), np.ones((2, 3)), callbacks=[schedule], verbose=0)
    with pytest.raises(TypeError, match="kernel has a constraint that cannot be kept"):
        kn.prune(model, 0.5)


def test_frozen_zeros_stay_the_same_ones(tmp_path):
    model = network()
    kn.prune(model, 0.8)
    pattern = {path: w == 0 for path, w in kernels(model).items()}
    kn.freeze_zeros(model)
    model.fit(*data(), epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.fit(*data(), epochs=1, verbose=0)
    for found in (model, loaded):
        for path, w in kernels(found).items():
            np.testing.assert_array_equal(w == 0, pattern[path])


def test_an_entry_that_is_no_zero_in_float64_is_not_frozen():
    if keras.backend.standardize_dtype(keras.ops.convert_to_tensor(np.ones(1)).dtype) != "float64":
        pytest.skip("JAX has float64 only if x64 is enabled")
    layer = keras.layers.Dense(1, use_bias=False, dtype="float64")
    model = keras.Sequential([keras.layers.Input((3,)), layer])
    model.set_weights([np.array([[1.0], [1e-60], [0.0]])])
    kn.freeze_zeros(model)
    kn.project(model)
    assert model.get_weights()[0].ravel().tolist() == [1.0, 1e-60, 0.0]


def test_without_a_zero_there_is_nothing_to_freeze():
    with pytest.raises(ValueError, match="has a zero"):
        kn.freeze_zeros(network(), where="kernel")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((1.5,), ValueError, "sparsity=1.5"),
        (("0.5",), TypeError, "must be a number"),
        ((0.5, "random"), ValueError, "distribution='random'"),
        ((0.5, "erk", "nothing"), ValueError, "`where` must select a weight"),
    ],
)
def test_mistakes_are_refused_before_anything_is_changed(arguments, error, words):
    model = network()
    before = kernels(model)
    with pytest.raises(error, match=words):
        kn.prune(model, *arguments)
    assert {v.constraint for v in model.weights} == {None}
    for path, w in kernels(model).items():
        np.testing.assert_array_equal(w, before[path])


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": keras.optimizers.SGD, "momentum": 0.9},
        {"optimizer": keras.optimizers.Adam, "gradient_accumulation_steps": 2},
        {"optimizer": keras.optimizers.Adam, "use_ema": True, "ema_overwrite_frequency": 3},
        {"optimizer": keras.optimizers.Adam, "use_ema": True},
    ],
    ids=["momentum", "accumulation", "averages written back", "averages"],
)
@pytest.mark.parametrize("way", ["schedule", "prune"])
def test_the_pattern_holds_whatever_the_optimizer(settings, way):
    model, watch = network(), Watch()
    optimizer = settings["optimizer"]
    others = {name: value for name, value in settings.items() if name != "optimizer"}
    model.compile(optimizer(learning_rate=1e-2, **others), "sparse_categorical_crossentropy")
    callbacks = [watch]
    if way == "prune":
        kn.prune(model, 0.8)
        kn.freeze_zeros(model)
        callbacks += [kn.ProjectWeights()] if "use_ema" in others else []
    else:
        callbacks.append(kn.SparsitySchedule(0.8, 0, 2))
    model.fit(*data(), batch_size=16, epochs=4, callbacks=callbacks, verbose=0)
    if "ema_overwrite_frequency" not in others:  # which Keras writes after the constraint
        assert watch.seen[-1] == pytest.approx([0.8] * 4, abs=1e-3)
    assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_the_pattern_holds_in_half_precision(policy):
    model = network(policy)
    kn.prune(model, 0.8)
    model.fit(*data(), epochs=1, verbose=0)
    for path, share in zeros(model).items():
        size = kernels(model)[path].size
        assert share == pytest.approx(1 - round(size * 0.2) / size, abs=1e-6)


def test_two_of_four_goes_along_the_inputs_and_depthwise_kernels_are_listed():
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2D(8, 3, name="conv"),
            layers.Conv2DTranspose(4, 3, name="up"),
            layers.Flatten(),
            layers.Dense(10, name="head"),
        ],
        name="net",
    )
    changes = kn.constrain(model, kn.SparseNM(2, 4))
    axes = {change.path: change.after.axis for change in changes}
    assert axes == {"net/conv/kernel": 2, "net/up/kernel": 3, "net/head/kernel": 0}
    assert [each.path for each in changes.skipped] == ["net/depthwise/kernel"]
    assert "no axis of inputs" in str(changes.skipped[0])
    assert not kn.audit(model).findings
    for change in changes:
        w = np.moveaxis(kernels(model)[change.path], change.after.axis, -1)
        assert (np.count_nonzero(w.reshape(-1, 4), axis=1) <= 2).all()


def test_two_of_four_goes_along_the_last_axis_of_inputs():
    attention = keras.layers.MultiHeadAttention(2, 8, name="attention")
    x = keras.layers.Input((5, 16))
    model = keras.Model(x, attention(x, x))
    with pytest.warns(kn.KerasNormsWarning, match="will be lost"):  # one attribute, four kernels
        changes = kn.constrain(model, kn.SparseNM(2, 4), where="kernel")
    axes = {c.path.split("/")[-2]: (c.layout, c.after.axis) for c in changes}
    assert axes["attention_output"] == ("in in unit", 1)
    assert axes["query"] == ("in unit unit", 0)


class Mixing(keras.layers.Layer):
    """A layer of which no layout is known."""

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 8), name="matrix")
        self.shift = self.add_weight(shape=(8,), name="shift")

    def call(self, x):
        return keras.ops.matmul(x, self.matrix) + self.shift


def test_a_weight_of_unknown_layout_is_pruned_if_it_is_named():
    model = keras.Sequential([keras.layers.Input((16,)), Mixing(name="mix")], name="net")
    with pytest.raises(ValueError, match="no layout is known for Mixing"):
        kn.prune(model, 0.5)
    with pytest.warns(kn.KerasNormsWarning, match="will be lost"):  # it has no kernel_constraint
        changes = kn.prune(model, 0.5, where="mix/")
    assert [change.path for change in changes] == ["net/mix/matrix"]
    assert [each.path for each in changes.skipped] == ["net/mix/shift"]
    assert {f.code for f in kn.audit(model).findings} <= {"not-saved"}


def test_half_precision_is_no_finding_for_zeros():
    model = network("float16")
    kn.prune(model, 0.5)
    assert not kn.audit(model).findings


def test_audit_finds_what_is_wrong_with_sparse_weights():
    model = network()
    kn.prune(model, 0.5, where="head")
    kn.constrain(model, kn.SparseNM(2, 4, axis=1), where="hidden/kernel", axis="own")
    model.get_layer("head").kernel.assign(np.ones((32, 4)))
    found = {(f.code, f.path) for f in kn.audit(model).findings}
    assert found == {("violated", "net/head/kernel"), ("wrong-axis", "net/hidden/kernel")}
    shown = {w.path: w.columns for w in kn.audit(model).weights}
    assert shown["net/head/kernel"]["zeros"] == 0
    assert shown["net/hidden/kernel"]["zeros"] == pytest.approx(0.5)
    assert "zeros" in str(kn.audit(model))


def test_audit_says_that_quantization_has_taken_a_mask_away():
    model = network()
    kn.prune(model, 0.5, where="hidden")
    kn.freeze_zeros(model, where="hidden")
    model.get_layer("hidden").quantize("int8")
    assert [f.code for f in kn.audit(model).findings] == ["quantized"]


def test_the_history_has_the_share_of_zeros():
    model = network()
    kn.prune(model, 0.75)
    history = model.fit(*data(), epochs=2, callbacks=[kn.NormHistory()], verbose=0)
    assert history.history["zeros/net/hidden/kernel"] == pytest.approx([0.75, 0.75], abs=1e-3)


def test_a_bias_is_pruned_by_a_constraint_of_its_own():
    model = network()
    with pytest.raises(ValueError, match=r"it is no kernel: name it in `keras_norms\.constrain`"):
        kn.prune(model, 0.5, where="hidden/bias")
    kn.constrain(model, kn.Sparse(0.5), where="hidden/bias", axis="own")


def test_without_its_constraints_a_file_loads_where_the_package_is_missing(tmp_path):
    model = network()
    kn.prune(model, 0.9)
    kn.regularize(model, kn.L2(1e-4))
    kn.constrain(model, None, where="")
    kn.regularize(model, None, where="")
    path = tmp_path / "model.keras"
    model.save(path)
    code = f"""
import sys
sys.modules["keras_norms"] = None  # whoever imports it gets an ImportError
import keras
model = keras.saving.load_model({str(path)!r})
print(float((model.get_layer("hidden").get_weights()[0] == 0).mean()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    assert float(done.stdout.split()[-1]) == pytest.approx(0.9, abs=1e-3)


def test_freezing_lists_what_it_leaves_out():
    layers = [keras.layers.Dense(3), keras.layers.Dense(2)]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    kn.prune(model, 0.5)
    model.layers[1].trainable = False
    changes = kn.freeze_zeros(model)
    assert [each.path for each in changes.skipped] == [model.layers[1].kernel.path]
