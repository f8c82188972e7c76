"""SparsitySchedule: sparsity step by step, resumed runs, and callbacks beside it."""

import itertools
import warnings

import keras
import numpy as np
import pytest
from test_pruning import Mixing, Watch, data, kernels, network, zeros

import keras_norms as kn
from keras_norms.keras_internals import HAS_STATELESS_TRAINER


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.5, 3, 2), "`end_epoch` must not be before `begin_epoch`"),
        ((0.5, -1, 2), "`begin_epoch` must be at least 0"),
        ((1.2, 0, 2), r"`final_sparsity` must be in \[0, 1\]"),
        ((0.5, 0, 2, -0.1), r"`initial_sparsity` must be in \[0, 1\]"),
        ((0.5, 0, 2, 0.8), "`final_sparsity` must not be below `initial_sparsity`"),
        ((0.5, 2, 2, 0.1), "`initial_sparsity` needs a `begin_epoch` before `end_epoch`"),
        ((0.5, 0, 2, 0.0, "uniform", "("), "`where` must be a regular expression"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(ValueError, match=f"{words}.*Received"):
        kn.SparsitySchedule(*arguments)


def test_a_schedule_may_be_one_step_and_makes_no_zero_before_it():
    schedule, model = kn.SparsitySchedule(0.5, 2, 2), network()
    assert [schedule.sparsity(epoch) for epoch in range(4)] == [0, 0, 0.5, 0.5]
    with pytest.warns(kn.KerasNormsWarning, match="ended with epoch 1 at a sparsity of 0; "):
        model.fit(*data(), epochs=2, callbacks=[schedule], verbose=0)
    assert "0.0% zeros" in str(model.get_layer("hidden").kernel.constraint)
    model.fit(*data(), epochs=3, initial_epoch=2, callbacks=[schedule], verbose=0)
    assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.5, abs=1e-3)


def test_a_second_fit_is_not_told_to_go_on_if_enough_is_pruned():
    schedule, model = kn.SparsitySchedule(0.9, 0, 2), network()
    model.fit(*data(), epochs=3, callbacks=[schedule], verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", kn.KerasNormsWarning)
        model.fit(*data(), epochs=1, callbacks=[schedule], verbose=0)
    with pytest.warns(kn.KerasNormsWarning, match="the schedule reaches 0.95 at epoch 2"):
        model.fit(*data(), epochs=1, callbacks=[kn.SparsitySchedule(0.95, 0, 2)], verbose=0)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_schedule_is_cubic_and_holds_after_every_step(is_first):
    model, watch = network(), Watch()
    schedule = kn.SparsitySchedule(0.9, begin_epoch=1, end_epoch=4, initial_sparsity=0.3)
    callbacks = [schedule, watch] if is_first else [watch, schedule]
    model.fit(*data(), batch_size=16, epochs=6, callbacks=callbacks, verbose=0)
    size = model.get_layer("hidden").kernel.shape
    size = size[0] * size[1]
    for epoch, found in enumerate(watch.seen):
        wanted = [0, 0.3, 0.9 - 0.6 * (2 / 3) ** 3, 0.9 - 0.6 / 27, 0.9, 0.9][epoch]
        assert found == pytest.approx([1 - round(size * (1 - wanted)) / size] * 4, abs=1e-6)


def test_pruned_entries_never_come_back():
    model, patterns = network(), []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: patterns.append(kernels(model)["net/hidden/kernel"] != 0)
    )
    schedule = kn.SparsitySchedule(0.9, 0, 4, 0.2)
    model.fit(*data(), epochs=5, callbacks=[schedule, keep], verbose=0)
    for earlier, later in itertools.pairwise(patterns):
        assert not (later & ~earlier).any()


def test_a_resumed_run_goes_on_where_it_was(tmp_path):
    schedule = kn.SparsitySchedule(0.9, 1, 5)
    whole, broken = network(), network()
    arguments = {"batch_size": 32, "shuffle": False, "verbose": 0}
    whole.fit(*data(), epochs=6, callbacks=[schedule], **arguments)
    words = "epoch 2 at a sparsity of 0.52; .* 0.9 at epoch 5. Go on with `fit.initial_epoch=3, epo"
    with pytest.warns(kn.KerasNormsWarning, match=words):
        broken.fit(*data(), epochs=3, callbacks=[kn.SparsitySchedule(0.9, 1, 5)], **arguments)
    broken.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    again = [kn.SparsitySchedule(0.9, 1, 5)]
    resumed.fit(*data(), epochs=6, initial_epoch=3, callbacks=again, **arguments)
    for path, w in kernels(whole).items():
        np.testing.assert_array_equal(kernels(resumed)[path] == 0, w == 0)
        np.testing.assert_allclose(kernels(resumed)[path], w, atol=1e-5)


