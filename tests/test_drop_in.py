"""A model that imports from Keras works when the import is changed to ours."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest
from keras import ops

import keras_norms
import keras_norms as kn
from keras_norms import constraints, regularizers

PAIRS = [(keras.constraints, constraints), (keras.regularizers, regularizers)]
NAMES = [
    pytest.param(theirs, ours, name, id=name)
    for theirs, ours in PAIRS
    for name in dir(theirs)
    if not name.startswith("_")
]
CLASSES = [p for p in NAMES if isinstance(getattr(p.values[0], p.values[2]), type)]
OBJECTS = [p for p in CLASSES if p.values[2] not in ("Constraint", "Regularizer")]  # not the bases


@pytest.mark.parametrize(("theirs", "ours", "name"), NAMES)
def test_every_name_of_keras_is_here(theirs, ours, name):
    assert hasattr(ours, name)


@pytest.mark.parametrize(("theirs", "ours", "name"), CLASSES)
def test_arguments_and_defaults_are_those_of_keras(theirs, ours, name):
    wanted = inspect.signature(getattr(theirs, name)).parameters.values()
    found = inspect.signature(getattr(ours, name)).parameters.values()
    wanted = [(p.name, p.default) for p in wanted]
    # What Keras lacks comes after what it has: `ord`.
    assert [(p.name, p.default) for p in found][: len(wanted)] == wanted


@pytest.mark.parametrize(("theirs", "ours", "name"), OBJECTS)
def test_config_keys_and_values_are_those_of_keras(theirs, ours, name):
    wanted = getattr(theirs, name)().get_config()
    found = getattr(ours, name)().get_config()
    found = {key: found[key] for key in wanted}  # `ord` is ours alone
    assert found == pytest.approx(wanted)  # Keras reads L1's factor back from float32
    assert getattr(theirs, name).from_config(found).get_config() == pytest.approx(wanted)


@pytest.mark.parametrize(("theirs", "ours", "name"), CLASSES)
def test_instances_are_what_keras_checks_for(theirs, ours, name):
    base = keras.constraints.Constraint if ours is constraints else keras.regularizers.Regularizer
    assert issubclass(getattr(ours, name), base)


@pytest.mark.parametrize(("theirs", "ours", "name"), OBJECTS)
def test_results_agree_on_ordinary_weights(theirs, ours, name):
    w = np.random.default_rng(0).standard_normal((20, 5)).astype("float32")
    wanted = ops.convert_to_numpy(getattr(theirs, name)()(ops.convert_to_tensor(w)))
    found = ops.convert_to_numpy(getattr(ours, name)()(ops.convert_to_tensor(w)))
    # Keras adds epsilon=1e-7 to norms of about 4, and rounds.
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(("theirs", "ours", "name"), OBJECTS)
def test_names_are_found_by_get(theirs, ours, name):
    assert isinstance(ours.get(name), getattr(ours, name))
    if name != "l1_l2":  # which Keras documents, but does not find
        wanted = theirs.get(name).get_config()
        found = ours.get(name).get_config()
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
    config = {"class_name": getattr(ours, name).__name__, "config": {}}
    assert ours.get(config) == ours.deserialize(config) == getattr(ours, name)()


def test_get_takes_what_keras_takes():
    assert constraints.get(None) is None
    assert constraints.get(keras_norms.MaxNorm) == keras_norms.MaxNorm()
    for given in (keras_norms.MaxNorm(3), keras.constraints.NonNeg(), abs):
        assert constraints.get(given) is given
    assert regularizers.get(keras_norms.L2) == keras_norms.L2()


def test_a_users_own_classes_may_derive_from_ours():
    class Half(constraints.Constraint):
        def __init__(self, factor=0.5):
            self.factor = factor

        def __call__(self, w):
            return self.factor * w

        def get_config(self):
            return {"factor": self.factor}

    class Sum(regularizers.Regularizer):
        def __call__(self, x):
            return ops.sum(x)

    layer = keras.layers.Dense(2, kernel_constraint=Half(0.25), kernel_regularizer=Sum())
    layer.build((None, 3))
    assert Half.from_config(Half(0.25).get_config()).factor == 0.25
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.kernel_constraint(layer.kernel)),
        0.25 * ops.convert_to_numpy(layer.kernel),
    )
    kernel = ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.losses[0]), kernel.sum(), atol=1e-6)
    assert float((Sum() + regularizers.L1(1.0)).value(np.ones(3, "float32"))) == 6


def test_a_users_own_dataclass_may_have_fields():
    @dataclasses.dataclass(frozen=True)
    class Scaled(regularizers.Regularizer):
        strength: float = 0.5

        def compute_penalty(self, x):
            return self.strength * ops.sum(x)

    assert Scaled(2.0).get_config() == {"strength": 2.0}
    assert float(Scaled()(np.ones(4, "float32"))) == 2.0


def test_an_unfinished_class_says_what_it_lacks():
    class Nothing(constraints.Constraint):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must define `compute_projection"):
        Nothing()(np.ones(2, "float32"))
    with pytest.raises(NotImplementedError, match="must define `compute_penalty"):
        regularizers.Regularizer()(np.ones(2, "float32"))


@pytest.mark.parametrize("base", [constraints.Constraint, regularizers.Regularizer])
def test_a_class_with_a_call_alone_has_no_other_one_to_ask(base):
    class Calls(base):
        def __call__(self, w):
            return super().__call__(w)

    with pytest.raises(NotImplementedError, match=r"Calls must define .* without `super"):
        Calls()(np.ones(2, "float32"))


def test_an_axis_without_an_annotation_is_no_field():
    @dataclasses.dataclass(frozen=True)
    class NoField(constraints.Constraint):
        axis = 0

        def compute_projection(self, w, axes):
            return w

    layer = keras.layers.Dense(2)
    model = keras.Sequential([keras.layers.Input((3,)), layer])
    with pytest.raises(TypeError, match=r"NoField must be .* a field `axis`, which has an annot"):
        kn.constrain(model, NoField())
    assert layer.kernel.constraint is None


def test_a_class_of_another_package_is_not_taken_for_ours():
    """Only a name without a module, or one of Keras' or ours, stands for a class here."""

    class MaxNorm(keras.constraints.Constraint):
        def get_config(self):
            return {}

    config = keras.saving.serialize_keras_object(MaxNorm())
    with pytest.raises((TypeError, ValueError)):
        constraints.deserialize(config)
    found = constraints.deserialize(config, custom_objects={"MaxNorm": MaxNorm})
    assert type(found) is MaxNorm
    assert constraints.get({"class_name": "MaxNorm", "config": {}}) == constraints.MaxNorm()


def test_an_order_may_be_a_number_of_numpy():
    assert constraints.MaxNorm(ord=np.int64(1)) == constraints.MaxNorm(ord=1)
