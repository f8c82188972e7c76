"""A least-squares problem whose constrained training NumPy can repeat in float64."""

import json

import numpy as np

INPUTS, UNITS, BATCH, STEPS, RATE, BOUND = 64, 32, 16, 5, 2.0, 0.5

_draw = np.random.default_rng(0)
X = _draw.standard_normal((BATCH, INPUTS)).astype("float32")
Y = _draw.standard_normal((BATCH, UNITS)).astype("float32")
START = (0.3 * _draw.standard_normal((INPUTS, UNITS))).astype("float32")


def expected():
    """The kernel after the steps: gradient of the mean squared error, step, nearest point."""
    w, x, y = (a.astype("float64") for a in (START, X, Y))
    w = nearest(w)
    for _ in range(STEPS):
        w = nearest(w - RATE * 2 * x.T @ (x @ w - y) / (BATCH * UNITS))
    return w


def nearest(w):
    """Each unit's weights inside the ball."""
    return w * np.minimum(1, BOUND / np.sqrt((w**2).sum(axis=0)))


def model():
    """The model, constrained after it is built."""
    import keras

    import keras_norms as kn

    dense = keras.layers.Dense(UNITS, use_bias=False, name="dense")
    built = keras.Sequential([keras.layers.Input((INPUTS,)), dense])
    dense.kernel.assign(START)
    kn.constrain(built, kn.MaxNorm(BOUND))
    return built


def train(built):
    """The steps, by `fit`."""
    import keras

    built.compile(keras.optimizers.SGD(RATE), "mse")
    built.fit(X, Y, batch_size=BATCH, epochs=STEPS, shuffle=False, verbose=0)


def show(**kernels):
    """Print arrays for the test that runs this process."""
    print(json.dumps({name: np.asarray(value).tolist() for name, value in kernels.items()}))