class Stop(keras.callbacks.Callback):
    """Breaks a training off when an epoch begins."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt


def test_a_run_that_was_broken_off_goes_on_from_its_backup(tmp_path):
    arguments = {"batch_size": 32, "shuffle": False, "verbose": 0, "epochs": 6}
    whole = network()
    whole.fit(*data(), callbacks=[kn.SparsitySchedule(0.9, 1, 5)], **arguments)
    for more in ([Stop()], []):
        model = network()  # as a new process would make it
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        callbacks = [kn.SparsitySchedule(0.9, 1, 5), backup, *more]
        if more:
            with pytest.raises(KeyboardInterrupt):
                model.fit(*data(), callbacks=callbacks, **arguments)
        else:
            model.fit(*data(), callbacks=callbacks, **arguments)
    for path, w in kernels(whole).items():
        np.testing.assert_array_equal(kernels(model)[path] == 0, w == 0)
        np.testing.assert_allclose(kernels(model)[path], w, atol=1e-5)


def test_the_history_of_a_schedule_has_every_epoch():
    callbacks = [kn.SparsitySchedule(0.75, 1, 2), kn.NormHistory()]
    history = network().fit(*data(), epochs=3, callbacks=callbacks, verbose=0).history
    assert history["zeros/net/hidden/kernel"] == pytest.approx([0.0, 0.0, 0.75], abs=1e-3)
    with pytest.raises(ValueError, match="a callback that sets some comes before this one"):
        network().fit(*data(), callbacks=callbacks[::-1], verbose=0)


class Restore(keras.callbacks.Callback):
    """Puts back the first weights when the training ends, as EarlyStopping may."""

    def on_train_begin(self, logs=None):
        self.first = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.first)


def test_weights_from_before_the_mask_are_put_to_zero_with_a_warning():
    model, schedule = network(), kn.SparsitySchedule(0.5, 0, 0)
    with pytest.warns(kn.KerasNormsWarning, match=r"pass `start_from_epoch=0` to it"):
        model.fit(*data(), epochs=1, callbacks=[Restore(), schedule], verbose=0)
    assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("is_first", [True, False])
def test_early_stopping_restores_weights_that_fit_the_mask(is_first):
    stop = keras.callbacks.EarlyStopping(
        "loss", patience=9, restore_best_weights=True, start_from_epoch=2
    )
    model, schedule = network(), kn.SparsitySchedule(0.75, 0, 2)
    callbacks = [schedule, stop] if is_first else [stop, schedule]
    with warnings.catch_warnings():
        warnings.simplefilter("error", kn.KerasNormsWarning)
        model.fit(*data(), epochs=4, callbacks=callbacks, verbose=0)
    assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.75, abs=1e-3)
    assert not kn.audit(model).findings


def test_one_schedule_prunes_two_models():
    schedule = kn.SparsitySchedule(0.5, 0, 0)
    for model in (network(), network()):
        model.fit(*data(), epochs=1, callbacks=[schedule], verbose=0)
        assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.5, abs=1e-3)


def test_early_stopping_after_a_schedule_restores_what_only_project_mends():
    """As docs/pruning.md says: before it in the list, its weights are put to zero."""
    model = network()
    callbacks = [kn.SparsitySchedule(0.5, 0, 0), Restore()]
    model.fit(*data(), epochs=1, callbacks=callbacks, verbose=0)
    assert [f.code for f in kn.audit(model).findings] == ["violated"] * 3
    kn.project(model)
    assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.5, abs=1e-3)


def averaging(model):
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), model.loss)
    return model


def test_averages_are_handled_before_the_schedule_begins():
    """Zeros of an earlier constraint are in them, and JAX' buffers are not shared."""
    model, schedule = averaging(network()), kn.SparsitySchedule(0.9, 2, 3)
    kn.prune(model, 0.5)
    with pytest.warns(kn.KerasNormsWarning, match="Go on with"):
        model.fit(*data(), epochs=1, callbacks=[schedule], verbose=0)
    assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.5, abs=1e-3)
    model.fit(*data(), initial_epoch=1, epochs=4, callbacks=[schedule], verbose=0)
    assert zeros(model)["net/hidden/kernel"] == pytest.approx(0.9, abs=1e-3)


def test_a_callback_without_constraints_may_evaluate():
    network().evaluate(*data(), callbacks=[kn.SparsitySchedule(0.5, 0, 0)], verbose=0)


def dense_model():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    return model


X, Y = np.ones((4, 4), "float32"), np.ones((4, 3), "float32")


