"""constrain, regularize and project: on models of every build, and at every time."""

import warnings

import keras
import numpy as np
import pytest
from older_keras import TAKES_NO_FUNCTION, fails_before
from traps import branching
from whole_models import BUILDERS, L, assert_within, batch, fit, kernels, quietly, unit_norms

import keras_norms as kn
from keras_norms import warning
from keras_norms.keras_internals import children_of
from keras_norms.models import weights

BOUND = 0.5


def sgd():
    return keras.optimizers.SGD(0.1, clipnorm=10.0)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_unit_is_bounded_at_once_and_after_training(name):
    model = BUILDERS[name]()
    assert max(unit_norms(v).max() for v in kernels(model).values()) > BOUND
    changes = quietly(kn.constrain, model, kn.MaxNorm(BOUND))
    assert {change.path for change in changes} == set(kernels(model))
    assert_within(kernels(model), BOUND)
    model.compile(sgd(), "mse")
    before = {path: keras.ops.convert_to_numpy(v).copy() for path, v in kernels(model).items()}
    fit(model)
    assert_within(kernels(model), BOUND)
    moved = [path for path, v in kernels(model).items() if (before[path] != np.asarray(v)).any()]
    assert set(moved) == set(kernels(model)), "a kernel was not trained, so nothing was shown"


@pytest.mark.parametrize("function", [kn.audit, kn.project, lambda m: kn.constrain(m, kn.NonNeg())])
def test_a_model_is_walked_once(function, monkeypatch):
    model = BUILDERS["nested"]()
    quietly(kn.constrain, model, kn.MaxNorm(9.0))
    walked = []

    def counted(layer):
        walked.append(layer.name)
        return children_of(layer)

    monkeypatch.setattr(weights, "children_of", counted)
    function(model)
    assert sorted(walked) == sorted(set(walked))


def test_a_penalty_is_added_and_removed():
    model = BUILDERS["convolutional"]()
    model.compile(sgd(), "mse")
    fit(model)
    x, y = batch(model)
    plain = model.evaluate(x, y, verbose=0)
    kn.regularize(model, kn.L2(0.5), where=L.Conv2D)
    (conv,) = [layer for layer in model.layers if isinstance(layer, L.Conv2D)]
    penalty = 0.5 * (np.asarray(conv.kernel, "float64") ** 2).sum()
    # The loss is a float32 sum of some hundred terms.
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), plain + penalty, rtol=1e-5)
    kn.regularize(model, None, where=L.Conv2D)
    assert conv.kernel_regularizer is None
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), plain, rtol=1e-6)


def test_twice_replaces_and_says_so():
    model = BUILDERS["sequential"]()
    kn.constrain(model, kn.MaxNorm(3.0))
    changes = kn.constrain(model, kn.UnitNorm())
    assert str(changes[0]).endswith(
        "UnitNorm(axis=0), in place of MaxNorm(max_value=3.0, axis=0, ord=2)"
    )
    assert model.layers[0].kernel.constraint == kn.UnitNorm()
    kn.constrain(model, keras.constraints.UnitNorm(), axis="own")
    changes = kn.constrain(model, kn.UnitNorm())
    assert str(changes[0]).endswith("UnitNorm(axis=0), in place of Keras' own")
    removed = kn.constrain(model, None, where="kernel")
    assert [change.after for change in removed] == [None, None]
    assert model.layers[0].kernel.constraint is None
    assert model.layers[0].kernel_constraint is None


