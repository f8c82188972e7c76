"""Audit: every finding has a trap that it finds, a healthy twin where it is silent, and a fix."""

import ast
import json
import pathlib
import warnings

import keras
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from whole_models import BUILDERS, L, assert_within, batch, fit, kernels, unit_norms

import keras_norms as kn
from keras_norms import model_findings, sets, weight_findings

theirs = keras.constraints
# Trainers of JAX call the model in a scope of its own, and lose more penalties.
STATELESS = keras.backend.backend() == "jax"


def model_of(*layers, shape=(8,), compiled=None):
    model = keras.Sequential([L.Input(shape), *layers])
    if compiled is not None:
        model.compile(compiled, "mse")
    return model


def conv(**arguments):
    return model_of(L.Conv2D(4, 3, **arguments), shape=(8, 8, 3))


def dense(**arguments):
    return model_of(L.Dense(4, **arguments))


def at_once(model, **arguments):
    kn.constrain(model, kn.MaxNorm(0.5), **arguments)
    return model


def attribute_only():
    model = dense()
    model.layers[0].kernel_constraint = kn.MaxNorm(9.0)
    return model


def penalty_attribute_only():
    model = dense()
    model.layers[0].kernel_regularizer = keras.regularizers.L2(0.1)
    return model


def frozen(bound):
    model = dense(kernel_constraint=kn.MaxNorm(bound))
    model.layers[0].trainable = False
    return model


def with_lora(constraint):
    model = dense()
    model.layers[0].enable_lora(2)
    model.layers[0]._kernel.constraint = constraint
    return model


def quantized(**arguments):
    model = dense(**arguments)
    model.layers[0].quantize("int8")
    return model


def wrapped(inner, **arguments):
    return model_of(L.TimeDistributed(L.Dense(2, **inner)), shape=(3, 2))


def cell(**arguments):
    step = L.LSTMCell(2)
    step.activity_regularizer = arguments.get("penalty")
    return model_of(L.RNN(step), shape=(3, 2))


def fitted(**arguments):
    model = model_of(L.Dense(2, kernel_constraint=kn.MaxNorm(0.5)))
    model.compile(keras.optimizers.SGD(0.1, clipnorm=10.0, use_ema=True, ema_momentum=0.5), "mse")
    fit(model, epochs=2, **arguments)
    return model


def accumulating(rate):
    model = dense(kernel_constraint=kn.MinMaxNorm(0.0, 9.0, rate=rate))
    model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4), "mse")
    return model


def variable_only():
    model = dense()
    model.layers[0].kernel.constraint = kn.MaxNorm(9.0)
    return model


def variable_penalty_only():
    model = dense()
    model.layers[0].kernel.regularizer = kn.L2(0.1)
    return model


class Own(L.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2), constraint=theirs.MaxNorm(9.0))

    def call(self, x):
        return x @ self.matrix


def unknown():
    class Unknown(Own):
        pass

    return model_of(Unknown())


def known():
    class Known(Own):
        pass

    kn.register_layout(Known, matrix="in unit")
    return model_of(Known())


# code: severity, the trap, its healthy twin
def not_finite(value):
    model = dense(kernel_constraint=kn.MaxNorm(9.0))
    model.layers[0].kernel.assign(np.full((8, 4), value, "float32"))
    return model


