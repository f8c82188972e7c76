"""Audit: its numbers are those of NumPy and of Keras, in every form."""

import json
import math

import keras
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from traps import conv, dense, not_finite, theirs
from whole_models import BUILDERS, L, assert_within, batch, fit, kernels, unit_norms

import keras_norms as kn
from keras_norms import keras_internals
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES
from keras_norms.models import measures, weights


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
    made = [variable for metric in model.metrics for variable in metric.variables]
    assert not any(keras.ops.convert_to_numpy(variable).any() for variable in made)
    for before, variable in zip(start, moving, strict=True):
        np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(variable))
    outputs = {k: keras.ops.convert_to_numpy(v) for k, v in model(x).items()}
    assert loss == pytest.approx(sum(((outputs[k] - y[k]) ** 2).mean() for k in y), rel=1e-5)


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
    monkeypatch.setattr(measures, "PART", 16)
    parts = kn.audit(model)
    for whole, part in zip(wholes.weights, parts.weights, strict=True):
        np.testing.assert_allclose(np.sort(part.norms), np.sort(whole.norms), rtol=1e-6)
        assert part.excess == pytest.approx(whole.excess, rel=1e-6)


def test_a_loss_that_is_not_finite_though_all_weights_and_penalties_are():
    model = BUILDERS["sequential"]()
    kn.regularize(model, kn.L2(0.5), where=lambda layer, v: v is model.layers[0].kernel)
    model.compile("sgd", "mse")
    x, y = batch(model)
    y[0, 0] = np.inf
    report = kn.audit(model, x, y)
    (finding,) = report.errors
    assert (finding.code, finding.path) == ("not-finite", model.name)
    assert finding.message.startswith("the loss on this batch is inf, although all weights")
    assert report.share(report.weights[0].penalty) is None
    assert not kn.audit(model, x).errors


def test_penalties_and_their_shares():
    model = BUILDERS["sequential"]()
    kn.regularize(model, kn.L2(0.5), where=lambda layer, v: v is model.layers[0].kernel)
    model.layers[1].activity_regularizer = kn.L1(0.25)
    model.compile("sgd", "mse")
    x, y = batch(model)
    report = kn.audit(model, x, y)
    w = np.asarray(model.layers[0].kernel, "float64")
    outputs = np.asarray(model.predict(x, verbose=0), "float64")
    size = len(x) if DIVIDES_ACTIVITY_PENALTIES else 1
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
    with pytest.raises(ValueError, match=r"needs a compiled model.*call `model\.compile`"):
        kn.audit(model, x, y)
    with pytest.raises(ValueError, match="`y` needs `x`"):
        kn.audit(model, y=y)
    with pytest.raises(TypeError, match=r"`keras\.saving\.load_model` reads a file"):
        kn.audit("model.keras")
    with pytest.raises(TypeError, match=r"layer\. Received: 3"):
        kn.audit(3)
    with pytest.raises(ValueError, match="must be built"):
        kn.audit(keras.Sequential([L.Dense(2)]))
    for no_batch in ((x for _ in "ab"), keras.Input((4,)), object()):
        with pytest.raises(TypeError, match=r"one batch of inputs.*`next\(iter\(x\)\)\[0\]`"):
            kn.audit(model, no_batch)


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
    assert "c\\|d&lt;e" in markdown
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


def test_the_picture_of_a_model_without_constraints():
    (axes,) = kn.audit(BUILDERS["sequential"]()).plot().axes
    assert [len(d.get_offsets()) for d in axes.collections] == [6, 2]
    assert not axes.lines


def test_progress_sees_every_weight():
    seen = []

    def progress(weights):
        for weight in weights:
            seen.append(weight.path)
            yield weight

    model = BUILDERS["convolutional"]()
    kn.audit(model, progress=progress)
    assert set(kernels(model)) <= set(seen)


def test_a_constraint_that_ours_would_refuse():
    model = dense(kernel_constraint=theirs.MaxNorm(-1.0))
    report = kn.audit(model)
    assert "MaxNorm" in str(report)
    assert report.weights[0].excess is None
    assert [finding.code for finding in report.findings] == ["bad-argument"]