def test_own_axis_and_constraints_of_keras():
    model = BUILDERS["sequential"]()
    whole = kn.MaxNorm(0.5, axis=None)
    kn.constrain(model, whole, axis="own")
    assert model.layers[0].kernel.constraint == whole
    norms = [np.linalg.norm(np.asarray(v, "float64")) for v in kernels(model).values()]
    np.testing.assert_allclose(norms, 0.5, rtol=1e-6)
    theirs = keras.constraints.MaxNorm(0.25)
    kn.constrain(model, theirs, axis="own")
    assert_within(kernels(model), 0.25)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"constraint": kn.MaxNorm(axis=(0, 1))}, ValueError, "axis of its own.*axis='unit'"),
        (
            {"constraint": kn.Chain(kn.NonNeg(), kn.MaxNorm(axis=1))},
            *(ValueError, "axis of its own"),
        ),
        ({"constraint": lambda w: w}, TypeError, "constraints whose axis can be changed"),
        ({"constraint": keras.constraints.MaxNorm(axis=1)}, ValueError, "an axis of its own"),
        ({"constraint": keras.constraints.MaxNorm(-1)}, ValueError, "Received: max_value=-1"),
        ({"constraint": kn.L2()}, TypeError, "`keras_norms.regularize` sets penalties"),
        ({"constraint": kn.L2(), "axis": "own"}, TypeError, "`keras_norms.regularize` sets"),
        ({"constraint": kn.MaxNorm(), "where": [L.Dense]}, TypeError, "a tuple of classes, not"),
        (
            {"constraint": kn.MaxNorm(), "where": ["a", "b"]},
            *(TypeError, r'names, where=r"\(\^\|/\)\(a\|b\)/"'),
        ),
        ({"constraint": kn.MaxNorm(), "unknown": "no"}, ValueError, "Received: unknown='no'"),
        ({"constraint": kn.MaxNorm(axis=2), "axis": "own"}, ValueError, "must lie in"),
        ({"constraint": kn.MaxNorm(), "axis": 0}, ValueError, "Received: axis=0"),
        (
            {"constraint": kn.MaxNorm(), "axis": (0, 1, 2)},
            ValueError,
            r"given to the setting: MaxNorm\(axis=\(0, 1, 2\)\)",
        ),
        ({"constraint": kn.MaxNorm(), "axis": "units"}, ValueError, "Received: axis='units'"),
        ({"constraint": kn.MaxNorm(), "where": "nothing"}, ValueError, "must select a weight"),
        ({"constraint": kn.MaxNorm(), "where": "["}, ValueError, "must be a regular expression"),
        ({"constraint": kn.MaxNorm(), "where": 3}, TypeError, "Received: where=3"),
        ({"constraint": kn.MaxNorm(), "where": int}, TypeError, "Received: where=<class 'int'>"),
        ({"constraint": kn.MaxNorm(), "where": L.Conv2D}, ValueError, "must select a weight"),
        ({"constraint": kn.MaxNorm(), "where": "bias"}, ValueError, "one number per unit"),
        ({"constraint": None}, ValueError, "explicit `where`.*Received: constraint=None, where"),
        ({"constraint": 3}, TypeError, "Received: 3"),
        (
            {"constraint": kn.MaxNorm(), "where": L.Dense(2, name="a")},
            TypeError,
            r'where=r"\^\(a\)/"',
        ),
        (
            {"constraint": keras.constraints.MaxNorm(axis=3), "axis": "own"},
            *(ValueError, "cannot be applied to"),
        ),
        (
            {"constraint": lambda w: w[0, 0], "axis": "own"},
            *(ValueError, r"must keep the shape \(8, 6\).* Received: shape=\(\)"),
        ),
        (
            {"constraint": lambda w: w[:1], "axis": "own"},
            *(ValueError, r"must keep the shape \(8, 6\)"),
        ),
    ],
)
def test_bad_arguments(arguments, error, message):
    model = BUILDERS["sequential"]()
    start = [np.asarray(v) for v in model.variables]
    with pytest.raises(error, match=message):
        kn.constrain(model, **arguments)
    assert all((a == np.asarray(v)).all() for a, v in zip(start, model.variables, strict=True))
    assert all(v.constraint is None for v in kernels(model).values())


def test_a_penalty_that_is_no_number_is_refused():
    model = BUILDERS["sequential"]()
    with pytest.raises(ValueError, match=r"must return one number.* Received: shape=\(8, 6\)"):
        kn.regularize(model, keras.ops.square)
    assert model.layers[0].kernel.regularizer is None


def test_models_that_have_no_weights_yet_or_are_none():
    with pytest.raises(ValueError, match="must be built"):
        kn.constrain(keras.Sequential([L.Dense(2)]), kn.MaxNorm())
    with pytest.raises(TypeError, match="must be a Keras model or layer"):
        kn.constrain([L.Dense(2)], kn.MaxNorm())
    with pytest.raises(ValueError, match="No weight of the model has a constraint"):
        kn.project(BUILDERS["sequential"]())
    with pytest.raises(ValueError, match="which have no batch"):
        kn.regularize(BUILDERS["sequential"](), kn.BatchMean(kn.L2()) + kn.L1())


def test_a_constraint_that_is_only_called():
    class Called(kn.constraints.Constraint):
        def __call__(self, w):
            return w * 0.5

    model = BUILDERS["sequential"]()
    before = np.asarray(model.layers[0].kernel)
    quietly(kn.constrain, model, Called())
    np.testing.assert_array_equal(np.asarray(model.layers[0].kernel), before * 0.5)