TRAPS = {
    "wrong-axis, Keras' default on a convolution": (
        "error",
        lambda: conv(kernel_constraint=theirs.MaxNorm(9.0)),
        lambda: conv(kernel_constraint=theirs.MaxNorm(9.0, axis=[0, 1, 2])),
    ),
    "wrong-axis, ours in a chain": (
        "error",
        lambda: conv(kernel_constraint=kn.Chain(kn.Clip(-9, 9), kn.MaxNorm(9.0))),
        lambda: conv(kernel_constraint=kn.Chain(kn.Clip(-9, 9), kn.MaxNorm(9.0, axis=(0, 1, 2)))),
    ),
    "wrong-axis, an embedding": (
        "error",
        lambda: model_of(L.Embedding(5, 3, embeddings_constraint=theirs.MaxNorm(9.0))),
        lambda: model_of(L.Embedding(5, 3, embeddings_constraint=theirs.MaxNorm(9.0, axis=1))),
    ),
    "wrong-axis, one row of electrodes": (  # axis 0 has length 1: each weight is clipped
        "error",
        lambda: model_of(
            L.DepthwiseConv2D((1, 6), depthwise_constraint=theirs.MaxNorm(9.0)), shape=(9, 6, 2)
        ),
        lambda: model_of(
            L.DepthwiseConv2D((6, 1), depthwise_constraint=theirs.MaxNorm(9.0)), shape=(6, 9, 2)
        ),
    ),
    "whole-tensor": (
        "warning",
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0, axis=None)),
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0)),
    ),
    "not-applied": ("error", attribute_only, lambda: dense(kernel_constraint=kn.MaxNorm(9.0))),
    "not-applied, a penalty": (
        *("error", penalty_attribute_only),
        lambda: dense(kernel_regularizer=keras.regularizers.L2(0.1)),
    ),
    "frozen": ("error", lambda: frozen(0.1), lambda: frozen(9.0)),
    "lora": ("error", lambda: with_lora(kn.MaxNorm(9.0)), lambda: with_lora(None)),
    "quantized": (
        *("warning", lambda: quantized(kernel_constraint=kn.MaxNorm(9.0))),
        quantized,
    ),
    "violated": (
        "warning",
        lambda: dense(kernel_constraint=kn.MaxNorm(0.1)),
        lambda: at_once(dense()),
    ),
    "half-precision": (
        "warning",
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0), dtype="float16"),
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0), dtype="mixed_float16"),
    ),
    "batch-of-weights": (
        "warning",
        lambda: dense(kernel_regularizer=kn.BatchMean(kn.L2(0.1))),
        lambda: dense(activity_regularizer=kn.BatchMean(kn.L2(0.1))),
    ),
    "unreachable": (
        "warning",
        lambda: dense(kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1)),
        lambda: dense(kernel_regularizer=kn.OrthogonalRegularizer(0.1, mode="columns")),
    ),
    "unreachable, columns of a wide kernel": (
        "warning",
        lambda: model_of(L.Dense(9, kernel_regularizer=kn.OrthogonalRegularizer(0.1, "columns"))),
        lambda: model_of(L.Dense(9, kernel_regularizer=kn.OrthogonalRegularizer(0.1, "rows"))),
    ),
    "unknown-layout": ("warning", unknown, known),
    "activity-dropped": (
        "error",
        lambda: wrapped({"activity_regularizer": kn.L2(0.1)}),
        lambda: wrapped({"kernel_regularizer": kn.L2(0.1)}),
    ),
    "not-finite": ("error", lambda: not_finite(np.nan), lambda: not_finite(1.0)),
    "not-finite, infinity": ("error", lambda: not_finite(np.inf), lambda: not_finite(1.0)),
    "averages": ("error", fitted, lambda: fitted(callbacks=[kn.ProjectWeights()])),
    "repeated-rate": ("warning", lambda: accumulating(0.5), lambda: accumulating(1.0)),
    "not-saved": ("warning", variable_only, lambda: dense(kernel_constraint=kn.MaxNorm(9.0))),
    "not-saved, a penalty": (
        *("warning", variable_penalty_only),
        lambda: dense(kernel_regularizer=kn.L2(0.1)),
    ),
}
if STATELESS:
    TRAPS["activity-dropped, of a cell"] = (
        "error",
        lambda: cell(penalty=kn.L2(0.1)),
        lambda: model_of(L.LSTM(2, activity_regularizer=kn.L2(0.1)), shape=(3, 2)),
    )
# The fix of these is for another model: one that is built again, and one that is loaded.
REBUILT = {"half-precision"}


def found(model):
    return {(f.code, f.severity) for f in kn.audit(model).findings}


@pytest.mark.parametrize("name", TRAPS)
def test_the_trap_is_found_and_the_healthy_twin_is_silent(name):
    severity, trap, healthy = TRAPS[name]
    code = name.split(",")[0]
    assert (code, severity) in found(trap())
    # Initial weights may be outside, and what a user's layer is given is not saved.
    assert found(healthy()) <= ({("not-saved", "warning")} if code == "unknown-layout" else set())


