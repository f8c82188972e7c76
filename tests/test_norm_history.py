"""NormHistory: norms, shares of groups on their bound, and penalties, in the history."""

import contextlib
import csv

import keras
import numpy as np
import pytest
from older_keras import TAKES_NO_FUNCTION, fails_before
from whole_models import (
    BOUND,
    BUILDERS,
    L,
    constrained,
    fit,
    kernels,
    model_with,
    unit_norms,
)

import keras_norms as kn


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


def test_weights_with_the_same_path_have_keys_of_their_own():
    parts = [keras.Sequential([L.Dense(2, name="head", kernel_constraint="non_neg")]) for _ in "ab"]
    inputs = L.Input((8,))
    model = keras.Model(inputs, L.Add()([part(inputs) for part in parts]))
    for part in parts:
        part.layers[0].kernel._path = "head/kernel"
    model.compile("sgd", "mse")
    recorded = fit(model, callbacks=[kn.NormHistory()]).history
    assert {"max_norm/head/kernel", "max_norm/head/kernel:2"} <= set(recorded)


@pytest.mark.parametrize(("first", "second"), [(False, False), (True, False), (False, True)])
def test_two_histories_write_each_number_once(first, second):
    model = model_with(keras.optimizers.SGD(0.1))
    model.compile("sgd", "mse")
    both = [kn.NormHistory(logs=first), kn.NormHistory(where="kernel", logs=second)]
    for _ in range(2):
        recorded = fit(model, epochs=3, callbacks=both).history
        assert {len(values) for values in recorded.values()} == {3}


def test_integers_have_no_norm():
    model = keras.Sequential([L.Input((8,)), L.Dense(2, name="q")])
    model.layers[0].enable_lora(2)
    model.layers[0].quantize("int8")
    model.compile("sgd", "mse")
    recorded = fit(model, callbacks=[kn.NormHistory(where=L.Dense, spectra=True)]).history
    (key,) = [key for key in recorded if key.startswith("max_norm") and key.endswith("q/kernel")]
    assert np.isnan(recorded[key]).all()


def test_history_of_a_model_with_lora():
    model = keras.Sequential([L.Input((8,)), L.Dense(2, kernel_regularizer=kn.L2(0.1))])
    model.layers[0].enable_lora(2)
    model.compile("sgd", "mse")
    assert any("lora_kernel_a" in key for key in fit(model, callbacks=[kn.NormHistory()]).history)


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


def test_a_mask_hides_no_group_that_is_on_its_bound():
    model = model_with(keras.optimizers.SGD(0.0), kn.MaxNorm(1.0))
    kernel = model.layers[1].kernel
    norms = np.where(np.arange(kernel.shape[1]) == 0, 1.0, 0.5)
    signs = np.where(np.arange(kernel.shape[0]) == 0, 0.0, 1.0)[:, None]
    kernel.assign(signs * norms / np.sqrt(kernel.shape[0] - 1))
    kn.freeze_zeros(model, where=f"^{kernel.path}$")
    recorded = fit(model, callbacks=[kn.NormHistory()]).history
    assert recorded[f"on_bound/{kernel.path}"][-1] == pytest.approx(1 / kernel.shape[1])
    assert recorded[f"zeros/{kernel.path}"][-1] == pytest.approx(1 / kernel.shape[0])


def test_a_mask_alone_has_no_bound():
    model = model_with(keras.optimizers.SGD(0.0), kn.FixedMask(True))
    recorded = fit(model, callbacks=[kn.NormHistory()]).history
    assert not [key for key in recorded if key.startswith("on_bound/")]


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
def test_a_weight_without_entries_has_no_norm():
    class Empty(keras.layers.Layer):
        def build(self, shape):
            self.none = self.add_weight(shape=(3, 0), name="none")

        def call(self, x):
            return x

    kn.register_layout(Empty, none="in unit")
    model = keras.Sequential([keras.layers.Input((4,)), L.Dense(2), Empty(name="empty")], name="m")
    model.compile("sgd", "mse")
    history = kn.NormHistory(where="none")
    recorded = model.fit(np.ones((2, 4)), np.ones((2, 2)), callbacks=[history], verbose=0).history
    assert np.isnan(recorded["max_norm/m/empty/none"]).all()


def test_a_second_run_of_a_loop_of_ones_own_is_added():
    layer = keras.layers.Dense(3, kernel_constraint=kn.MaxNorm(1.0))
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    callbacks = keras.callbacks.CallbackList([kn.NormHistory()], add_history=True, model=model)
    for _ in range(2):
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(0)
        callbacks.on_epoch_end(0, {})
    assert [len(v) for k, v in model.history.history.items() if "/" in k] == [2, 2, 2]


def test_a_table_has_no_singular_values():
    layers = [keras.layers.Embedding(3, 2), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    model.compile("sgd", "mse")
    norms = kn.NormHistory(where="kernel|embeddings", spectra=True)
    x, y = np.ones((4, 4), "int32"), np.ones((4, 3), "float32")
    history = model.fit(x, y, callbacks=[norms], verbose=0).history
    found = [name for name in history if name.startswith("singular")]
    assert found == [f"singular_value/{model.layers[2].kernel.path}"]
