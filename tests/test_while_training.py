"""What users do around `fit`: loops, optimizers, losses and tools of their own."""

import contextlib

import keras
import numpy as np
import pytest
from whole_models import L, kernels, unit_norms

import keras_norms as kn

BACKEND = keras.backend.backend()


def small(**arguments):
    layers = [L.Dense(4, name="first", **arguments), L.Dense(2, name="last")]
    model = keras.Sequential([L.Input((3,)), *layers], name="m")
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def fit(model, *callbacks):
    x, y = np.ones((8, 3), "float32"), np.ones((8, 2), "float32")
    model.fit(x, y, batch_size=2, verbose=0, callbacks=list(callbacks))


class Foreign:
    """An optimizer that is not Keras'."""


@pytest.mark.parametrize("optimizer", [Foreign(), [keras.optimizers.SGD(), keras.optimizers.SGD()]])
def test_an_optimizer_of_another_make_is_no_obstacle(optimizer):
    model = small(kernel_constraint=kn.MaxNorm(0.1))
    model.optimizer = optimizer
    kn.project(model)
    assert kn.audit(model).findings == ()


@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize("function", ["constrain", "project", "audit", "freeze_zeros"])
def test_between_two_batches(function, is_inside):
    """JAX holds the variables in the state of the training step then, of the outermost model."""
    found = []

    def act(batch, logs):
        if batch == 1:
            arguments = {"constrain": [kn.MaxNorm(0.1)]}.get(function, [])
            found.append(getattr(kn, function)(model, *arguments))

    model = small(kernel_constraint=kn.Chain(kn.FixedMask(np.eye(3, 4)), kn.MaxNorm(0.5)))
    trained = keras.Sequential([L.Input((3,)), model]) if is_inside else model
    trained.compile(keras.optimizers.SGD(0.1), "mse")
    fit(trained, keras.callbacks.LambdaCallback(on_train_batch_end=act))
    assert len(found) == 1
    if function == "constrain":
        assert max(unit_norms(kernel).max() for kernel in kernels(model).values()) < 0.1 + 1e-6
    assert kn.audit(model).findings == ()


def test_an_audit_of_a_batch_leaves_no_losses_in_the_model():
    model = small(activity_regularizer=kn.L2(0.1))
    ones = np.ones((8, 3), "float32")
    before = [[float(keras.ops.convert_to_numpy(each)) for each in model.losses]]
    for _ in range(2):
        kn.audit(model, ones, ones[:, :2])
        before.append([float(keras.ops.convert_to_numpy(each)) for each in model.losses])
    assert before == [[], [], []]
    model(ones)
    (held,) = model.losses
    kn.audit(model, 2 * ones)
    assert model.losses == [held]


def test_a_loss_that_is_not_registered_loses_no_constraint():
    def mine(y, predicted):
        return keras.ops.mean((y - predicted) ** 2)

    model = small(kernel_constraint=kn.MaxNorm(0.1))
    model.compile("adam", mine)
    kn.project(model)
    assert kn.audit(model, saving=True).findings == ()


@contextlib.contextmanager
def looking_for_nan():
    """The backend raises an error where a number is NaN or infinite."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        tf.debugging.enable_check_numerics()
        try:
            yield
        finally:
            tf.debugging.disable_check_numerics()
    elif BACKEND == "jax":
        import jax

        with jax.debug_nans(True), jax.debug_infs(True):
            yield
    else:
        import torch

        with torch.autograd.detect_anomaly():
            yield


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@pytest.mark.parametrize(
    "constraint",
    [
        kn.Sparse(0.5),
        kn.SparseNM(1, 3),
        kn.SparseUnits(0.5),
        kn.MaxSpectralNorm(0.5),
        kn.MaxSpectralNorm(0.5, mode="clip"),
        kn.Orthogonal(),
        kn.Simplex(),
        kn.MaxNorm(0.5, ord=1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("start", ["glorot_uniform", "zeros"])
def test_a_tool_that_looks_for_nan_finds_none(constraint, start):
    with looking_for_nan():
        model = small(kernel_constraint=constraint, kernel_initializer=start)
        kn.audit(model, spectra=True)
        kn.project(model)
        fit(model)


class Draws(L.Layer):
    """A layer of a user's that draws random numbers when it is made."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.number = np.random.rand()

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2), constraint=kn.NonNeg())

    def call(self, x):
        return x @ self.matrix


@pytest.mark.parametrize("saving", [False, True])
def test_an_audit_leaves_the_random_numbers_of_numpy(saving):
    model = keras.Sequential([L.Input((3,)), Draws()])
    np.random.seed(3)
    wanted = np.random.rand()
    np.random.seed(3)
    kn.audit(model, saving=saving)
    assert np.random.rand() == wanted


class Module:
    """What PyTorch's modules remember: whether the last call was one of training."""

    training = True

    def modules(self):
        return [self]


class Wrapper(L.Layer):
    def __init__(self):
        super().__init__()
        self.module = Module()

    def call(self, x, training=None):
        self.module.training = bool(training)
        return x


def test_an_audit_leaves_wrapped_modules_in_their_mode():
    wrapper = Wrapper()
    model = keras.Sequential([L.Input((3,)), L.Dense(2), wrapper])
    wrapper.module.training = True
    kn.audit(model, np.ones((1, 3), "float32"))
    assert wrapper.module.training
