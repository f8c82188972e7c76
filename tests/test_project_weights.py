"""ProjectWeights: the gaps of the training loop, and moving averages."""

import keras
import numpy as np
import pytest
from older_keras import HAS_NO_MULTI_OPTIMIZER, fails_before
from whole_models import (
    BOUND,
    BUILDERS,
    assert_within,
    batch,
    constrained,
    fit,
    model_with,
    not_built,
    unit_norms,
)

import keras_norms as kn


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


def test_a_model_that_fit_builds():
    """Under TensorFlow, `fit` does so after its callbacks have begun."""
    model = not_built()
    history = model.fit(
        *batch((8,), 2), callbacks=[kn.ProjectWeights(), kn.NormHistory()], verbose=0
    )
    assert unit_norms(model.layers[0].kernel).max() <= BOUND + 1e-6
    (largest,) = history.history[f"max_norm/{model.layers[0].kernel.path}"]
    assert largest <= BOUND + 1e-6


@fails_before((3, 15), HAS_NO_MULTI_OPTIMIZER)
def test_averages_in_a_multi_optimizer_are_found_and_projected():
    layer = keras.layers.Dense(3, kernel_constraint=kn.MaxNorm(0.01))
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    averaging = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.9)
    model.compile(keras.optimizers.MultiOptimizer(lambda variable: averaging), "mse")
    x = np.ones((4, 4), "float32")
    for _ in range(2):
        model.train_on_batch(x, x[:, :3])
    assert "averages" in {finding.code for finding in kn.audit(model).findings}
    kn.project(model)
    assert "averages" not in {finding.code for finding in kn.audit(model).findings}
