"""The next `fit` and `evaluate` use what was set, and no step that was compiled before."""

import gc
import threading

import keras
import numpy as np
import pytest
from test_attach import BOUND, sgd
from whole_models import BUILDERS, L, assert_within, batch, fit, kernels, quietly, unit_norms

import keras_norms as kn
from keras_norms.keras_internals import models_with


@pytest.mark.parametrize("time", ["after compile", "after fit", "after fit and evaluate"])
@pytest.mark.parametrize("name", ["convolutional", "subclassed"])
def test_the_next_fit_sees_it(name, time):
    model = BUILDERS[name]()
    model.compile(sgd(), "mse")
    if time != "after compile":
        fit(model, epochs=2)
    if time == "after fit and evaluate":
        model.evaluate(*batch(model), verbose=0)
    quietly(kn.constrain, model, kn.MaxNorm(BOUND))
    fit(model, epochs=2)
    assert_within(kernels(model), BOUND)


def test_other_threads_go_on():
    """What looks for models takes no hold of tuples that another thread is about to fill."""
    model = BUILDERS["sequential"]()
    errors, done = [], threading.Event()

    def load():
        while not done.is_set():
            try:
                tuple(each for each in range(5000))
            except SystemError as error:
                errors.append(error)

    loader = threading.Thread(target=load)
    loader.start()
    try:
        for bound in range(1, 21):
            kn.constrain(model, kn.MaxNorm(bound))
    finally:
        done.set()
        loader.join()
    assert not errors


def test_a_backend_without_fit_has_no_steps(monkeypatch):
    """That of NumPy, for which Keras has no trainer."""
    makes = "make_train_function"
    trainer = next(each for each in keras.Model.__mro__ if makes in vars(each))
    monkeypatch.delattr(trainer, makes)
    model = keras.Sequential([L.Input((3,)), L.Dense(2, kernel_initializer="ones")])
    kn.constrain(model, kn.MaxNorm(1.0))
    assert unit_norms(model.layers[0].kernel).max() <= 1


def test_control_without_new_steps_it_would_not_be_seen():
    """What `constrain` must do beyond setting the variable: TensorFlow and JAX keep old steps."""
    model = BUILDERS["sequential"]()
    model.compile(sgd(), "mse", run_eagerly=False)
    fit(model)
    for variable in kernels(model).values():
        variable.constraint = kn.MaxNorm(BOUND)
    step = model.train_function
    fit(model)
    assert model.train_function is step
    quietly(kn.constrain, model, kn.MaxNorm(BOUND))
    assert model.train_function is not step


@pytest.mark.parametrize("part", ["inner model", "layer", "other model"])
def test_every_model_with_the_layer_sees_it(part):
    inner = keras.Sequential([L.Input((8,)), L.Dense(6)])
    outer = keras.Sequential([L.Input((8,)), inner, L.Dense(2)])
    other = keras.Sequential([L.Input((8,)), inner.layers[0]])
    outer.compile(sgd(), "mse")
    fit(outer)
    outer.evaluate(*batch(outer), verbose=0)
    kernel = inner.layers[0].kernel
    given = {"inner model": inner, "layer": inner.layers[0], "other model": other}[part]
    kn.constrain(given, kn.MaxNorm(BOUND))
    kn.regularize(given, kn.L2(100.0))
    start = outer.evaluate(*batch(outer), verbose=0)
    assert start > 100 * (np.asarray(kernel, "float64") ** 2).sum()
    fit(outer)
    assert_within({kernel.path: kernel}, BOUND)


def test_a_callback_may_constrain_between_epochs():
    model = BUILDERS["sequential"]()
    model.compile(sgd(), "mse")

    class Later(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                kn.constrain(self.model, kn.MaxNorm(BOUND))

    fit(model, epochs=3, callbacks=[Later()])
    assert_within(kernels(model), BOUND)


class WithoutForce(keras.Model):
    """A `make_train_function` as users write it, for whom Keras calls it without arguments."""

    def __init__(self):
        super().__init__()
        self.head = L.Dense(3)

    def call(self, x):
        return self.head(x)

    def make_train_function(self):
        return super().make_train_function()

    def make_test_function(self):
        return super().make_test_function()


def test_steps_of_a_users_own_are_made_anew():
    model, x, y = WithoutForce(), np.ones((4, 6), "float32"), np.ones((4, 3), "float32")
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    kn.constrain(model, kn.MaxNorm(0.1))
    model.fit(x, y, verbose=0)
    assert unit_norms(model.head.kernel).max() <= 0.1 * (1 + 1e-6)


def test_steps_are_made_anew_though_the_collector_does_not_see_the_model():
    """As in a server that freezes its objects before it forks."""
    model = BUILDERS["sequential"]()
    model.compile(sgd(), "mse")
    fit(model)
    gc.freeze()
    try:
        assert list(models_with([model.layers[0], model])) == [model]
    finally:
        gc.unfreeze()


def test_a_model_that_is_compiled_again_is_constrained():
    """JAX knows a step again, so nothing may hold the old one. Several models show it."""
    x, y = np.random.default_rng(0).normal(size=(32, 6)), np.full((32, 2), 10.0)
    for seed in range(4):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([L.Input((6,)), L.Dense(2)])
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        kn.constrain(model, kn.MaxNorm(0.1))
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        assert_within(kernels(model), 0.1)


class OwnWeights(keras.Model):
    """A model without a layer."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), initializer="ones", name="kernel")

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


class Tied(L.Layer):
    """Uses the variable of another layer."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


def data_that_ends_in_an_error():
    yield np.ones((8, 4)), np.ones((8, 3))
    raise KeyboardInterrupt


@pytest.mark.parametrize("case", ["no layer", "interrupted", "tied"])
def test_no_model_goes_on_with_an_old_step(case):
    x, y = np.ones((8, 4), "float32"), 10 * np.ones((8, 3), "float32")
    dense = L.Dense(3, use_bias=False, kernel_initializer="ones")
    constrained = trained = keras.Sequential([L.Input((4,)), dense])
    if case == "no layer":
        constrained = trained = OwnWeights()
    if case == "tied":
        trained = keras.Sequential([L.Input((4,)), Tied(dense.kernel)])
    trained.compile("sgd", "mse")
    held = None
    if case == "interrupted":  # a notebook keeps the error, which keeps the compiled step
        try:
            trained.fit(data_that_ends_in_an_error(), steps_per_epoch=5, shuffle=False, verbose=0)
        except KeyboardInterrupt as error:
            held = error
        trained.compile("sgd", "mse")
    else:
        trained.fit(x, y, verbose=0)
    quietly(kn.constrain, constrained, kn.MaxNorm(0.5, axis=0), where="kernel", axis="own")
    if case == "interrupted":
        trained.compile("sgd", "mse")
    trained.fit(x, y, epochs=2, verbose=0)
    del held
    (kernel,) = trained.trainable_variables
    assert unit_norms(kernel).max() <= 0.5 * (1 + 1e-6)
