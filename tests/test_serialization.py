"""Constraints and regularizers survive every way in which Keras and Python copy or save."""

import copy
import json
import pathlib
import pickle
import zipfile

import keras
import numpy as np
import pytest
from older_keras import READS_NO_NEWER_FILE, fails_before

import keras_norms as kn
from keras_norms import constraints, regularizers

CONSTRAINTS = [
    kn.MaxNorm(3.0, axis=[0, 1]),
    kn.UnitNorm(axis=None),
    kn.MinMaxNorm(0.5, 2, rate=0.25, axis=-1),
    kn.NonNeg(),
    kn.MaxNorm(3.0, ord=1),
    kn.MaxNorm(3.0, axis=[0, 1], ord="inf"),
    kn.Clip(-float("inf"), 0.5),
    kn.Simplex(2.0, axis=(0, 1)),
    kn.Chain(kn.NonNeg(), kn.MaxNorm(0.5)),
]
REGULARIZERS = [
    kn.L1(0.1),
    kn.L2(0.1),
    kn.L1L2(0.1, 0.2),
    kn.OrthogonalRegularizer(0.1, "columns"),
    kn.BatchMean(kn.L2(0.1)),
    kn.L1(0.1) + kn.BatchMean(kn.L2(0.1)),
]
EVERY = [(constraints, c) for c in CONSTRAINTS] + [(regularizers, r) for r in REGULARIZERS]
SAVED = pathlib.Path(__file__).parent / "saved"
# What is saved today, and what was before configs left `ord` out.
FOLDERS = sorted(path.name for path in SAVED.iterdir())


def model():
    """One model with every constraint and regularizer, and weights that are known."""
    layers = keras.layers
    result = keras.Sequential(
        [
            layers.Input((6, 6, 1), name="image"),
            layers.Conv2D(
                3,
                2,
                kernel_initializer="zeros",
                kernel_constraint=kn.MaxNorm(1.0, axis=(0, 1, 2)),
                kernel_regularizer=kn.OrthogonalRegularizer(0.1, "columns"),
                activity_regularizer=kn.BatchMean(kn.L2(0.01)),
                name="conv",
            ),
            layers.Flatten(name="flat"),
            layers.Dense(
                4,
                kernel_initializer="zeros",
                kernel_constraint=kn.MinMaxNorm(0.5, 2.0, rate=0.5),
                bias_constraint=kn.NonNeg(),
                kernel_regularizer=kn.L1L2(1e-3, 1e-4),
                bias_regularizer=kn.L1(1e-3),
                name="dense",
            ),
            layers.Dense(
                3,
                kernel_constraint=kn.Chain(kn.NonNeg(), kn.MaxNorm(3.0)),
                bias_constraint=kn.Clip(-1.0, float("inf")),
                kernel_regularizer=kn.L2(1e-3) + kn.L1(0.5),
                name="middle",
            ),
            layers.Dense(
                2,
                kernel_constraint=kn.UnitNorm(),
                bias_constraint=kn.Simplex(),
                kernel_regularizer=kn.L2(1e-3),
                name="head",
            ),
        ],
        name="saved",
    )
    rng = np.random.default_rng(0)
    result.set_weights([rng.standard_normal(w.shape).astype("float32") for w in result.weights])
    return result


def settings(m):
    """Everything that must survive."""
    return [
        (layer.name, name, getattr(layer, name))
        for layer in m.layers
        for name in (
            "kernel_constraint",
            "bias_constraint",
            "kernel_regularizer",
            "bias_regularizer",
            "activity_regularizer",
        )
        if hasattr(layer, name)
    ] + [(v.name, v.constraint, v.regularizer) for v in m.trainable_variables]


@pytest.mark.parametrize(("module", "thing"), EVERY, ids=[repr(thing) for _, thing in EVERY])
def test_copies_are_equal(module, thing):
    through_json = json.loads(json.dumps(module.serialize(thing)))
    for copied in (
        type(thing).from_config(thing.get_config()),
        type(thing).from_config(json.loads(json.dumps(thing.get_config()))),
        module.deserialize(through_json),
        module.get(through_json),
        keras.saving.deserialize_keras_object(through_json, safe_mode=True),
        pickle.loads(pickle.dumps(thing)),
        copy.deepcopy(thing),
    ):
        assert copied == thing
        assert hash(copied) == hash(thing)
        assert repr(copied) == repr(thing)
        assert type(copied) is type(thing)
    assert module.serialize(thing)["registered_name"] == f"keras_norms>{type(thing).__name__}"


def test_equality_and_repr():
    assert kn.MaxNorm(2) == kn.MaxNorm(2.0, axis=0) != kn.MaxNorm(2, axis=1)
    assert kn.L1(0.1) != kn.L2(0.1)
    assert kn.MaxNorm(2) != keras.constraints.MaxNorm(2)
    assert len({kn.MaxNorm(2), kn.MaxNorm(2), kn.UnitNorm()}) == 2
    assert repr(kn.MaxNorm(3, axis=[0, 1])) == "MaxNorm(max_value=3, axis=(0, 1), ord=2)"
    assert kn.MaxNorm(ord=float("inf")) == kn.MaxNorm(ord="inf") != kn.MaxNorm(ord=1)
    chain = kn.Chain("non_neg", kn.Clip(0, 1))
    assert repr(chain) == "Chain(NonNeg(), Clip(min_value=0, max_value=1))"
    assert repr(kn.BatchMean("l2")) == "BatchMean(regularizer=L2(l2=0.01))"


