"""FactorSchedule: factors of penalties that change from epoch to epoch."""

import dataclasses
import warnings

import keras
import numpy as np
import pytest
from keras import ops
from older_keras import TAKES_NO_FUNCTION, fails_before
from whole_models import L, batch, fit, model_with, not_built

import keras_norms as kn
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES

FACTORS = [0.25, 0.25, 0.0, 1.0]


@pytest.mark.parametrize("kind", ["weight", "activity"])
@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("is_held", [False, True])
def test_the_factor_of_an_epoch_is_exactly_that_of_its_losses(kind, eager, is_held):
    """Also if anybody holds the steps of the epochs before, by which JAX would know the next."""
    setting = {"kernel_regularizer" if kind == "weight" else "activity_regularizer": kn.L2(0.5)}
    layer = L.Dense(2, **setting)
    model = keras.Sequential([L.Input((8,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=eager)
    x, y = batch(model)
    schedule, steps = kn.FactorSchedule(lambda epoch: FACTORS[epoch]), []

    class Hold(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            steps.extend([self.model.train_function, self.model.test_function])

    callbacks = [schedule, Hold()] if is_held else [schedule]
    recorded = model.fit(
        *(x, y), epochs=4, batch_size=8, verbose=0, validation_data=(x, y), callbacks=callbacks
    ).history
    kernel = np.asarray(layer.kernel, "float64")
    outputs = x.astype("float64") @ kernel
    batch_size = 8 if DIVIDES_ACTIVITY_PENALTIES else 1
    squares = (kernel**2).sum() if kind == "weight" else (outputs**2).sum() / batch_size
    expected = ((outputs - y) ** 2).mean() + np.array(FACTORS) * squares
    # A float32 sum of some ten terms.
    np.testing.assert_allclose(recorded["loss"], expected, rtol=2e-6)
    np.testing.assert_allclose(recorded["val_loss"], expected, rtol=2e-6)
    assert getattr(layer, next(iter(setting))) == kn.L2(1.0)


def test_steps_are_made_anew_only_for_another_factor():
    model = model_with(keras.optimizers.SGD(0.0))
    kn.regularize(model, kn.L2(0.5))
    steps = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            steps.append(self.model.train_function)

    fit(model, epochs=3, callbacks=[kn.FactorSchedule([0.1, 0.1, 0.2].__getitem__), Look()])
    assert steps[0] is steps[1]
    assert steps[1] is not steps[2]


def test_a_part_of_attention_leaves_the_rest_as_it_was():
    inputs = L.Input((5, 8))
    layer = L.MultiHeadAttention(2, 4, kernel_regularizer=kn.L2(0.1))
    outputs = L.GlobalAveragePooling1D()(layer(inputs, inputs))
    model = keras.Model(inputs, L.Dense(2)(outputs))
    model.compile("sgd", "mse")
    fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.7, where="query/kernel")])
    assert layer._query_dense.kernel.regularizer == kn.L2(0.7)
    assert layer._kernel_regularizer == kn.L2(0.1)  # for all four, as they were


@pytest.mark.parametrize("made", [kn.L2, keras.regularizers.L2])
def test_the_factor_of_outputs_is_that_of_the_saved_file(made, tmp_path):
    inputs = L.Input((5, 8))
    attention = L.MultiHeadAttention(2, 4, activity_regularizer=made(0.25))
    outputs = L.ActivityRegularization(l1=0.5)(attention(inputs, inputs))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(outputs)))
    model.compile("sgd", "mse")
    fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.75, where="query/activity")])
    assert attention.get_config()["activity_regularizer"]["config"]["l2"] == 0.25  # for the others
    by_epoch = [2.0, 0.125].__getitem__
    fit(model, epochs=2, callbacks=[kn.FactorSchedule(by_epoch, where="attention")])
    fit(model, epochs=2, callbacks=[kn.FactorSchedule(by_epoch, where="activity_reg", field="l1")])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.ones((3, 5, 8), "float32")
    loaded(x)
    model(x)
    for one, other in zip(loaded.losses, model.losses, strict=True):
        np.testing.assert_allclose(*map(ops.convert_to_numpy, (one, other)), rtol=1e-6)
    assert loaded.layers[-3].l1 == 0.125


def test_a_layer_of_activity_regularization_may_have_another_penalty():
    layer = L.ActivityRegularization(l1=0.5)
    layer.activity_regularizer = kn.L2(0.25)
    model = keras.Sequential([L.Input((8,)), layer, L.Dense(2)])
    model.compile("sgd", "mse")
    fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.75)])
    assert layer.activity_regularizer == kn.L2(0.75)
    assert (layer.l1, layer.l2) == (0.5, 0.0)


def test_an_outer_layer_keeps_an_equal_penalty_of_its_own():
    inner = keras.Sequential([L.Dense(2, activity_regularizer=kn.L2(0.25))])
    inner.activity_regularizer = kn.L2(0.25)
    model = keras.Sequential([L.Input((8,)), inner])
    model.compile("sgd", "mse")
    where = f"{inner.layers[0].name}/activity"
    fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.75, where=where)])
    assert inner.layers[0].activity_regularizer == kn.L2(0.75)
    assert inner.activity_regularizer == kn.L2(0.25)


