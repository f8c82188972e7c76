"""Findings: every trap is found, its healthy twin is silent, and its fix works when pasted."""

import ast
import dataclasses
import pathlib
import warnings

import keras
import numpy as np
import pytest
from older_keras import REFUSES_THE_WRONG_KIND, TAKES_NO_FUNCTION, fails_before
from own_classes import Remembers
from traps import REBUILT, TRAPS, conv, dense, fitted, model_of, theirs
from whole_models import L, batch, fit, kernels

import keras_norms as kn
import keras_norms.auditing
from keras_norms.models.weights import contents_of


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """The fix of "not-saved" writes a file."""
    monkeypatch.chdir(tmp_path)


def found(model):
    return {(f.code, f.severity) for f in kn.audit(model).findings}


def parameters(names):
    """Names of traps. An older Keras refuses some of these itself."""
    mark = fails_before((3, 15), REFUSES_THE_WRONG_KIND)
    refused = ("wrong-kind", "wrong-kind, a constraint")
    return [pytest.param(name, marks=mark if name in refused else ()) for name in names]


@pytest.mark.parametrize("name", parameters(TRAPS))
def test_the_trap_is_found_and_the_healthy_twin_is_silent(name):
    severity, trap, healthy = TRAPS[name]
    code = name.split(",")[0]
    assert (code, severity) in found(trap())
    # Initial weights may be outside, and what a user's layer is given is not saved.
    assert found(healthy()) <= ({("not-saved", "warning")} if code == "unknown-layout" else set())