@pytest.mark.parametrize("name", [name for name in TRAPS if name not in REBUILT])
def test_the_fix_works_when_it_is_pasted(name, tmp_path):
    code = name.split(",")[0]
    model = TRAPS[name][1]()
    fixes = {f.fix for f in kn.audit(model).findings if f.code == code}
    if code == "not-saved":
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
        (kernel,) = kernels(model).values()
        assert kernel.constraint is None
        assert kernel.regularizer is None
        exec(*fixes, {"model": model, "kn": kn, "keras": keras})
        assert kernel.constraint == kn.MaxNorm(9.0) or kernel.regularizer == kn.L2(0.1)
        return
    for fix in fixes:
        exec(fix, {"model": model, "kn": kn, "keras": keras})
    assert code not in {f.code for f in kn.audit(model).findings}


def test_the_fix_for_half_precision():
    (finding,) = kn.audit(TRAPS["half-precision"][1]()).findings
    policy = keras.config.dtype_policy()
    try:
        exec(finding.fix, {"keras": keras})
        model = dense(kernel_constraint=kn.MaxNorm(9.0))
    finally:
        keras.config.set_dtype_policy(policy)
    assert model.layers[0].kernel.dtype == "float32"
    assert found(model) == set()


def test_every_code_has_a_trap():
    files = [pathlib.Path(module.__file__) for module in (weight_findings, model_findings)]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    strings = {n.value for n in nodes if isinstance(n, ast.Constant)}
    calls = [n for n in nodes if isinstance(n, ast.Call)]
    made = [c for c in calls if getattr(c.func, "id", None) == "Finding"]
    tested = {name.split(",")[0] for name in TRAPS}
    assert len(made) <= len(tested)
    assert tested <= strings, "a code is tested that is not there"
    for call in made:
        words = {n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)}
        assert words <= tested, f"{words} has no trap"


def test_an_axis_fix_keeps_the_bound_and_the_class():
    model = conv(kernel_constraint=kn.MinMaxNorm(0.5, 0.75, rate=0.5))
    (finding,) = [f for f in kn.audit(model).findings if f.code == "wrong-axis"]
    exec(finding.fix, {"model": model, "kn": kn})
    assert model.layers[0].kernel.constraint == kn.MinMaxNorm(0.5, 0.75, 0.5, axis=(0, 1, 2))
    assert model.layers[0].kernel_constraint == model.layers[0].kernel.constraint


def test_a_constraint_of_the_user_is_reached_through_the_model():
    import dataclasses

    @keras.saving.register_keras_serializable("test_audit")
    @dataclasses.dataclass(frozen=True)
    class Halved(kn.constraints.Constraint):
        axis: int = 0

        def _project(self, w, axes):
            return w * 0.5

    model = conv(kernel_constraint=Halved())
    (finding,) = [f for f in kn.audit(model).findings if f.code == "wrong-axis"]
    exec(finding.fix, {"model": model, "kn": kn})
    assert model.layers[0].kernel.constraint == Halved((0, 1, 2))
    # A function has no axis to judge, but is put where it was meant.
    model = dense()

    def abs_of(w):
        return keras.ops.abs(w)

    model.layers[0].kernel_constraint = abs_of
    (finding,) = [f for f in kn.audit(model).findings if f.code == "not-applied"]
    with pytest.warns(UserWarning, match="will be lost when the model is saved"):
        exec(finding.fix, {"model": model, "kn": kn})
    assert model.layers[0].kernel.constraint is abs_of