def test_other_layers_keep_what_they_hold():
    class Block(L.Layer):
        def __init__(self):
            super().__init__()
            self.kernel_regularizer = "for later"
            self.dense = L.Dense(2)

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            return self.dense(x)

    block = Block()
    model = keras.Sequential([L.Input((8,)), block, L.Dense(2, name="head")])
    kn.regularize(model, kn.L2(0.1), where="head/kernel")
    assert block.kernel_regularizer == "for later"


def test_swapped_arguments():
    model = BUILDERS["sequential"]()
    with pytest.raises(TypeError, match=r"The model comes first.* Received: MaxNorm"):
        kn.constrain(kn.MaxNorm(), model)
    with pytest.raises(TypeError, match=r"The model comes first.* Received: L2"):
        kn.regularize(kn.L2(), model)
    with pytest.raises(TypeError, match=r"`keras_norms\.constrain` sets constraints"):
        kn.regularize(model, kn.MaxNorm())


def test_a_weight_that_is_not_finite():
    model = BUILDERS["sequential"]()
    model.layers[0].kernel.assign(np.full((8, 6), np.nan, "float32"))
    with pytest.warns(kn.KerasNormsWarning, match="has NaN or infinite entries"):
        kn.constrain(model, kn.MaxNorm())


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_project_enforces_exactly_even_what_a_step_only_approaches():
    model = BUILDERS["sequential"]()
    for variable in kernels(model).values():
        variable.constraint = kn.MinMaxNorm(0.0, 0.5, rate=0.1)
    model.layers[0].trainable = False  # Keras would not, but it was asked for now
    assert kn.project(model) == [v.path for v in kernels(model).values()]
    assert_within(kernels(model), 0.5)
    model.layers[1].kernel.constraint = lambda w: w * 0
    kn.project(model)
    assert not np.asarray(model.layers[1].kernel).any()