def test_a_fit_model_is_silent():
    model = BUILDERS["convolutional"]()
    kn.constrain(model, kn.MaxNorm(0.5))
    model.compile(keras.optimizers.SGD(0.1, clipnorm=10.0), "mse")
    fit(model)
    assert_within(kernels(model), 0.5)
    assert kn.audit(model).findings == ()


def test_a_loss_that_cannot_be_computed_is_refused_alike():
    def broken(y, predicted):
        raise RuntimeError("in the loss")

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)], name="m")
    model.compile("sgd", broken)
    with pytest.raises(ValueError, match=r"loss of m cannot be computed .*: in the loss"):
        kn.audit(model, np.ones((3, 4), "float32"), np.ones((3, 2), "float32"))


@pytest.mark.parametrize(("dtype", "beyond"), [("float64", 1e-10), ("float32", 1e-4)])
def test_an_excess_counts_from_the_rounding_of_its_dtype_on(dtype, beyond):
    w = np.array([[0.6], [0.8]]) * (1 + beyond)
    w = keras.ops.convert_to_tensor(w.astype(dtype))
    if keras.backend.standardize_dtype(w.dtype) != dtype:
        pytest.skip("JAX has float64 only if x64 is enabled")
    assert measures.worst_excess(kn.MaxNorm(1.0), w) == pytest.approx(beyond, rel=1e-2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_rounding_leaves_outside_is_no_excess(dtype):
    w = kn.MaxNorm(0.7)(keras.ops.convert_to_tensor(np.ones((33, 8)), dtype=dtype))
    assert measures.worst_excess(kn.MaxNorm(0.7), w) == 0


@pytest.mark.parametrize(("dtype", "beyond"), [("float16", 1e-3), ("bfloat16", 8e-3)])
def test_half_precision_hides_no_more_than_it_rounds(dtype, beyond):
    """Norms are computed in float32, so that only the rounding of each entry is left."""
    w = np.full((1024, 1), (1 + beyond) / 32)
    w = keras.ops.convert_to_tensor(w, dtype=dtype)
    norm = np.linalg.norm(np.asarray(keras.ops.cast(w, "float32"), "float64"))
    assert measures.worst_excess(kn.MaxNorm(1.0), w) == pytest.approx(norm - 1, rel=1e-3)


def test_a_mask_is_kept_or_not_in_half_precision():
    mask = kn.FixedMask(np.arange(512)[:, None] % 4 > 0)
    w = keras.ops.convert_to_tensor(np.ones((512, 64)), dtype="bfloat16")
    assert measures.worst_excess(mask, w) == pytest.approx(math.sqrt(512 * 64 / 4))
    assert measures.worst_excess(mask, mask(w)) == 0


@pytest.mark.parametrize("constraint", [kn.MaxSpectralNorm(1.0), kn.Orthogonal()])
def test_what_a_set_of_singular_values_promises_is_no_excess(constraint):
    w = np.random.default_rng(0).standard_normal((64, 69)).astype("float32")
    w = constraint(keras.ops.convert_to_tensor(w))
    assert measures.worst_excess(constraint, w) == 0
    assert measures.worst_excess(constraint, w * 1.0001) > 0


def test_a_class_that_overrides_call_only_is_asked_about_the_whole_weight(monkeypatch):
    monkeypatch.setattr(measures, "PART", 16)

    class Frobenius(kn.constraints.Constraint):
        def __call__(self, w):
            return w / keras.ops.maximum(keras.ops.norm(w), 1.0)

    w = keras.ops.convert_to_tensor(np.full((8, 8), 1.3 / 8, "float32"))
    assert measures.worst_excess(Frobenius(), w) == pytest.approx(0.3 / 8, rel=1e-3)


def test_constraints_of_keras_are_measured_in_float32():
    w = keras.ops.convert_to_tensor(np.full((3, 1), 1.0), dtype="float16")
    excess = measures.excess_of(theirs.MaxNorm(1.0), w)
    assert excess == pytest.approx([3**0.5 - 1], rel=1e-6)


def test_one_bad_axis_does_not_hide_the_others():
    model = keras.Sequential(
        [
            L.Input((8, 8, 3)),
            L.Conv2D(4, 3, kernel_constraint=kn.MaxNorm(9.0, axis=7), name="bad"),
            L.Conv2D(4, 3, kernel_constraint=theirs.MaxNorm(9.0), name="wrong"),
        ]
    )
    found = [
        (f.code, f.path.rpartition("/")[0].rpartition("/")[2]) for f in kn.audit(model).findings
    ]
    assert found == [("cannot-apply", "bad"), ("wrong-axis", "wrong")]
    model.compile("sgd", "mse")
    with pytest.raises(Exception, match=r"axis=7 for the weight \S*bad/kernel"):
        model.fit(np.ones((2, 8, 8, 3)), np.ones((2, 4, 4, 4)), verbose=0)


def test_filters_beyond_a_bound_of_other_groups_are_red():
    """Under Keras' default axis, each group is in its set, and filters are not."""
    model = conv(kernel_constraint=theirs.MaxNorm(0.5))
    kn.project(model)
    report = kn.audit(model)
    assert report.weights[0].excess == 0
    assert report.weights[0].norms.min() > 0.5
    (dots,) = report.plot().axes[0].collections
    assert {tuple(color[:3]) for color in dots.get_facecolor()} == {to_rgb("tab:red")}


def test_the_page_shows_findings_first_and_fixes_as_code():
    page = trapped_page()
    assert page.index("wrong-axis") < page.index("<table>")
    assert "<code>kn.constrain(model" in page


def trapped_page():
    return kn.audit(trapped())._repr_html_()


def test_the_prompt_shows_tables(monkeypatch):
    report = kn.audit(trapped())
    assert repr(report) == str(report)
    monkeypatch.setenv("COLUMNS", "80")
    table = str(report).partition("1 error")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert {weight.path for weight in report.weights} <= set(table.splitlines())  # unbroken
    monkeypatch.setenv("COLUMNS", "500")
    (line,) = [line for line in str(report).splitlines() if line.startswith("weight ")]
    assert "constraint" in line


def test_an_audit_equals_itself_alone():
    model = keras.Sequential([L.Input((4,)), L.Dense(3)])
    one, two = kn.audit(model), kn.audit(model)
    assert one == one
    assert one != two
    assert len({one, two, *one.weights}) == 3


def test_a_weight_without_entries():
    layer = L.Conv2D(8, 3, kernel_constraint=kn.MaxNorm(1.0))
    model = keras.Sequential([L.Input((9, 9, 0)), layer])
    assert kn.audit(model).weights[0].shape == (3, 3, 0, 8)


def test_a_constraint_of_outputs_is_found_with_data_too():
    layer = L.Dense(3, activity_regularizer=kn.MaxNorm(0.1))
    model = keras.Sequential([L.Input((4,)), layer])
    model.compile("sgd", "mse")
    x, y = np.ones((2, 4), "float32"), np.ones((2, 3), "float32")
    assert [f.code for f in kn.audit(model, x, y).findings] == ["wrong-kind"]
    steps = L.TimeDistributed(L.Dense(3, activity_regularizer=kn.MaxNorm(0.1)))
    model = keras.Sequential([L.Input((2, 4)), steps])
    assert [f.code for f in kn.audit(model).findings] == ["wrong-kind"]


@pytest.mark.parametrize("axis", [0, 5])
def test_the_fix_of_a_late_constraint_has_the_right_axis(axis):
    model = keras.Sequential([L.Input((8, 8, 2)), L.Conv2D(4, 3)])
    model.layers[0].kernel_constraint = kn.MaxNorm(9.0, axis=axis)
    (finding,) = kn.audit(model).findings
    exec(finding.fix, {"model": model, "kn": kn})
    assert not kn.audit(model).findings


class Skips(L.Layer):
    """Holds all layers before it, as one with dense skip connections does."""

    def __init__(self, earlier):
        super().__init__()
        self.earlier, self.inner = list(earlier), L.Dense(2)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


def test_each_layer_is_looked_into_once(monkeypatch):
    layers = []
    for _ in range(12):
        layers.append(Skips(layers))
    model = keras.Sequential([L.Input((2,)), *layers])
    looked_into = []

    def children_of(layer):
        looked_into.append(layer)
        return keras_internals.children_of(layer)

    monkeypatch.setattr(weights, "children_of", children_of)
    found = dict(weights.contents_of(model).layers)
    assert len(looked_into) == len(set(map(id, looked_into))) == len(found)
    assert found[layers[0].inner] == (model, *layers[::-1])
    assert found[layers[-1]] == (model,)


class OwnLoss(keras.Model):
    """Computes its loss as Keras 3.0 asked for, and has a layer of another kind of state."""

    def __init__(self):
        super().__init__()
        self.dense, self.stateful = L.Dense(1, kernel_regularizer=kn.L2(1.0)), True
        self.states = ["none of a recurrent layer"]

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x, y, y_pred, sample_weight):
        return super().compute_loss(x, y, y_pred, sample_weight)


