"""What a saved model keeps of its settings, and what is said of it, are the same."""

import dataclasses
import warnings
from typing import Any

import keras
import numpy as np
import pytest
from older_keras import TAKES_NO_FUNCTION, fails_before
from test_layouts import arguments_of, build, layer_classes
from whole_models import BUILDERS, L, quietly

import keras_norms as kn
from keras_norms.constraints import Constraint
from keras_norms.models import saving, selection, weights
from keras_norms.setting import same

BOUND = 0.5


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("kind", ["constraint", "regularizer"])
def test_what_is_said_of_saving_is_true(name, kind, tmp_path):
    model = BUILDERS[name]()
    setting, function = (
        (kn.MaxNorm(BOUND), kn.constrain) if kind == "constraint" else (kn.L2(0.1), kn.regularize)
    )
    changes = quietly(function, model, setting)
    copies = [keras.models.clone_model(model)] if name != "subclassed" else []
    path = tmp_path / "model.keras"
    model.save(path)
    copies.append(keras.saving.load_model(path, custom_objects={type(model).__name__: type(model)}))
    for copy in copies:
        if name == "subclassed":
            copy(np.zeros((1, 8), "float32"))
        kept = [getattr(v, kind) == c.after for v, c in zip(_in_order(copy), changes, strict=True)]
        assert kept == [change.saved for change in changes]
    lost = {change.path for change in changes if not change.saved}
    if name == "subclassed":  # its `__init__` makes plain layers anew
        assert len(lost) == len(changes)
    elif name == "attention" and kind == "constraint":  # one attribute, four different axes
        assert len(lost) == 8
    else:
        assert not lost


def _in_order(model):
    """The kernels in the order of the layers, whose names may differ in a copy."""
    return [w.variable for w in selection.select(weights.contents_of(model).weights, None)]


@pytest.mark.parametrize("name", [n for n in layer_classes() if arguments_of(n) is not None])
def test_every_weight_of_every_layer_is_kept_or_named(name):
    layer = getattr(L, name)(**arguments_of(name))
    build(layer)
    for kind, function, setting in (
        ("constraint", lambda *a, **k: kn.constrain(*a, axis="own", **k), kn.NonNeg()),
        ("regularizer", kn.regularize, kn.L1(0.5)),
    ):
        changes = quietly(function, layer, setting, where="")
        twin = type(layer).from_config(layer.get_config())
        build(twin)
        found = [getattr(w.variable, kind) for w in weights.contents_of(twin).weights]
        assert [setting == f for f in found] == [change.saved for change in changes]


@dataclasses.dataclass(frozen=True)
class Weighted(Constraint):
    """Its `==` compares arrays, and says neither True nor False."""

    scale: Any = 1.0

    def compute_projection(self, w, axes):
        return w


@pytest.mark.parametrize(
    "make", [keras.constraints.NonNeg, kn.NonNeg, lambda: Weighted(np.array([1.0, 2.0]))]
)
def test_equal_settings_of_attention_are_one_argument(make, tmp_path):
    """Also if their `==` does not say so."""

    def attention(constraint=None):
        inputs = L.Input((5, 8))
        layer = L.MultiHeadAttention(2, 4, kernel_constraint=constraint)
        return keras.Model(inputs, layer(inputs, inputs)), layer

    objects = {"Weighted": Weighted}
    with keras.saving.custom_object_scope(objects):
        kn.save_settings(attention(make())[0], tmp_path / "settings.json")
    model, layer = attention()
    kn.load_settings(model, tmp_path / "settings.json", custom_objects=objects)
    kernels = [w for w in model.weights if w.path.endswith("kernel")]
    assert [type(w.constraint) for w in kernels] == [type(make())] * 4
    assert type(layer._kernel_constraint) is type(make())


@pytest.mark.parametrize(
    "make", [lambda: keras.constraints.MaxNorm(1.0), lambda: Weighted(np.array([1.0, 2.0]))]
)
def test_the_same_again_is_in_place_of_nothing_else(make):
    model = keras.Sequential([keras.layers.Input((4,)), L.Dense(2)])
    with keras.saving.custom_object_scope({"Weighted": Weighted}):
        for _ in "ab":
            (change,) = kn.constrain(model, make(), axis="own")
            assert "in place of" not in str(change)