class Frozen(L.Layer):
    """A weight that was made so that it is not trained."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(6, 5), name="kernel", trainable=False)

    def call(self, x):
        return x @ self.kernel


def test_a_weight_that_was_made_frozen_counts_once_it_is_trained():
    model = keras.Sequential([L.Input((6,)), Frozen(name="frozen"), L.Dense(3, name="head")])
    assert [c.path.split("/")[-2] for c in kn.constrain(model, kn.MaxNorm(0.1))] == ["head"]
    model.layers[0].kernel.trainable = True
    with pytest.warns(kn.KerasNormsWarning, match="no layout is known for Frozen"):
        changes = kn.constrain(model, kn.MaxNorm(0.1))
    assert [s.path.split("/")[-2] for s in changes.skipped] == ["frozen"]


def test_lora_of_a_quantized_layer_is_trained_and_constrained():
    model = keras.Sequential([L.Input((6,)), L.Dense(5, name="head")])
    model.layers[0].quantize("int8")
    model.layers[0].enable_lora(2)
    with pytest.warns(kn.KerasNormsWarning, match="lost when the model is saved"):
        changes = kn.constrain(model, kn.Clip(-0.01, 0.01), where="")
    assert {c.path.split("/")[-1] for c in changes} == {"bias", "lora_kernel_a", "lora_kernel_b"}
    assert [s.path.split("/")[-1] for s in changes.skipped] == ["kernel"]


def test_a_layer_that_was_never_called_is_listed():
    changes = kn.constrain(branching(trains=False), kn.MaxNorm(1.0))
    assert [c.path.split("/")[-1] for c in changes] == ["kernel"]
    assert [s.reason for s in changes.skipped] == [
        "this layer was never called, so it has no weights yet"
    ]
    assert not kn.constrain(branching(trains=False), kn.MaxNorm(1.0), where="head/kernel").skipped
    with pytest.raises(ValueError, match=r"normalization.* was never called"):
        kn.constrain(branching(trains=False), kn.MaxNorm(1.0), where=L.Normalization)
    flips = keras.Sequential([L.RandomFlip()])  # has no weights, and is never built
    model = keras.Sequential([L.Input((6,)), L.Dense(3)])
    model.augment = flips
    assert not kn.constrain(model, kn.MaxNorm(1.0)).skipped


def test_a_model_that_is_not_built_is_refused_although_a_layer_is():
    encoder = L.Dense(4)
    encoder.build((None, 6))
    with pytest.raises(ValueError, match="The model must be built"):
        kn.constrain(keras.Sequential([encoder, L.Dense(3)]), kn.MaxNorm(1.0))


def unknown_layer():
    class Unknown(L.Layer):
        def build(self, shape):
            self.matrix = self.add_weight(shape=(6, 5), name="matrix")

        def call(self, x):
            return x @ self.matrix

    return keras.Sequential([L.Input((6,)), Unknown(), L.Dense(3)])


@pytest.mark.parametrize(
    "call",
    [
        lambda model: kn.constrain(model, kn.MaxNorm(1.0)),
        lambda model: kn.regularize(model, kn.L2(0.1)),
        lambda model: kn.prune(model, 0.5),
    ],
)
def test_a_warning_points_at_the_call(call):
    with pytest.warns(kn.KerasNormsWarning) as caught:
        call(unknown_layer())
    ours = [warning for warning in caught if warning.category is kn.KerasNormsWarning]
    assert {warning.filename for warning in ours} == {__file__}


def test_weights_whose_sum_overflows_are_finite():
    model = keras.Sequential([L.Input((2,)), L.Dense(1, use_bias=False)])
    model.set_weights([np.full((2, 1), 3e38, "float32")])
    with warnings.catch_warnings():
        warnings.simplefilter("error", kn.KerasNormsWarning)
        kn.constrain(model, kn.NonNeg())


def test_a_warning_points_into_a_package_whose_name_begins_alike():
    names = {"__name__": "keras_norms_of_the_user", "warn": warning.warn}
    exec(compile("def f():\n    warn('x')\n", "user.py", "exec"), names)
    with pytest.warns(kn.KerasNormsWarning) as seen:
        names["f"]()
    assert seen[0].filename == "user.py"


def test_layers_without_weights_inside_of_a_class_are_listed():
    class Block(L.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.first, self.never = L.Dense(3), L.Dense(3, name="never")

        def build(self, shape):
            self.first.build(shape)

        def call(self, x):
            return self.first(x)

    model = keras.Sequential([L.Input((2,)), Block()])
    for where in (Block, L.Dense, None):
        (skipped,) = quietly(kn.constrain, model, kn.MaxNorm(9.0), where=where).skipped
        assert "never" in skipped.path


def test_classes_of_a_scope_are_known_where_a_layer_is_made_again():
    class Own(L.Dense):
        def __init__(self, units, bound=None, **kwargs):
            super().__init__(units, **kwargs)
            self.bound = bound

        def get_config(self):
            return super().get_config() | {"bound": keras.saving.serialize_keras_object(self.bound)}

        @classmethod
        def from_config(cls, config):
            config["bound"] = keras.saving.deserialize_keras_object(config["bound"])
            return super().from_config(config)

    class Bound(keras.constraints.Constraint):
        pass

    model = keras.Sequential([L.Input((2,)), Own(3, Bound())])
    with keras.saving.custom_object_scope({"Bound": Bound}):
        (change,) = kn.constrain(model, kn.MaxNorm(9.0))
    assert change.saved


def test_a_set_without_a_point_of_that_shape_changes_nothing():
    class Empty(L.Layer):
        def build(self, shape):
            self.full = self.add_weight(shape=(shape[-1], 2), name="full")
            self.empty = self.add_weight(shape=(0, 3), name="empty")

        def call(self, x):
            return keras.ops.matmul(x, self.full)

    kn.register_layout(Empty, full="in unit", empty="in unit")
    model = keras.Sequential([L.Input((6,)), Empty(name="layer")])
    with pytest.raises(ValueError, match=r"cannot sum to 1.*for the weight .*layer/empty"):
        kn.constrain(model, kn.Simplex())
    assert [v.constraint for v in model.trainable_variables] == [None, None]
    quietly(kn.constrain, model, kn.MinMaxNorm(0.5, 1.0))
    assert not [f for f in kn.audit(model).findings if f.code == "violated"]


@pytest.mark.parametrize(
    "penalty", [kn.OrthogonalRegularizer(), kn.OrthogonalRegularizer() + kn.L2()]
)
def test_a_penalty_without_a_meaning_for_that_shape_changes_nothing(penalty):
    class Scale(L.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), name="scale")

        def call(self, x):
            return self.scale * x

    model = keras.Sequential([L.Input((6,)), Scale(name="layer")])
    with pytest.raises(ValueError, match=r"needs vectors.* for the weight .*layer/scale"):
        kn.regularize(model, penalty, where="scale")
    assert model.trainable_variables[0].regularizer is None


def test_weights_of_a_frozen_model_are_frozen_whatever_their_layers_say():
    model = keras.Sequential([L.Input((4,)), L.Dense(3, kernel_regularizer=kn.L2(1.0))])
    model.trainable = False
    model.layers[0].trainable = True
    model.compile("sgd", "mse")
    assert model.losses == []
    assert kn.audit(model).weights[0].penalty is None
    with pytest.raises(ValueError, match="frozen"):
        kn.constrain(model, kn.MaxNorm(1.0))