class Restores(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        self.model.layers[0].kernel.assign(np.ones((4, 3)))


def test_the_warning_names_the_epoch_from_which_the_best_weights_count():
    callbacks = [Restores(), kn.SparsitySchedule(0.5, 1, 2)]
    with pytest.warns(kn.KerasNormsWarning, match="`start_from_epoch=2`"):
        dense_model().fit(X, Y, epochs=3, callbacks=callbacks, verbose=0)


def test_the_warning_names_the_epochs_that_are_left():
    with pytest.warns(kn.KerasNormsWarning, match=r"initial_epoch=3, epochs=5\)"):
        dense_model().fit(X, Y, epochs=3, callbacks=[kn.SparsitySchedule(0.5, 1, 4)], verbose=0)


def test_a_table_that_nobody_named_is_left_out_in_silence():
    layers = [keras.layers.Embedding(3, 2), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    model.compile("sgd", "mse")
    schedule = kn.SparsitySchedule(0.5, 0, 0)
    model.fit(np.ones((4, 4), "int32"), Y, callbacks=[schedule], verbose=0)
    assert len(schedule.skipped) == 1


def test_what_is_left_out_is_told_once():
    class Unknown(keras.layers.Layer):
        def build(self, shape):
            self.mixing = self.add_weight(shape=(shape[-1], 3), name="mixing")

        def call(self, x):
            return keras.ops.matmul(x, self.mixing)

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8), Unknown()])
    model.compile("sgd", "mse")
    schedule = kn.SparsitySchedule(0.5, 0, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", kn.KerasNormsWarning)
        model.fit(np.ones((4, 4)), np.ones((4, 3)), epochs=4, verbose=0, callbacks=[schedule])
    assert len([w for w in caught if "mixing" in str(w.message)]) == 1


class Pair(keras.Model):
    """A model without a `call`, as a GAN: Keras never calls it built, whatever weights it has."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def train_step(self, *arguments):
        return {}

    test_step = train_step


@pytest.mark.parametrize("callback", ["schedule", "projection", "factors"])
def test_a_model_that_keras_never_calls_built_has_its_weights(callback):
    layer = keras.layers.Dense(4, kernel_regularizer=kn.L2(0.1), kernel_initializer="ones")
    model = Pair(keras.Sequential([keras.layers.Input((6,)), layer]))
    model.compile("sgd")
    kn.constrain(model, kn.MaxNorm(1.0))
    layer.kernel.assign(np.ones((6, 4)))
    made = {
        "schedule": kn.SparsitySchedule(0.5, 0, 0),
        "projection": kn.ProjectWeights(),
        "factors": kn.FactorSchedule(lambda epoch: 0.5),
    }[callback]
    made.set_model(model)
    made.on_train_begin()
    made.on_epoch_begin(0)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert not model.built
    assert (kernel == 0).mean() == (0.5 if callback == "schedule" else 0)
    assert callback != "projection" or np.linalg.norm(kernel, axis=0).max() < 1 + 1e-6
    assert layer.kernel_regularizer == kn.L2(0.5 if callback == "factors" else 0.1)


def test_masks_that_no_saved_model_holds_are_told_once():
    model = keras.Sequential([keras.layers.Input((8,)), Mixing(name="mix")])
    model.compile("sgd", "mse")
    schedule = kn.SparsitySchedule(0.5, 0, 2, where="mix/")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", kn.KerasNormsWarning)
        model.fit(np.ones((4, 8)), np.ones((4, 8)), epochs=4, verbose=0, callbacks=[schedule])
    assert len([w for w in caught if "will be lost when the model is saved" in str(w.message)]) == 1


@pytest.mark.skipif(
    HAS_STATELESS_TRAINER, reason="JAX: Keras crashes if `trainable` changes in fit"
)
def test_a_layer_that_is_frozen_meanwhile_is_pruned_all_the_same():
    model = network()

    class Freeze(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[0].trainable = epoch < 1

    schedule = kn.SparsitySchedule(0.5, 0, 3)
    model.fit(*data(), epochs=4, verbose=0, callbacks=[schedule, Freeze()])
    assert zeros(model) == pytest.approx(dict.fromkeys(kernels(model), 0.5))


@pytest.mark.parametrize("when", [3, 4])
def test_masks_that_a_callback_replaces_come_back_or_are_missed(when):
    class Replace(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == when:
                kn.constrain(self.model, kn.MaxNorm(5.0))

    model = network()
    callbacks = [kn.SparsitySchedule(0.5, 0, 2), Replace()]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", kn.KerasNormsWarning)
        model.fit(*data(), epochs=5, verbose=0, callbacks=callbacks)
    told = ["in the place of the masks" in str(each.message) for each in caught]
    assert any(told) == (when == 4)
    if when == 3:
        assert zeros(model) == pytest.approx(dict.fromkeys(kernels(model), 0.5))