def test_settings_that_nothing_compares_are_not_the_same():
    @dataclasses.dataclass(frozen=True)
    class NoConfig(keras.regularizers.Regularizer):
        scale: Any

        def __call__(self, w):
            return keras.ops.sum(w)

    model = keras.Sequential([keras.layers.Input((4,)), L.Dense(2)])
    for _ in "ab":
        changes = quietly(kn.regularize, model, NoConfig(np.array([1.0, 2.0])), axis="own")
    assert "NoConfig, in place of " in str(changes)


def test_attention_warns_and_names_its_kernels():
    model = BUILDERS["attention"]()
    with pytest.warns(UserWarning, match=r"query/kernel.*will be lost when the model is saved"):
        changes = kn.constrain(model, kn.MaxNorm(BOUND))
    assert "lost when the model is saved" in str(changes)
    # The same setting for all four is held by the layer's one attribute.
    with warnings.catch_warnings():
        warnings.simplefilter("error", kn.KerasNormsWarning)
        assert all(change.saved for change in kn.constrain(model, kn.NonNeg()))


@keras.saving.register_keras_serializable("test_saving")
class BuiltIn(L.Layer):
    """Sets a constraint by itself, and holds another under a name of its own."""

    def __init__(self, constraint=None, **arguments):
        super().__init__(**arguments)
        self.constraint = kn.constraints.get(constraint)

    def build(self, shape):
        self.fixed = self.add_weight(shape=(shape[-1], 2), constraint=kn.NonNeg())
        self.given = self.add_weight(shape=(shape[-1], 2), constraint=self.constraint)
        self.listed = [self.add_weight(shape=(2, 2))]

    def call(self, x):
        return x @ self.fixed + x @ self.given @ self.listed[0]

    def get_config(self):
        return super().get_config() | {"constraint": kn.constraints.serialize(self.constraint)}


def test_a_layer_that_sets_its_constraints_itself(tmp_path):
    layer = BuiltIn(kn.UnitNorm())
    model = keras.Sequential([L.Input((8,)), layer])
    assert not [f for f in kn.audit(model).findings if f.code == "not-saved"]
    model.save(tmp_path / "model.keras")
    (loaded,) = keras.saving.load_model(tmp_path / "model.keras").layers
    assert (loaded.fixed.constraint, loaded.given.constraint) == (kn.NonNeg(), kn.UnitNorm())
    changes = quietly(kn.constrain, model, kn.Clip(-1, 1), where="", axis="own")
    assert [change.saved for change in changes] == [False, False, False]


@keras.saving.register_keras_serializable("test_saving")
class Adapter(L.Dense):
    """A kernel of its own, and another in a layer that it holds."""

    def __init__(self, units, **arguments):
        super().__init__(units, **arguments)
        self.up = L.Dense(units, name="up")

    def build(self, shape):
        super().build(shape)
        self.up.build(shape)

    def call(self, x):
        return super().call(x) + self.up(x)


def test_an_inner_layer_does_not_change_the_attribute_of_an_outer_one(tmp_path):
    adapter = Adapter(3, kernel_constraint=kn.MaxNorm(BOUND))
    model = keras.Sequential([L.Input((4,)), adapter])
    for setting in (kn.NonNeg(), None):
        quietly(kn.constrain, model, setting, where="up/kernel", axis="own")
        assert (adapter.up.kernel.constraint, adapter.up.kernel_constraint) == (setting, setting)
        assert adapter.kernel.constraint == adapter.kernel_constraint == kn.MaxNorm(BOUND)
    model.save(tmp_path / "model.keras")
    (loaded,) = keras.saving.load_model(tmp_path / "model.keras").layers
    assert (loaded.kernel.constraint, loaded.up.kernel.constraint) == (kn.MaxNorm(BOUND), None)
    kn.constrain(model, kn.UnitNorm(), where=lambda layer, variable: variable is adapter.kernel)
    assert (adapter.kernel_constraint, adapter.up.kernel_constraint) == (kn.UnitNorm(), None)