def test_the_penalty_of_the_outermost_model():
    """Whether it is lost is asked of `fit`; the finding must say the same."""
    model = BUILDERS["subclassed"]()
    model.activity_regularizer = kn.L2(1.0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x, y = batch(model)
    outputs = model.predict(x, verbose=0)
    data = ((outputs - y) ** 2).mean()
    lost = abs(model.fit(x, y, batch_size=8, verbose=0).history["loss"][0] / data - 1) < 1e-4
    dropped = [f for f in kn.audit(model).findings if f.code == "activity-dropped"]
    assert bool(dropped) == lost
    for finding in dropped:
        names = {"model": model, "kn": kn, "keras": keras}
        exec(finding.fix, names)
        model = names["model"]
        model.compile(keras.optimizers.SGD(0.0), "mse")
        loss = model.fit(x, y, batch_size=8, verbose=0).history["loss"][0]
        size = 8 if kn.regularizers.KERAS_DIVIDES_BY_BATCH else 1
        assert loss == pytest.approx(data + (outputs**2).sum() / size, rel=1e-5)
        assert not [f for f in kn.audit(model).findings if f.code == "activity-dropped"]


def test_dropped_penalties_are_really_dropped_and_then_not():
    model = TRAPS["activity-dropped"][1]()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.ones((4, 3, 2), "float32")
    y = model.predict(x, verbose=0)
    assert model.fit(x, y, verbose=0).history["loss"][0] < 1e-12
    assert model.evaluate(x, y, verbose=0) < 1e-12
    exec(kn.audit(model).findings[0].fix, {"model": model})
    size = 4 if kn.regularizers.KERAS_DIVIDES_BY_BATCH else 1
    expected = 0.1 * (y.astype("float64") ** 2).sum() / size
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.fit(x, y, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_a_penalty_deep_inside_is_not_moved_to_other_outputs():
    inner = keras.Sequential([L.Dense(3, activity_regularizer=kn.L2(0.1)), L.Dense(2)])
    model = model_of(L.TimeDistributed(inner), shape=(3, 2))
    (finding,) = kn.audit(model).findings
    exec(finding.fix, {"model": model})
    assert kn.audit(model).findings == ()
    assert model.layers[0].activity_regularizer is None


def test_several_outputs_and_nothing_moves():
    inputs = {name: L.Input((3,), 4, name=name) for name in "ab"}
    states = L.LSTM(2, stateful=True)(L.Reshape((1, 6))(L.Concatenate()(list(inputs.values()))))
    outputs = {"one": L.Dense(1, name="one")(states), "two": L.Dense(2, name="two")(states)}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    x = {name: np.ones((4, 3), "float32") for name in "ab"}
    y = {"one": np.ones((4, 1), "float32"), "two": np.ones((4, 2), "float32")}
    (recurrent,) = [layer for layer in model.layers if isinstance(layer, L.LSTM)]
    model(x)  # from here on, states are not zero
    moving = [*model.non_trainable_variables, *recurrent.states]
    start = [np.array(keras.ops.convert_to_numpy(v)) for v in moving]
    assert all(state.any() for state in start[-2:])
    loss = kn.audit(model, x, y).loss
    for before, variable in zip(start, moving, strict=True):
        np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(variable))
    outputs = {k: keras.ops.convert_to_numpy(v) for k, v in model(x).items()}
    assert loss == pytest.approx(sum(((outputs[k] - y[k]) ** 2).mean() for k in y), rel=1e-5)


def test_fixes_for_weights_with_the_same_path():
    parts = [L.Conv2D(2, 3, name="head", kernel_constraint=theirs.MaxNorm(b)) for b in (8.0, 9.0)]
    inputs = L.Input((8, 8, 3))
    tops = [keras.Sequential([part])(inputs) for part in parts]
    model = keras.Model(inputs, L.Add()(tops))
    for part in parts:
        part.kernel._path = "head/kernel"
    for finding in kn.audit(model).findings:
        exec(finding.fix, {"model": model, "kn": kn})
    assert [part.kernel.constraint.max_value for part in parts] == [8.0, 9.0]
    assert kn.audit(model).findings == ()


def test_two_unknown_weights_of_a_class_keep_both_layouts():
    class Both(L.Dense):
        def build(self, shape):
            super().build(shape)
            for name in ("first", "second"):
                weight = self.add_weight(shape=(4, 2), name=name, constraint=theirs.MaxNorm(9.0))
                setattr(self, name, weight)

    model = model_of(Both(2))
    fixes = [f.fix for f in kn.audit(model).findings if f.code == "unknown-layout"]
    assert len(fixes) == 2
    for fix in fixes:
        exec(fix, {"model": model, "kn": kn})
    assert not [f for f in kn.audit(model).findings if f.code == "unknown-layout"]
    assert kn.unit_axes(model.layers[0], "kernel") == (0,)


def test_frozen_weights_have_no_fix_that_is_refused():
    model = conv(kernel_constraint=theirs.MaxNorm(9.0))
    model.layers[0].trainable = False
    assert kn.audit(model).findings == ()


def test_a_rate_inside_a_chain_and_another_optimizer():
    chain = kn.Chain(kn.NonNeg(), kn.MinMaxNorm(0.0, 9.0, rate=0.5))
    model = dense(kernel_constraint=chain)
    inner = keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    model.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    (finding,) = kn.audit(model).findings
    assert finding.code == "repeated-rate"
    exec(finding.fix, {"model": model, "kn": kn})
    assert kn.audit(model).findings == ()
    assert model.layers[0].kernel.constraint == kn.Chain(
        kn.NonNeg(), kn.MinMaxNorm(0.0, 9.0, rate=1.0)
    )


def half(w):
    return w * 0.5


def test_a_function_that_is_lost_is_not_removed_by_its_fix():
    model = dense()
    model.layers[0].kernel.constraint = half
    (finding,) = [f for f in kn.audit(model).findings if f.code == "not-saved"]
    exec(finding.fix, {"model": model, "kn": kn})
    assert model.layers[0].kernel.constraint is half


class Listed(L.Layer):
    def build(self, shape):
        self.parts = [self.add_weight(shape=(shape[-1], 2), name="part")]

    def call(self, x):
        return x @ self.parts[0]


def test_the_fix_reaches_a_weight_in_a_list():
    model = model_of(Listed())
    (weight,) = model.layers[0].parts
    weight.assign(np.full((8, 2), np.nan, "float32"))
    (finding,) = kn.audit(model).findings
    exec(finding.fix, {"model": model, "keras": keras})
    assert kn.audit(model).findings == ()


def test_numbers_that_json_lacks():
    data = json.dumps(kn.audit(not_finite(np.inf)).to_dict(), allow_nan=False)
    (weight,) = json.loads(data)["weights"]
    assert weight["norm"]["max"] is None
    assert weight["excess"] is None  # not 0, which is inside


@pytest.mark.parametrize("name", BUILDERS)
def test_norms_are_those_of_numpy_and_nothing_changes(name):
    model = BUILDERS[name]()
    start = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    report = kn.audit(model)
    assert {w.path for w in report.weights} == set(kernels(model))
    for weight in report.weights:
        expected = unit_norms(kernels(model)[weight.path], weight.path)
        np.testing.assert_allclose(np.sort(weight.norms), np.sort(expected.ravel()), rtol=1e-6)
    for before, variable in zip(start, model.variables, strict=True):
        np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(variable))


