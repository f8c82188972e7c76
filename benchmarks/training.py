"""How training steps are compared here: the same deep model, constrained in several ways."""

import functools

import keras
import numpy as np
from timing import seconds_of

UNITS, BATCH, STEPS = 256, 32, 5


def deep(layers, constrain):
    """A compiled model of some Dense layers."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(UNITS, activation="relu") for _ in range(layers - 1)]
    model = keras.Sequential([keras.layers.Input((UNITS,)), *hidden, keras.layers.Dense(UNITS)])
    constrain(model)
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    return model


def seconds_of_a_step(variants, layers, rounds):
    """Seconds of a training step of each variant: an array (rounds, variants).

    Args:
        variants: Functions that constrain a model.
        layers: How many layers the model has.
        rounds: How often a few steps of each are timed, in random order.
    """
    models = [deep(layers, constrain) for constrain in variants]
    x = np.random.default_rng(0).standard_normal((BATCH * STEPS, UNITS)).astype("float32")
    epochs = [functools.partial(one_epoch, model) for model in models]
    for epoch in epochs:
        epoch(x)  # the first one compiles
    return seconds_of(epochs, x, rounds) / STEPS


def one_epoch(model, x):
    """A few steps of training."""
    model.fit(x, x, batch_size=BATCH, verbose=0)
