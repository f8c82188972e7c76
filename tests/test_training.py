"""Constraints hold after every step of `fit`, and penalties enter the loss, on every path."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_norms as kn
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES

PATHS = {
    "default": {},
    "eagerly": {"run_eagerly": True},
}
if keras.backend.backend() != "torch":  # where `jit_compile` is not XLA but TorchInductor
    PATHS["compiled"] = {"jit_compile": True}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(3.0, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.5),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.5),
}
POLICIES = ["float32", "mixed_float16", "mixed_bfloat16"]


class Norms(keras.callbacks.Callback):
    """What NumPy makes of the weights after each step."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        conv, dense, head = (
            np.asarray(ops.convert_to_numpy(self.model.get_layer(name).kernel), "float64")
            for name in ("conv", "dense", "head")
        )
        self.steps.append(
            [
                np.sqrt((conv**2).sum(axis=(0, 1, 2))),
                np.sqrt((dense**2).sum(axis=0)),
                np.sqrt((head**2).sum(axis=0)),
                ops.convert_to_numpy(self.model.get_layer("head").bias),
            ]
        )


# Every pair of path, policy and optimizer meets once.
TOGETHER = [
    (path, policy, list(OPTIMIZERS)[(i + j) % len(OPTIMIZERS)])
    for i, path in enumerate(PATHS)
    for j, policy in enumerate(POLICIES)
]


@pytest.mark.parametrize(("path", "policy", "optimizer"), TOGETHER)
def test_constraints_hold_after_every_step(path, policy, optimizer):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(
                4, 3, kernel_constraint=kn.MaxNorm(0.5, axis=(0, 1, 2)), dtype=policy, name="conv"
            ),
            layers.Flatten(),
            layers.Dense(8, kernel_constraint=kn.UnitNorm(), dtype=policy, name="dense"),
            layers.Dropout(0.5),
            layers.Dense(
                3,
                kernel_constraint=kn.MinMaxNorm(0.2, 1.5),
                bias_constraint=kn.NonNeg(),
                dtype=policy,
                name="head",
            ),
        ]
    )
    model.compile(
        OPTIMIZERS[optimizer](),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **PATHS[path],
    )
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 6, 6, 1)), rng.integers(0, 3, 24)
    norms = Norms()
    model.fit(x.astype("float32"), y, batch_size=8, epochs=2, verbose=0, callbacks=[norms])
    assert len(norms.steps) == 6
    # 4 + log2(128) ulp of the bound, 128 the largest group: what `project` promises.
    slack = 1 + 11 * 2.0**-23
    for conv, dense, head, bias in norms.steps:
        assert conv.max() <= 0.5 * slack
        assert max(dense.max(), 1 / dense.min()) <= slack
        assert 0.2 / slack <= head.min() <= head.max() <= 1.5 * slack
        assert bias.min() >= 0
    assert max(step[0].max() for step in norms.steps) >= 0.5 / slack, "the bound was never reached"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_hold_to_their_precision(dtype):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(4, kernel_constraint=kn.MaxNorm(0.5), dtype=dtype)
    model = keras.Sequential([keras.layers.Input((6,)), dense])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    x = np.random.default_rng(0).standard_normal((16, 6)).astype("float32")
    model.fit(x, x[:, :4], epochs=2, verbose=0)
    kernel = np.asarray(ops.convert_to_numpy(ops.cast(dense.kernel, "float32")), "float64")
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    assert np.sqrt((kernel**2).sum(axis=0)).max() <= 0.5 * (1 + (4 + np.log2(6)) * eps)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("path", PATHS)
def test_penalties_enter_the_losses_and_the_total(path, policy):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(
        3,
        use_bias=False,
        kernel_regularizer=kn.L1L2(0.25, 0.5),
        activity_regularizer=kn.BatchMean(kn.L2(0.125)),
        dtype=policy,
    )
    model = keras.Sequential(
        [keras.layers.Input((4,)), dense, keras.layers.Rescaling(0.0, dtype="float32")]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", **PATHS[path])
    # Exact in bfloat16, so that the policy changes nothing.
    kernel = np.arange(-6.0, 6.0).reshape(4, 3) / 4
    x = np.arange(-10.0, 10.0).reshape(5, 4) / 2
    dense.kernel.assign(kernel)
    weights = 0.25 * np.abs(kernel).sum() + 0.5 * (kernel**2).sum()
    outputs = 0.125 * ((x @ kernel) ** 2).sum() / 5
    # The outputs round to the policy's precision before they are squared and summed.
    rtol = {"float32": 1e-6, "mixed_float16": 2.0**-10, "mixed_bfloat16": 2.0**-7}[policy]
    x = x.astype("float32")
    model(ops.convert_to_tensor(x))
    np.testing.assert_allclose(
        sorted(float(ops.convert_to_numpy(p)) for p in model.losses),
        sorted([weights, outputs]),
        rtol=rtol,
    )
    zeros = np.zeros((5, 3), "float32")
    assert model.evaluate(x, zeros, batch_size=5, verbose=0) == pytest.approx(
        weights + outputs, rel=rtol
    )
    history = model.fit(x, zeros, batch_size=5, verbose=0)
    assert history.history["loss"][0] == pytest.approx(weights + outputs, rel=rtol)


def test_activity_penalty_of_a_wide_half_precision_layer_is_finite():
    """The sum of the squares is about 1e6; Keras' own L2 adds in float16, up to 65504."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(512, activity_regularizer=kn.L2(1e-3), dtype="mixed_float16")
    model = keras.Sequential(
        [keras.layers.Input((32,)), dense, keras.layers.Identity(dtype="float32")]
    )
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x = 16 * np.random.default_rng(0).standard_normal((64, 32)).astype("float32")
    outputs = x @ ops.convert_to_numpy(dense.kernel)
    assert (outputs**2).sum() > 500_000
    divisor = 64 if DIVIDES_ACTIVITY_PENALTIES else 1
    wanted = (outputs**2).mean() + 1e-3 * (outputs**2).sum() / divisor
    history = model.fit(x, np.zeros((64, 512), "float32"), batch_size=64, verbose=0)
    # Inputs and kernel round to 11 bits each, and so do the outputs.
    assert history.history["loss"][0] == pytest.approx(wanted, rel=3 * 2.0**-11)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("length", [4099, 10007])
def test_a_kernel_of_odd_length_is_exact_after_a_step(path, length):
    """XLA may merge the runs of a sum when it compiles the whole step."""
    dense = keras.layers.Dense(4, kernel_constraint=kn.MaxNorm(3.0), use_bias=False)
    model = keras.Sequential([keras.layers.Input((length,)), dense])
    model.compile(keras.optimizers.SGD(0.0), "mse", **PATHS[path])
    given = (np.array([3, 4.11, 4.83, 5.79]) / np.sqrt(length)).astype("float32")
    dense.kernel.assign(np.broadcast_to(given, (length, 4)))
    model.fit(np.zeros((2, length)), np.zeros((2, 4)), verbose=0)
    exact = given / np.maximum(1, np.sqrt(length) * given.astype("float64") / 3)
    error = np.abs(ops.convert_to_numpy(dense.kernel) / exact - 1).max()
    assert error <= (4 + np.log2(length)) * 2.0**-23