def test_a_weight_is_looked_at_in_parts(monkeypatch):
    """Whatever the size of the parts, each group is measured whole."""
    model = BUILDERS["convolutional"]()
    for variable in kernels(model).values():
        variable.constraint = kn.MaxNorm(0.25, axis=0)
    wholes = kn.audit(model)
    monkeypatch.setattr(sets, "PART", 16)
    parts = kn.audit(model)
    for whole, part in zip(wholes.weights, parts.weights, strict=True):
        np.testing.assert_allclose(np.sort(part.norms), np.sort(whole.norms), rtol=1e-6)
        assert part.excess == pytest.approx(whole.excess, rel=1e-6)


def test_penalties_and_their_shares():
    model = BUILDERS["sequential"]()
    kn.regularize(model, kn.L2(0.5), where=lambda layer, v: v is model.layers[0].kernel)
    model.layers[1].activity_regularizer = kn.L1(0.25)
    model.compile("sgd", "mse")
    x, y = batch(model)
    report = kn.audit(model, x, y)
    w = np.asarray(model.layers[0].kernel, "float64")
    outputs = np.asarray(model.predict(x, verbose=0), "float64")
    size = len(x) if kn.regularizers.KERAS_DIVIDES_BY_BATCH else 1
    weight, activity = 0.5 * (w**2).sum(), 0.25 * np.abs(outputs).sum() / size
    loss = ((outputs - y) ** 2).mean() + weight + activity
    assert report.weights[0].penalty == pytest.approx(weight, rel=1e-6)
    assert report.activities == {f"{model.layers[1].path}/activity": pytest.approx(activity)}
    assert report.loss == pytest.approx(loss, rel=1e-5)
    assert report.loss == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
    assert report.share(report.weights[0].penalty) == pytest.approx(weight / loss, rel=1e-5)
    assert kn.audit(model).share(weight) is None
    assert kn.audit(model, x).loss is None
    model.layers[0].trainable = False  # Keras leaves its penalty out
    assert kn.audit(model).weights[0].penalty is None