@pytest.mark.parametrize("name", parameters(name for name in TRAPS if name not in REBUILT))
def test_the_fix_works_when_it_is_pasted(name):
    code = name.split(",")[0]
    model = TRAPS[name][1]()
    fixes = {f.fix for f in kn.audit(model).findings if f.code == code}
    if code == "not-saved":
        model.save("model.keras")
        (fix,) = fixes
        exec(fix, {"model": model, "kn": kn})
        model = keras.saving.load_model("model.keras")
        (kernel,) = kernels(model).values()
        assert kernel.constraint is None
        assert kernel.regularizer is None
        exec(fix.partition("after loading, ")[2], {"model": model, "kn": kn})
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
    files = pathlib.Path(keras_norms.auditing.__file__).parent.glob("*_findings.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    strings = {n.value for n in nodes if isinstance(n, ast.Constant)}
    calls = [n for n in nodes if isinstance(n, ast.Call)]
    made = [c for c in calls if getattr(c.func, "id", None) == "Finding"]
    tested = {name.split(",")[0] for name in TRAPS}
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


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_a_constraint_of_the_user_is_reached_through_the_model():
    import dataclasses

    @keras.saving.register_keras_serializable("test_audit")
    @dataclasses.dataclass(frozen=True)
    class Halved(kn.constraints.Constraint):
        axis: int = 0

        def compute_projection(self, w, axes):
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
    assert "rate=0.5 4 times per update, which makes it 0.938" in finding.message  # 1 - 0.5**4
    exec(finding.fix, {"model": model, "kn": kn})
    assert kn.audit(model).findings == ()
    assert model.layers[0].kernel.constraint == kn.Chain(
        kn.NonNeg(), kn.MinMaxNorm(0.0, 9.0, rate=1.0)
    )


def test_a_kernel_that_is_overwritten_has_no_axis_to_judge():
    inner = L.Conv2D(4, 3, kernel_constraint=kn.MaxNorm(9.0))
    model = keras.Sequential([L.Input((8, 8, 3)), L.SpectralNormalization(inner)])
    assert {f.code for f in kn.audit(model).findings} == {"overwritten"}


def half(w):
    return w * 0.5


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_a_function_that_is_lost_must_be_registered():
    model = dense()
    model.layers[0].kernel.constraint = half
    (finding,) = [f for f in kn.audit(model).findings if f.code == "not-saved"]
    assert finding.fix.startswith("# make half known by `keras.saving.register_keras_serializable`")
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


def test_an_equal_setting_in_the_attribute_is_applied():
    model = dense(kernel_constraint=kn.MaxNorm(9.0))
    model.layers[0].kernel_constraint = kn.MaxNorm(9.0)  # another object
    assert kn.audit(model).findings == ()


def test_another_setting_in_the_attribute_is_one_finding():
    model = dense(kernel_constraint=kn.MaxNorm(9.0))
    model.layers[0].kernel_constraint = kn.MaxNorm(8.0)
    assert found(model) == {("not-applied", "error")}


def test_averages_that_are_not_taken_yet_are_not_judged():
    model = dense(kernel_constraint=kn.MinMaxNorm(0.01, 9.0))
    model.compile(keras.optimizers.SGD(use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)  # where they are zero, outside the set
    assert found(model) == set()


def test_errors_come_before_warnings():
    model = dense(kernel_constraint=kn.MaxNorm(0.1, axis=None))  # whole-tensor and violated
    model.layers[0].bias.constraint = None
    model.layers[0].kernel_regularizer = kn.L2(0.1)  # not-applied, which is asked later
    severities = [f.severity for f in kn.audit(model).findings]
    assert severities == ["error", "warning", "warning"]


def test_a_class_of_the_users_with_a_name_of_keras_is_theirs():
    class MaxNorm(keras.constraints.Constraint):
        """Halves, whatever its name says."""

        axis = 0

        def __call__(self, w):
            return w * 0.5

        def get_config(self):
            return {"max_value": 1.0}

    model = conv(kernel_constraint=MaxNorm())
    codes = {f.code for f in kn.audit(model).findings}
    assert "wrong-axis" not in codes  # which is about norms
    (weight,) = kn.audit(model).weights
    norm = np.asarray(keras.ops.convert_to_numpy(model.layers[0].kernel))
    assert weight.excess == pytest.approx(np.linalg.norm(norm, axis=0).max() / 2, rel=1e-6)


def test_singular_values_are_those_of_rows_and_of_columns():
    table = {
        "embeddings_constraint": kn.MaxSpectralNorm(9.0),
        "embeddings_regularizer": kn.SpectralRegularizer(0.1),
    }
    assert kn.audit(model_of(L.Embedding(5, 3, **table))).findings == ()


class Parsing(L.Layer):
    """Keeps the arguments from which it makes its settings."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.kernel_constraint = "max_norm"
        self.kernel_regularizer = 1e-3

    def build(self, shape):
        constraint = keras.constraints.get(self.kernel_constraint)
        penalty = keras.regularizers.L2(self.kernel_regularizer)
        self.kernel = self.add_weight(
            shape=(shape[-1], 3), name="kernel", constraint=constraint, regularizer=penalty
        )

    def call(self, x):
        return x @ self.kernel


def test_arguments_are_no_settings():
    model = model_of(Parsing(name="own"))
    assert [f.code for f in kn.audit(model).findings] == ["unknown-layout"]
    with pytest.warns(kn.KerasNormsWarning, match="will be lost"):
        kn.regularize(model, kn.L2(0.1), where="own")
    assert model.layers[0].kernel_regularizer == 1e-3


def test_equal_settings_of_keras_are_applied():
    layer = L.Dense(4, kernel_constraint=theirs.MaxNorm(9.0))
    model = model_of(layer)
    layer.kernel.constraint = theirs.MaxNorm(9.0)
    assert kn.audit(model).findings == ()


def test_a_weight_of_float8_is_trained_and_so_constrained():
    model = dense(kernel_constraint=kn.MaxNorm(9.0))
    model.layers[0].quantize("float8")
    assert model.layers[0].kernel.trainable
    assert kn.audit(model).findings == ()
    model.layers[0].kernel.trainable = False
    model.layers[0].kernel.assign(np.full((8, 4), 9.0, "float32"))
    assert found(model) == {("frozen", "error")}


def test_a_shared_layer_is_there_once():
    shared = L.Dense(8, activity_regularizer=kn.L2(0.1), name="shared")
    inputs = L.Input((8,))
    parts = [keras.Sequential([shared, L.Dense(2)]) for _ in "ab"]
    model = keras.Model(inputs, L.Add()([part(inputs) for part in parts]))
    layers = [layer for layer, _ in contents_of(model).layers]
    assert len(layers) == len({id(layer) for layer in layers})


def test_a_fix_tells_a_layer_from_one_in_a_model_of_the_same_name():
    inner = keras.Sequential([L.Conv1D(3, 2, name="conv")], name="net")
    outer = L.Conv1D(3, 2, name="conv", kernel_constraint=kn.MaxNorm(9.0))
    inputs = L.Input((9, 3))
    model = keras.Model(inputs, inner(outer(inputs)), name="net")
    paths = [v.path for v in kernels(model).values()]
    assert len(set(paths)) == 2
    (finding,) = [f for f in kn.audit(model).findings if f.code == "wrong-axis"]
    exec(finding.fix, {"model": model, "kn": kn})
    assert outer.kernel.constraint.axis == (0, 1)
    assert inner.layers[0].kernel.constraint is None


def test_a_fix_names_a_layer_whose_name_has_a_quote():
    layer = L.Conv2D(4, 3, name='a"b', kernel_constraint=Remembers(9.0))
    model = keras.Sequential([L.Input((8, 8, 3)), layer])
    (finding,) = [f for f in kn.audit(model).findings if f.code == "wrong-axis"]
    exec(finding.fix, {"model": model, "kn": kn})
    assert model.layers[0].kernel.constraint.axis == (0, 1, 2)


def test_a_late_constraint_of_keras_with_a_wrong_axis():
    model = model_of(L.Dense(4))
    model.layers[0].kernel_constraint = keras.constraints.MaxNorm(3, axis=1)
    (finding,) = kn.audit(model).findings
    assert finding.code == "not-applied"
    exec(finding.fix, {"model": model, "kn": kn, "keras": keras})
    assert model.layers[0].kernel.constraint == kn.MaxNorm(3)


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_a_constraint_that_makes_nan_of_a_finite_weight_is_what_is_to_blame():
    model = dense(kernel_constraint=lambda w: w / 0)
    (finding,) = kn.audit(model).errors
    assert finding.code == "not-finite"
    assert "makes NaN or infinity of it, although it is finite" in finding.message
    before = model.get_weights()
    exec(finding.fix, {"model": model, "kn": kn, "keras": keras})
    assert not kn.audit(model).findings
    assert all(map(np.array_equal, model.get_weights(), before))


@pytest.mark.parametrize(
    "constraint",
    [kn.NonNeg(), keras.constraints.NonNeg(), kn.Sparse(), kn.Chain(kn.Sparse(), kn.NonNeg())],
)
def test_a_set_that_is_the_same_in_half_precision_is_no_finding(constraint):
    model = dense(kernel_constraint=constraint, dtype="float16", kernel_initializer="zeros")
    assert not kn.audit(model).findings


@dataclasses.dataclass(frozen=True)
class Nearly(kn.constraints.Constraint):
    """Norms of at most 1, found by iterations that stop early."""

    axis: int = 0
    inexactness = 1e-2

    def compute_projection(self, w, axes):
        moved = kn.MaxNorm(1.0, axes)(w)
        return keras.ops.where(moved == w, w, 1.005 * moved)

    def compute_excess(self, w, axes):
        return kn.MaxNorm(1.0, axes).compute_excess(w, axes)


def test_what_a_map_by_iterations_leaves_is_no_violation():
    model = dense(kernel_constraint=Nearly(), kernel_initializer="ones")
    kn.project(model)
    assert found(model) == {("not-saved", "warning")}  # its class is not registered