def test_an_inner_layer_does_not_hide_what_an_outer_one_does_not_apply():
    layer = Adapter(3)
    model = keras.Sequential([L.Input((4,)), layer])
    layer.kernel_constraint = kn.MaxNorm(BOUND)  # too late: the variable exists
    quietly(kn.constrain, model, kn.NonNeg(), where="up/kernel")
    assert layer.kernel_constraint == kn.MaxNorm(BOUND)
    assert "not-applied" in {f.code for f in kn.audit(model).findings}


@keras.saving.register_keras_serializable("test_saving")
class Live(L.Dense):
    """Its config holds the constraint itself, as a user may write it."""

    def get_config(self):
        return super().get_config() | {"kernel_constraint": self.kernel_constraint}


def test_layers_are_told_apart_by_what_their_configs_hold():
    for column in range(3):
        mask = np.zeros((4, 3), bool)
        mask[:, column] = True
        model = keras.Sequential([L.Input((4,)), Live(3, kernel_constraint=kn.FixedMask(mask))])
        assert not [f for f in kn.audit(model).findings if f.code == "not-saved"]


def test_few_layers_are_kept_that_were_made_again(monkeypatch):
    monkeypatch.setattr(saving, "_MOST_MADE", 2)
    for bound in (1.0, 2.0, 3.0):
        kn.audit(keras.Sequential([L.Input((4,)), Live(5, kernel_constraint=kn.MaxNorm(bound))]))
    assert len(saving._MADE[Live]) == 2


@keras.saving.register_keras_serializable("test_saving")
class Forced(L.Dense):
    """Takes a constraint from its config, and sets another."""

    def __init__(self, units, kernel_constraint=None, **arguments):
        super().__init__(units, kernel_constraint=kn.NonNeg(), **arguments)


def test_a_layer_that_sets_another_constraint_than_it_is_given():
    model = keras.Sequential([L.Input((4,)), Forced(3)])
    changes = quietly(kn.constrain, model, kn.MaxNorm(BOUND))
    assert [change.saved for change in changes] == [False]
    assert {f.code for f in kn.audit(model).findings} >= {"not-saved"}
    changes = kn.constrain(model, kn.NonNeg())
    assert [change.saved for change in changes] == [True]


def half(w):
    return w * 0.5


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_what_keras_cannot_load_by_itself_is_not_called_saved():
    model = BUILDERS["sequential"]()
    changes = quietly(kn.constrain, model, half, where="kernel", axis="own")
    assert [change.saved for change in changes] == [False, False]


@keras.saving.register_keras_serializable("test_saving")
class Fixed(L.Layer):
    """Sets the same constraint of Keras whenever it is built."""

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2), constraint=keras.constraints.MaxNorm(5))

    def call(self, x):
        return x @ self.matrix


def test_what_a_layer_builds_itself_is_compared_by_its_config():
    model = keras.Sequential([L.Input((8,)), Fixed()])
    assert "not-saved" not in {f.code for f in kn.audit(model).findings}
    model.layers[0].matrix.constraint = keras.constraints.MaxNorm(9)
    assert "not-saved" in {f.code for f in kn.audit(model).findings}