def test_bad_arguments():
    model = BUILDERS["sequential"]()
    x, y = batch(model)
    with pytest.raises(ValueError, match="`y` needs `x`, and a compiled model"):
        kn.audit(model, x, y)
    with pytest.raises(ValueError, match="`y` needs `x`"):
        kn.audit(model, y=y)
    with pytest.raises(TypeError, match="must be a Keras model or layer"):
        kn.audit("model.keras")
    with pytest.raises(ValueError, match="must be built"):
        kn.audit(keras.Sequential([L.Dense(2)]))


def trapped():
    model = conv(kernel_constraint=theirs.MaxNorm(0.5), name="c|d<e")
    model.compile("sgd", "mse")
    return model


def test_every_form_says_the_same():
    report = kn.audit(trapped())
    (finding, *_) = report.findings
    data = json.loads(json.dumps(report.to_dict()))
    assert data["findings"][0]["code"] == "wrong-axis"
    assert data["weights"][0]["groups"] == 4
    assert data["weights"][0]["norm"]["max"] == pytest.approx(float(report.weights[0].norms.max()))
    text, markdown, page = str(report), report.to_markdown(), report._repr_html_()
    assert f"fix: {finding.fix}" in text
    assert "c\\|d<e" in markdown
    assert "c|d&lt;e" in page
    for form in (text, markdown, page):
        assert "1 error, 0 warnings" in form
        assert "y x in unit" in form
    assert "0 errors, 0 warnings" in str(kn.audit(dense()))


def test_the_picture_shows_every_norm_and_bound():
    model = BUILDERS["sequential"]()
    first, second = (layer.kernel for layer in model.layers)
    kn.constrain(model, kn.MinMaxNorm(0.25, 0.5), where=lambda layer, v: v is first)
    second.constraint = kn.MaxNorm(0.1)  # violated
    (axes,) = kn.audit(model).plot().axes
    dots = axes.collections
    assert [len(d.get_offsets()) for d in dots] == [6, 2]
    np.testing.assert_allclose(
        np.sort(dots[1].get_offsets()[:, 0]), np.sort(unit_norms(second)), rtol=1e-6
    )
    bars = sorted(float(line.get_xdata()[0]) for line in axes.lines)
    assert bars == [0.1, 0.25, 0.5]
    for dot, color in zip(dots, ("tab:blue", "tab:red"), strict=True):
        shown = dot.get_facecolors()[:, :3]
        np.testing.assert_array_equal(shown, np.broadcast_to(to_rgb(color), shown.shape))


def test_progress_sees_every_weight():
    seen = []

    def progress(weights):
        for weight in weights:
            seen.append(weight.path)
            yield weight

    model = BUILDERS["convolutional"]()
    kn.audit(model, progress=progress)
    assert set(kernels(model)) <= set(seen)


def test_a_fit_model_is_silent():
    model = BUILDERS["convolutional"]()
    kn.constrain(model, kn.MaxNorm(0.5))
    model.compile(keras.optimizers.SGD(0.1, clipnorm=10.0), "mse")
    fit(model)
    assert_within(kernels(model), 0.5)
    assert kn.audit(model).findings == ()


def test_averages_that_jax_has_thrown_away():
    """`fit` and then `evaluate` leave JAX' averages without a buffer; no crash, and projected."""
    model = fitted()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.evaluate(*batch(model), verbose=0)
    assert ("averages", "error") in found(model)
    kn.project(model)
    assert ("averages", "error") not in found(model)
    fit(model)