def test_members_that_are_not_ours_read_alike_in_every_process():
    """Their own `repr` is where they are in memory."""
    theirs = keras.regularizers.L1L2(0.1, 0.25)
    assert repr(kn.BatchMean(theirs)) == "BatchMean(regularizer=L1L2(l1=0.1, l2=0.25))"

    class Own(keras.regularizers.Regularizer):
        def __call__(self, x):
            return 0.0

    def penalty(x):
        return 0.0

    total = kn.L2(0.5) + theirs + Own() + penalty
    assert repr(total) == "Sum(L2(l2=0.5), L1L2(l1=0.1, l2=0.25), Own, penalty)"


def test_objects_do_not_change():
    with pytest.raises(AttributeError):
        kn.MaxNorm(2).max_value = 3


def test_factors_are_exact_in_the_config():
    assert kn.L1(0.1).get_config() == {"l1": 0.1}
    assert kn.MaxNorm(0.1).get_config() == {"max_value": 0.1, "axis": 0}


def test_configs_have_the_keys_and_values_of_keras():
    """As long as only arguments that Keras has differ from their defaults."""
    assert kn.MaxNorm(3.0, axis=1).get_config() == {"max_value": 3.0, "axis": 1}
    assert kn.MaxNorm(3, axis=(0, 1)).get_config() == {"max_value": 3, "axis": [0, 1]}
    assert kn.MaxNorm(3.0, ord=1).get_config() == {"max_value": 3.0, "axis": 0, "ord": 1}
    assert kn.MaxNorm(np.int64(3)).get_config() == {"max_value": 3, "axis": 0}


SHARED = [
    (theirs, thing)
    for module, thing in EVERY
    for theirs in ({constraints: keras.constraints, regularizers: keras.regularizers}[module],)
    if hasattr(theirs, type(thing).__name__) and getattr(thing, "ord", 2) == 2
]


@pytest.mark.parametrize(("theirs", "thing"), SHARED, ids=[repr(thing) for _, thing in SHARED])
def test_keras_reads_our_configs(theirs, thing):
    config = thing.get_config()
    read = getattr(theirs, type(thing).__name__).from_config(config).get_config()
    assert set(read) == set(config)
    for key, value in config.items():  # Keras reads L1's factor back from float32
        assert read[key] == pytest.approx(value) if isinstance(value, float) else read[key] == value


def test_an_integer_that_backends_cannot_hold_is_a_float():
    constraint = kn.MaxNorm(10**30)
    assert constraint.get_config() == {"max_value": 1e30, "axis": 0}
    np.testing.assert_array_equal(constraint(np.ones((2, 1), "float32")), 1)


@pytest.mark.parametrize("copier", [keras.models.clone_model, copy.deepcopy])
def test_a_cloned_model_keeps_its_settings(copier):
    original = model()
    assert settings(copier(original)) == settings(original)


def test_a_model_survives_json():
    original = model()
    assert settings(keras.models.model_from_json(original.to_json())) == settings(original)


def test_a_saved_model_keeps_its_settings(tmp_path):
    original = model()
    original.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert settings(loaded) == settings(original)
    for ours, theirs in zip(loaded.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@fails_before((3, 14), READS_NO_NEWER_FILE)
@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_model_saved_under_any_backend_loads_under_this_one(folder, backend):
    loaded = keras.saving.load_model(SAVED / folder / f"{backend}.keras", safe_mode=True)
    original = model()
    assert settings(loaded) == settings(original)
    for ours, theirs in zip(loaded.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@fails_before((3, 14), READS_NO_NEWER_FILE)
def test_the_file_saved_under_this_backend_is_what_it_saves_today(tmp_path):
    """So that the three files stand for what the three backends write."""
    model().save(tmp_path / "model.keras")
    backend = keras.backend.backend()
    saved = SAVED / "today" / f"{backend}.keras"
    assert architecture(tmp_path / "model.keras") == architecture(saved)


def test_pickles_of_earlier_versions_load():
    with open(SAVED / "2026-11-22" / "settings.pickle", "rb") as file:
        loaded = pickle.load(file)
    assert loaded == [
        kn.MaxNorm(3.0, axis=[0, 1]),
        kn.UnitNorm(axis=None),
        kn.MinMaxNorm(0.5, 2, rate=0.25, axis=-1),
        kn.NonNeg(),
        kn.MaxNorm(3.0, ord=1),
        kn.Clip(-float("inf"), 0.5),
        kn.Simplex(2.0, axis=(0, 1)),
        kn.Chain(kn.NonNeg(), kn.MaxNorm(0.5)),
        *(kn.L1(0.1), kn.L2(0.1), kn.L1L2(0.1, 0.2)),
        kn.OrthogonalRegularizer(0.1, "columns"),
        kn.BatchMean(kn.L2(0.1)),
        kn.L1(0.1) + kn.BatchMean(kn.L2(0.1)),
    ]


def architecture(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"), object_hook=without_address)


def without_address(data):
    """Keras writes the address of each object beside it."""
    return {key: value for key, value in data.items() if key != "shared_object_id"}