def test_penalties_of_frozen_weights_only_are_reported():
    model = model_with(keras.optimizers.SGD(0.0))
    kn.regularize(model, kn.L2(0.1), where="kernel")
    schedule = kn.FactorSchedule(lambda epoch: 0.5)
    model.layers[1].trainable = False
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error", kn.KerasNormsWarning)
        fit(model, callbacks=[schedule])  # the other kernel's counts
    schedule = kn.FactorSchedule(lambda epoch: 0.5, where=model.layers[1].path)
    with pytest.warns(kn.KerasNormsWarning, match=f"frozen.*{model.layers[1].kernel.path}. Make"):
        fit(model, callbacks=[schedule])
    model.layers[1].activity_regularizer = kn.L2(0.1)  # outputs count all the same
    with warnings.catch_warnings():
        warnings.simplefilter("error", kn.KerasNormsWarning)
        fit(model, callbacks=[schedule])


def test_where_and_field():
    model = model_with(keras.optimizers.SGD(0.0))
    first, last = model.layers[1], model.layers[2]
    kn.regularize(model, kn.L1L2(0.1, 0.1), where=lambda layer, v: v is first.kernel)
    kn.regularize(model, kn.L1(0.1), where=lambda layer, v: v is last.kernel)
    last.activity_regularizer = kn.L1(0.1)
    half = kn.FactorSchedule(lambda epoch: 0.5, where=last.kernel.path)
    fit(model, callbacks=[half])
    assert (last.kernel.regularizer, last.kernel_regularizer) == (kn.L1(0.5), kn.L1(0.5))
    assert last.activity_regularizer == kn.L1(0.1)
    fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5, where=f"{last.path}/activity")])
    assert last.activity_regularizer == kn.L1(0.5)
    with pytest.raises(ValueError, match=r"it has l1, l2\. Received: field=None"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5)])
    with pytest.raises(ValueError, match=r"it has l1\. Received: field='l2'"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5, last.kernel.path, "l2")])
    fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5, first.path, field="l2")])
    assert first.kernel.regularizer == kn.L1L2(0.1, 0.5)


@pytest.mark.parametrize("divided", [kn.L2(0.1), keras.regularizers.L2(0.1)])
def test_the_factor_of_a_mean_over_the_batch_is_that_of_what_it_divides(divided):
    model = model_with(keras.optimizers.SGD(0.0))
    layer = model.layers[1]
    layer.activity_regularizer = kn.BatchMean(divided)
    schedule = kn.FactorSchedule(lambda epoch: 0.5, where=f"{layer.path}/activity")
    fit(model, callbacks=[schedule])
    assert layer.activity_regularizer == kn.BatchMean(kn.L2(0.5))


def test_the_factor_of_a_penalty_of_keras():
    model = model_with(keras.optimizers.SGD(0.0))
    kn.regularize(model, keras.regularizers.L2(0.1), where=model.layers[1].kernel.path)
    fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5)])
    assert model.layers[1].kernel.regularizer == kn.L2(0.5)


def test_bad_schedules():
    model = model_with(keras.optimizers.SGD(0.0))
    with pytest.raises(TypeError, match="must be a function of the epoch"):
        kn.FactorSchedule(0.5)
    with pytest.raises(ValueError, match="the model has none"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5)])
    with pytest.raises(ValueError, match=r"`where` must be a regular expression .* where='\('"):
        kn.FactorSchedule(lambda epoch: 0.5, where="(")
    kn.regularize(model, keras.regularizers.OrthogonalRegularizer(0.1))
    kn.regularize(model, kn.L1(0.1) + kn.L2(0.1))
    with pytest.raises(ValueError, match="each of its terms has factors of its own; use an `L1L2`"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5)])
    kn.regularize(model, kn.L2(0.1))
    with pytest.raises(TypeError, match="Received: None"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: None)])
    with pytest.raises(ValueError, match="Received: l2=-1"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: -1)])


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_a_function_has_no_factor():
    model = model_with(keras.optimizers.SGD(0.0))
    with pytest.warns(kn.KerasNormsWarning, match="Make <lambda> known"):
        kn.regularize(model, lambda w: 0.0 * keras.ops.sum(w), where=model.layers[1].kernel.path)
    with pytest.raises(ValueError, match=r"it has no factor.* with <lambda>"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5)])


@pytest.mark.parametrize(
    "callback", [kn.FactorSchedule(lambda epoch: 0.1), kn.SparsitySchedule(0.5, 0, 1)]
)
def test_a_callback_that_needs_the_weights_says_so(callback):
    callback.set_model(not_built())
    with pytest.raises(ValueError, match=r"Begin the model with `keras\.Input`"):
        callback.on_train_begin()


@dataclasses.dataclass(frozen=True)
class AtMostHalf(kn.regularizers.Regularizer):
    factor: float = 0.0

    def __post_init__(self):
        if self.factor > 0.5:
            raise ValueError("`factor` must be at most 0.5")

    def compute_penalty(self, x):
        return self.factor * keras.ops.sum(x)


def test_no_factor_is_set_if_one_is_refused():
    model = model_with(keras.optimizers.SGD(0.0))
    _, first, second = model.layers
    kn.regularize(model, kn.L2(0.1), where=first.kernel.path)
    second.activity_regularizer = AtMostHalf(0.1)
    schedule = kn.FactorSchedule(lambda epoch: 0.7)
    schedule.set_model(model)
    with pytest.raises(ValueError, match=r"at most 0\.5"):
        schedule.on_epoch_begin(0)
    assert first.kernel.regularizer == kn.L2(0.1)


@pytest.mark.parametrize(
    "schedule",
    [lambda epoch: np.array(0.5), keras.optimizers.schedules.ExponentialDecay(0.5, 1, 1.0)],
)
def test_a_factor_may_be_a_tensor_as_of_a_schedule_of_keras(schedule):
    model = model_with(keras.optimizers.SGD(0.0))
    kn.regularize(model, kn.L2(0.1))
    fit(model, callbacks=[kn.FactorSchedule(schedule)])
    assert model.layers[1].kernel.regularizer == kn.L2(0.5)