@keras.saving.register_keras_serializable("test_saving")
class Written(keras.Model):
    """Writes a constraint into its own `__init__`, perhaps the commonest style."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.dense = L.Dense(3, kernel_constraint=keras.constraints.MaxNorm(9.0), name="dense")
        self.head = L.Dense(2, name="head")

    def build(self, shape):
        self.dense.build(shape)
        self.head.build((None, 3))

    def call(self, x):
        return self.head(self.dense(x))


@pytest.mark.parametrize("saving", [False, True])
def test_a_model_that_sets_its_constraints_in_its_code(saving):
    model = Written()
    model.build((None, 8))
    assert "not-saved" not in {f.code for f in kn.audit(model, saving=saving).findings}
    # Keras' own classes compare by identity, so that their configs decide.
    changes = quietly(kn.constrain, model, keras.constraints.MaxNorm(5.0), axis="own")
    assert [change.saved for change in changes] == [False, False]
    (finding,) = [f for f in kn.audit(model, saving=saving).findings if f.code == "not-saved"]
    assert "and 1 more settings, will be lost" in finding.message
    assert ("lacks it" in finding.message) == saving
    kn.constrain(model, keras.constraints.MaxNorm(9.0), where="dense/kernel", axis="own")


class Nowhere(L.Layer):
    """Has a config from which nothing can be made."""

    def __init__(self, needed, **arguments):
        super().__init__(**arguments)
        self.dense = L.Dense(3)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


def test_what_cannot_be_told_is_not_called_lost():
    model = keras.Sequential([L.Input((8,)), Nowhere(object())])
    with warnings.catch_warnings():
        warnings.simplefilter("error", kn.KerasNormsWarning)
        (change,) = kn.constrain(model, kn.MaxNorm(9.0))
    assert change.saved is None
    assert "perhaps lost when the model is saved" in str(change)
    assert "not-saved" not in {f.code for f in kn.audit(model).findings}
    (finding,) = kn.audit(model, saving=True).findings
    assert "the model cannot be saved and loaded (" in finding.message


@keras.saving.register_keras_serializable("test_saving")
class First(L.Layer):
    """Saves its attribute, and gives it to the first of its two layers only."""

    def __init__(self, kernel_constraint=None, **arguments):
        super().__init__(**arguments)
        self.kernel_constraint = kn.constraints.get(kernel_constraint)

    def build(self, shape):
        self.first = L.Dense(3, kernel_constraint=self.kernel_constraint, name="first")
        self.second = L.Dense(3, name="second")
        self.first.build(shape)
        self.second.build((None, 3))

    def call(self, x):
        return self.second(self.first(x))

    def get_config(self):
        config = {"kernel_constraint": keras.constraints.serialize(self.kernel_constraint)}
        return super().get_config() | config


def test_an_attribute_that_is_saved_is_not_that_of_every_weight():
    model = keras.Sequential([L.Input((8,)), First()])
    with pytest.warns(kn.KerasNormsWarning, match="second/kernel will be lost"):
        changes = kn.constrain(model, kn.MaxNorm(9.0))
    assert [change.saved for change in changes] == [True, False]
    assert [f.code for f in kn.audit(model).findings] == ["not-saved"]


class Unsavable(L.Layer):
    def call(self, x):
        return x

    def get_config(self):
        raise NotImplementedError("of the user's")


def test_of_a_model_without_a_config_nothing_can_be_told():
    model = keras.Sequential([L.Input((8,)), L.Dense(3), Unsavable()])
    (change,) = kn.constrain(model, kn.MaxNorm(9.0))
    assert change.saved is None
    assert kn.audit(model).findings == ()


def test_penalties_of_lora_weights_come_back(tmp_path):
    model = keras.Sequential([L.Input((8,)), L.Dense(4, kernel_regularizer=kn.L2(0.1))])
    model.layers[0].enable_lora(2)
    assert kn.audit(model).findings == kn.audit(model, saving=True).findings == ()


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_a_function_is_to_be_registered_before_it_is_written():
    model = keras.Sequential([L.Input((8,)), L.Dense(3)])
    with pytest.warns(kn.KerasNormsWarning, match=r"Make <lambda> known by .*After `model.save`"):
        kn.constrain(model, lambda w: w * 1, axis="own")


def test_looking_changes_no_later_layer():
    """Names and first weights are as if nothing had been made to be looked at."""

    class New(Written):  # of which nothing is known from another test
        pass

    seen = []
    for look in (False, True):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        model = New()
        model.build((None, 8))
        if look:
            quietly(kn.constrain, model, kn.UnitNorm(), where="head", axis="own")
            kn.audit(model)
        later = L.Dense(4)
        later.build((None, 3))
        seen.append((later.name, np.asarray(keras.ops.convert_to_numpy(later.kernel))))
    assert seen[0][0] == seen[1][0]
    np.testing.assert_array_equal(seen[0][1], seen[1][1])


@keras.saving.register_keras_serializable("test_saving")
class Scaled(keras.constraints.Constraint):
    """Has an array in its config."""

    def __init__(self, scale):
        self.scale = np.asarray(scale)

    def __call__(self, w):
        return w * self.scale

    def get_config(self):
        return {"scale": self.scale}


@pytest.mark.parametrize(("scale", "saved"), [([1.0, 0.5], True), ([1.0, 0.25], False)])
def test_an_array_in_a_config_is_compared(scale, saved):
    model = keras.Sequential([L.Input((3,)), L.Dense(2, kernel_constraint=Scaled([1.0, 0.5]))])
    model.layers[0].kernel.constraint = Scaled(scale)
    attribute = model.layers[0].kernel_constraint
    assert same(attribute, model.layers[0].kernel.constraint) == saved
    kn.audit(model)


@keras.saving.register_keras_serializable("test_saving")
class BrokenConfig(L.Dense):
    def get_config(self):
        raise KeyError("units")


def test_a_config_that_fails_in_its_own_way_is_a_model_that_cannot_be_told():
    model = keras.Sequential([L.Input((4,)), BrokenConfig(3)])
    changes = kn.constrain(model, kn.MaxNorm(BOUND))
    assert [change.saved for change in changes] == [None]
    assert model.layers[0].kernel_constraint == kn.MaxNorm(BOUND)


@pytest.mark.parametrize("saving", [False, True])
def test_a_constraint_that_was_removed_and_comes_back(saving, tmp_path):
    """A layer that makes its constraint sets it again when it is loaded."""
    inputs = L.Input((4, 6))
    attention = L.MultiHeadAttention(2, 3, kernel_constraint=kn.NonNeg())
    model = keras.Model(inputs, attention(inputs, inputs))
    kn.project(model)
    with pytest.warns(kn.KerasNormsWarning, match=r"was removed from .*query/kernel will be there"):
        changes = kn.constrain(model, None, where="query/kernel")
    assert str(changes).endswith("NonNeg(), which comes back when the model is saved and loaded")
    found = [f for f in kn.audit(model, saving=saving).findings if f.code == "not-saved"]
    assert len(found) == saving  # otherwise, no layer is made again for what has no setting
    model.save(tmp_path / "model.keras")
    kn.save_settings(model, tmp_path / "settings.json")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    kernel = next(v for v in loaded.trainable_variables if "query/kernel" in v.path)
    assert kernel.constraint == kn.NonNeg()
    if saving:
        (finding,) = found
        assert finding.message.startswith("the removal of a constraint will be lost")
        kn.load_settings(loaded, tmp_path / "settings.json")
        assert kernel.constraint is None


def test_saving_to_look_changes_no_later_layer():
    model = keras.Sequential([L.Input((4,)), L.Dense(3)])
    seen = []
    for is_saved in (False, True):
        keras.utils.set_random_seed(3)
        kn.audit(model, saving=is_saved)
        later = L.Dense(4)
        later.build((None, 3))
        seen.append(keras.ops.convert_to_numpy(later.kernel))
    np.testing.assert_array_equal(*seen)


def test_a_layer_alone_is_not_saved():
    layer = L.Dense(2, name="head")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"needs a model.* Received: head, a Dense"):
        kn.audit(layer, saving=True)
    assert kn.audit(layer).findings == ()


@keras.saving.register_keras_serializable("test_saving")
class Unsettable(keras.layers.Layer):
    """A layer whose config holds no setting, with some weights."""

    def __init__(self, number=1, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def build(self, shape):
        self.weights_of_it = [
            self.add_weight(shape=(shape[-1], 3), name=f"w{i}") for i in range(self.number)
        ]

    def call(self, x):
        return x @ self.weights_of_it[0]

    def get_config(self):
        return super().get_config() | {"number": self.number}


def test_the_warning_counts_the_weights_that_it_does_not_name():
    model = keras.Sequential([keras.layers.Input((4,)), Unsettable(5)])
    with pytest.warns(kn.KerasNormsWarning, match="w2 and 2 more will be lost"):
        kn.constrain(model, kn.MaxNorm(1.0), where="w", axis="own")


def test_two_layers_of_one_config_and_two_shapes_are_both_asked():
    model = keras.Sequential([keras.layers.Input((4,)), Unsettable(), Unsettable()])
    with pytest.warns(kn.KerasNormsWarning, match="will be lost"):
        changes = kn.constrain(model, kn.MaxNorm(1.0), where="w", axis="own")
    assert [change.saved for change in changes] == [False, False]