def test_a_loss_of_the_users_own():
    model = OwnLoss()
    x, y = np.ones((2, 3), "float32"), np.zeros((2, 1), "float32")
    model.compile("sgd", "mse")
    expected = model.evaluate(x, y, verbose=0)
    assert kn.audit(model, x, y).loss == pytest.approx(expected, rel=1e-6)


def test_a_constraint_that_fails_has_no_averages():
    model = keras.Sequential([L.Input((3,)), L.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    model.layers[0].kernel.constraint = keras.constraints.MaxNorm(axis=5)
    assert "cannot-apply" in {f.code for f in kn.audit(model).findings}


@pytest.mark.parametrize("size", [1e-3, 1e-2, 1.0])
@pytest.mark.parametrize(
    "constraint", [keras.constraints.UnitNorm(), keras.constraints.MinMaxNorm(0.5, 1.0)]
)
def test_what_an_epsilon_of_keras_leaves_is_not_violated(constraint, size):
    layer = L.Dense(4, kernel_constraint=constraint)
    model = keras.Sequential([L.Input((8,)), layer])
    start = np.random.default_rng(0).standard_normal((8, 4))
    start *= size / np.linalg.norm(start, axis=0)
    for settle in (
        lambda: layer.kernel.assign(constraint(layer.kernel)),
        lambda: kn.project(model),
    ):
        layer.kernel.assign(start)
        settle()
        assert "violated" not in {f.code for f in kn.audit(model).findings}
    norms = np.linalg.norm(keras.ops.convert_to_numpy(layer.kernel), axis=0)
    assert norms.min() >= 0.5 * (1 - 1e-6), "projected exactly"
    layer.kernel.assign(start * (0.4 / size))
    assert "violated" in {f.code for f in kn.audit(model).findings}


def test_a_norm_that_keras_only_lowers_has_no_such_allowance():
    layer = L.Dense(1, kernel_constraint=keras.constraints.MaxNorm(1.0))
    model = keras.Sequential([L.Input((4,)), layer])
    layer.kernel.assign(np.full((4, 1), 0.5 * (1 + 5e-5)))
    assert "violated" in {f.code for f in kn.audit(model).findings}


def test_a_penalty_of_outputs_that_is_infinite():
    dense = L.Dense(4, activity_regularizer=keras.regularizers.L2(1.0), name="dense")
    model = keras.Sequential([L.Input((8,)), dense], name="m")
    dense.kernel.assign(np.full((8, 4), 1e15))
    x = np.full((2, 8), 1e15, "float32")
    (finding,) = kn.audit(model, x).findings
    assert (finding.code, finding.path) == ("not-finite", "m/dense/activity")
    assert "its outputs by L2(l2=1.0) is inf, and so is the loss" in finding.message
    assert finding.fix.startswith('model.get_layer("dense").activity_regularizer = kn.L2(l2=1.0); ')
    dense.kernel.assign(np.full((8, 4), np.nan))
    assert [f.path for f in kn.audit(model, x).findings] == ["m/dense/kernel"]


def test_an_argument_that_keras_computes_with_is_no_mistake():
    bound = keras.Variable(2.0)
    model = keras.Sequential([L.Input((8,)), L.Dense(4)], name="m")
    model.layers[0].kernel.constraint = keras.constraints.MaxNorm(bound)
    assert "bad-argument" not in {f.code for f in kn.audit(model).findings}
