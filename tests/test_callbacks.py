"""Callbacks: the gaps of the training loop, norms in the history, and factors that change."""

import contextlib
import csv

import keras
import numpy as np
import pytest
from older_keras import TAKES_NO_FUNCTION, fails_before
from whole_models import BUILDERS, L, assert_within, batch, fit, kernels, unit_norms

import keras_norms as kn
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES

BOUND = 0.5


def model_with(optimizer, constraint=None, **arguments):
    inputs = L.Input((8,))
    hidden = L.Dense(6, kernel_constraint=constraint or kn.MaxNorm(BOUND))(inputs)
    model = keras.Model(inputs, L.Dense(2)(hidden))
    model.compile(optimizer, "mse", **arguments)
    return model


def constrained(model):
    return {p: v for p, v in kernels(model).items() if v.constraint is not None}


def averaging(**arguments):
    return keras.optimizers.SGD(0.1, clipnorm=10.0, use_ema=True, ema_momentum=0.5, **arguments)


class Watch(keras.callbacks.Callback):
    """The largest norm of a constrained unit, at moments when JAX has not taken the weights."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def look(self, moment):
        largest = max(unit_norms(v).max() for v in constrained(self.model).values())
        self.seen[moment] = max(largest, self.seen.get(moment, 0))

    def on_test_begin(self, logs=None):
        self.look("evaluation")

    def on_epoch_end(self, epoch, logs=None):
        self.look("epoch end")

    def on_train_end(self, logs=None):
        self.look("train end")


ORDERS = {
    "alone": lambda: [kn.ProjectWeights()],
    "before the swap": lambda: [kn.ProjectWeights(), keras.callbacks.SwapEMAWeights()],
    "after the swap": lambda: [keras.callbacks.SwapEMAWeights(), kn.ProjectWeights()],
    "before the swap of an epoch": lambda: [
        kn.ProjectWeights(),
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
    ],
    "after the swap of an epoch": lambda: [
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        kn.ProjectWeights(),
    ],
}
OPTIMIZERS = {
    "EMA": averaging,
    "EMA that overwrites": lambda: averaging(ema_overwrite_frequency=3),
    "EMA in a LossScaleOptimizer": lambda: keras.optimizers.LossScaleOptimizer(averaging()),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("order", ORDERS)
def test_averages_are_inside_whenever_they_are_in_the_model(order, optimizer):
    model = model_with(OPTIMIZERS[optimizer]())
    watch = Watch()
    x, y = batch(model)
    arguments = {"validation_data": (x, y), "callbacks": [*ORDERS[order](), watch]}
    fit(model, epochs=2, **arguments)
    assert_within(constrained(model), BOUND)
    assert set(watch.seen) == {"evaluation", "epoch end", "train end"}
    assert max(watch.seen.values()) <= BOUND * (1 + 7 * 2.0**-23), watch.seen
    # Evaluating, and training again, with averages in the optimizer: JAX alone crashes here.
    model.evaluate(x, y, verbose=0)
    fit(model, **arguments)
    model.evaluate(x, y, verbose=0, callbacks=arguments["callbacks"])
    assert_within(constrained(model), BOUND)


def test_control_without_it_averages_are_outside():
    model = model_with(averaging())
    watch = Watch()
    x, y = batch(model)
    swap = keras.callbacks.SwapEMAWeights()
    fit(model, epochs=2, validation_data=(x, y), callbacks=[swap, watch])
    assert watch.seen["evaluation"] > 1.1 * BOUND
    assert max(unit_norms(v).max() for v in constrained(model).values()) > 1.1 * BOUND


def test_averages_of_several_optimizers():
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has no MultiOptimizer")
    several = keras.optimizers.MultiOptimizer(
        lambda variable: averaging() if "kernel" in variable.path else keras.optimizers.SGD(0.1)
    )
    model = model_with(several)
    fit(model, epochs=2, callbacks=[kn.ProjectWeights()])
    assert_within(constrained(model), BOUND)


def test_initial_and_loaded_weights(tmp_path):
    model = model_with(keras.optimizers.SGD(0.0))
    (kernel,) = constrained(model).values()
    assert unit_norms(kernel).max() > BOUND
    model.save_weights(tmp_path / "large.weights.h5")
    fit(model, callbacks=[kn.ProjectWeights()])
    assert_within(constrained(model), BOUND)
    model.load_weights(tmp_path / "large.weights.h5")
    assert unit_norms(kernel).max() > BOUND
    model.evaluate(*batch(model), verbose=0, callbacks=[kn.ProjectWeights()])
    assert_within(constrained(model), BOUND)
    model.load_weights(tmp_path / "large.weights.h5")
    model.predict(batch(model)[0], verbose=0, callbacks=[kn.ProjectWeights()])
    assert_within(constrained(model), BOUND)


MOMENTS = [
    f"on_{what}_{end}" for what in ("train", "epoch", "test", "predict") for end in ("begin", "end")
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_another_callback_sets_is_projected_at_once(moment):
    model = model_with(keras.optimizers.SGD(0.0))
    (kernel,) = constrained(model).values()
    seen = []

    def spoil(*_):
        kernel.assign(np.ones(kernel.shape, "float32"))

    def look(*_):
        seen.append(unit_norms(kernel).max())

    before, after = keras.callbacks.Callback(), keras.callbacks.Callback()
    setattr(before, moment, spoil)
    setattr(after, moment, look)
    x, y = batch(model)
    arguments = {"verbose": 0, "callbacks": [before, kn.ProjectWeights(), after]}
    if "test" in moment:
        model.evaluate(x, y, **arguments)
    elif "predict" in moment:
        model.predict(x, **arguments)
    else:
        model.fit(x, y, **arguments)
    assert seen == [pytest.approx(BOUND, rel=1e-6)]


def test_unconstrained_weights_and_their_averages_are_left_alone():
    twins = [model_with(averaging()) for _ in range(2)]
    twins[1].set_weights(twins[0].get_weights())
    x, y = batch(twins[0])
    for model, callbacks in zip(twins, ([], [kn.ProjectWeights()]), strict=True):
        for variable in constrained(model).values():
            variable.constraint = kn.MaxNorm(1e3)  # which acts on nothing here
        model.fit(x, y, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
    for mine, theirs in zip(twins[1].variables, twins[0].variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


def test_project_weights_needs_a_constraint():
    model = BUILDERS["sequential"]()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="No weight of the model has a constraint"):
        fit(model, callbacks=[kn.ProjectWeights()])


def test_history_has_norms_shares_and_penalties(tmp_path):
    # Large updates hold every unit of the hidden layer on its bound.
    model = model_with(keras.optimizers.SGD(10.0, clipnorm=10.0))
    kn.regularize(
        model, kn.L2(0.5), where=lambda layer, v: layer is model.layers[-1] and "k" in v.name
    )
    history = kn.NormHistory(logs=True)
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    recorded = fit(model, epochs=3, callbacks=[history, logger]).history
    hidden, head = kernels(model).values()
    norms = unit_norms(hidden)
    # float32 norms of 8 entries
    assert recorded[f"mean_norm/{hidden.path}"][-1] == pytest.approx(norms.mean(), rel=1e-6)
    assert recorded[f"max_norm/{hidden.path}"][-1] == pytest.approx(norms.max(), rel=1e-6)
    norms = unit_norms(head)
    assert norms.mean() < 0.999 * norms.max()
    assert recorded[f"mean_norm/{head.path}"][-1] == pytest.approx(norms.mean(), rel=1e-6)
    norms = unit_norms(hidden)
    share = (norms > 0.99 * BOUND).mean()
    assert share > 0
    assert recorded[f"on_bound/{hidden.path}"][-1] == pytest.approx(share)
    penalty = 0.5 * (np.asarray(head, "float64") ** 2).sum()
    assert recorded[f"penalty/{head.path}"][-1] == pytest.approx(penalty, rel=1e-6)
    assert len(recorded[f"penalty/{head.path}"]) == 3
    assert f"on_bound/{head.path}" not in recorded
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1][f"penalty/{head.path}"]) == pytest.approx(penalty, rel=1e-6)


@pytest.mark.parametrize(
    ("constraint", "factor", "share"),
    [
        (kn.MaxNorm(1.0), 0.5, 0.0),
        (kn.MaxNorm(1.0), 2.0, 1.0),
        (kn.MaxNorm(1.0), 0.98, 0.0),
        (kn.MaxNorm(1.0), 0.997, 1.0),
        (keras.constraints.MaxNorm(1.0), 0.5, 0.0),
        (keras.constraints.MaxNorm(1.0), 2.0, 1.0),
        (kn.UnitNorm(), 2.0, 1.0),
        (kn.MinMaxNorm(0.1, 5.0), 1.0, 0.0),
        (kn.NonNeg(), 1.0, 0.0),
        pytest.param(*(lambda w: w, 2.0, 0.0), marks=fails_before((3, 15), TAKES_NO_FUNCTION)),
    ],
)
def test_share_of_groups_on_their_bound(constraint, factor, share):
    model = model_with(keras.optimizers.SGD(0.0), constraint)
    (kernel,) = constrained(model).values()
    kernel.assign(np.full(kernel.shape, factor / np.sqrt(8), "float32"))
    kernel.assign(constraint(kernel))
    recorded = fit(model, callbacks=[kn.NormHistory()]).history
    assert recorded[f"on_bound/{kernel.path}"] == [share]


@pytest.mark.parametrize(
    ("constraint", "share"),
    [
        (kn.MaxNorm(1.0, ord="inf"), 1.0),
        (kn.MaxNorm(1.02, ord="inf"), 0.0),
        (kn.MaxNorm(8.0, ord=1), 1.0),
        (kn.MaxNorm(8.2, ord=1), 0.0),
        (kn.Clip(-1.0, 1.0), 1 / 8),
    ],
)
def test_a_single_entry_may_leave_the_set(constraint, share):
    """A kernel of ones for the L1 norm, and else one row of ones among 0.9."""
    model = model_with(keras.optimizers.SGD(0.0), constraint)
    (kernel,) = constrained(model).values()
    values = np.full(kernel.shape, 1.0 if getattr(constraint, "ord", None) == 1 else 0.9, "float32")
    values[0] = 1.0
    kernel.assign(values)
    recorded = fit(model, callbacks=[kn.NormHistory()]).history
    assert recorded[f"on_bound/{kernel.path}"] == [share]


def test_what_half_precision_rounds_does_not_leave_the_set():
    layer = L.Dense(4, kernel_constraint=kn.ZeroMean(), dtype="bfloat16", name="head")
    model = keras.Sequential([L.Input((8,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    layer.kernel.assign(kn.ZeroMean()(layer.kernel))
    assert keras.ops.convert_to_numpy(kn.ZeroMean().excess(layer.kernel)).any()
    recorded = model.fit(np.ones((2, 8)), np.ones((2, 4)), callbacks=[kn.NormHistory()], verbose=0)
    assert recorded.history[f"on_bound/{layer.kernel.path}"] == [0.0]


def test_history_needs_somewhere_to_write():
    model = model_with(keras.optimizers.SGD(0.0))
    for add, error in ((False, pytest.raises(ValueError, match="`logs=True`")), (True, None)):
        callbacks = keras.callbacks.CallbackList(
            [kn.NormHistory(where="kernel")], add_history=add, model=model
        )
        with error or contextlib.nullcontext():
            callbacks.on_train_begin()


def test_history_needs_something_to_look_at():
    model = BUILDERS["sequential"]()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"as in NormHistory\(where=keras\.layers\.Dense\)"):
        fit(model, callbacks=[kn.NormHistory()])
    recorded = fit(model, callbacks=[kn.NormHistory(L.Dense)]).history
    assert {key.split("/")[0] for key in recorded} == {"loss", "mean_norm", "max_norm"}


FACTORS = [0.25, 0.25, 0.0, 1.0]


@pytest.mark.parametrize("kind", ["weight", "activity"])
@pytest.mark.parametrize("eager", [False, True])
def test_the_factor_of_an_epoch_is_exactly_that_of_its_losses(kind, eager):
    setting = {"kernel_regularizer" if kind == "weight" else "activity_regularizer": kn.L2(0.5)}
    layer = L.Dense(2, **setting)
    model = keras.Sequential([L.Input((8,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=eager)
    x, y = batch(model)
    schedule = kn.FactorSchedule(lambda epoch: FACTORS[epoch])
    recorded = model.fit(
        *(x, y), epochs=4, batch_size=8, verbose=0, validation_data=(x, y), callbacks=[schedule]
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


def test_weights_with_the_same_path_have_keys_of_their_own():
    parts = [keras.Sequential([L.Dense(2, name="head", kernel_constraint="non_neg")]) for _ in "ab"]
    inputs = L.Input((8,))
    model = keras.Model(inputs, L.Add()([part(inputs) for part in parts]))
    for part in parts:
        part.layers[0].kernel._path = "head/kernel"
    model.compile("sgd", "mse")
    recorded = fit(model, callbacks=[kn.NormHistory()]).history
    assert {"max_norm/head/kernel", "max_norm/head/kernel:2"} <= set(recorded)


def test_history_of_a_model_with_lora():
    model = keras.Sequential([L.Input((8,)), L.Dense(2, kernel_regularizer=kn.L2(0.1))])
    model.layers[0].enable_lora(2)
    model.compile("sgd", "mse")
    assert any("lora_kernel_a" in key for key in fit(model, callbacks=[kn.NormHistory()]).history)


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


def test_bad_schedules():
    model = model_with(keras.optimizers.SGD(0.0))
    with pytest.raises(TypeError, match="must be a function of the epoch"):
        kn.FactorSchedule(0.5)
    with pytest.raises(ValueError, match="the model has none"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5)])
    with pytest.raises(ValueError, match=r"`where` must be a regular expression .* where='\('"):
        kn.FactorSchedule(lambda epoch: 0.5, where="(")
    kn.regularize(model, keras.regularizers.L2(0.1))
    with pytest.raises(ValueError, match="it has no factor"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: 0.5)])
    kn.regularize(model, kn.L2(0.1))
    with pytest.raises(TypeError, match="Received: None"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: None)])
    with pytest.raises(ValueError, match="Received: l2=-1"):
        fit(model, callbacks=[kn.FactorSchedule(lambda epoch: -1)])


def test_history_is_not_in_the_logs_of_others():
    model = model_with(keras.optimizers.SGD(0.1))
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(dict(logs))

    recorded = fit(model, epochs=2, callbacks=[kn.NormHistory(), Look()]).history
    (kernel,) = constrained(model).values()
    assert len(recorded[f"max_norm/{kernel.path}"]) == 2
    assert not [key for logs in seen for key in logs if "/" in key]


def not_built():
    model = keras.Sequential([L.Dense(4, kernel_constraint=kn.MaxNorm(BOUND)), L.Dense(2)])
    model.compile(keras.optimizers.SGD(5.0), "mse")
    return model


def test_a_model_that_fit_builds():
    """Under TensorFlow, `fit` does so after its callbacks have begun."""
    model = not_built()
    history = model.fit(
        *batch((8,), 2), callbacks=[kn.ProjectWeights(), kn.NormHistory()], verbose=0
    )
    assert unit_norms(model.layers[0].kernel).max() <= BOUND + 1e-6
    (largest,) = history.history[f"max_norm/{model.layers[0].kernel.path}"]
    assert largest <= BOUND + 1e-6


@pytest.mark.parametrize(
    "callback", [kn.FactorSchedule(lambda epoch: 0.1), kn.SparsitySchedule(0.5, 0, 1)]
)
def test_a_callback_that_needs_the_weights_says_so(callback):
    callback.set_model(not_built())
    with pytest.raises(ValueError, match=r"Begin the model with `keras\.Input`"):
        callback.on_train_begin()


def test_keras_own_constraint_that_does_nothing_is_on_no_bound():
    """It shrinks feasible groups a little, which is less than half of the growth."""
    layer = L.Dense(2, kernel_constraint=keras.constraints.MaxNorm(9.0), kernel_initializer="ones")
    model = keras.Sequential([L.Input((3,)), layer])
    model.set_weights([np.full((3, 2), 1e-4, "float32"), np.zeros(2, "float32")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(
        np.ones((2, 3)), np.ones((2, 2)), callbacks=[kn.NormHistory()], verbose=0
    ).history
    assert history[f"on_bound/{layer.kernel.path}"] == [0.0]
