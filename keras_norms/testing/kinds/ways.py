"""Ways of training, and of putting weights into a model, by name: does the constraint hold there?

A kernel of two units starts with norms of 2.83, and each way ends with a look at its norms.
"""

import math
import tempfile
import warnings

import keras
import numpy as np
from keras import ops

from keras_norms.keras_internals import held_variable
from keras_norms.testing.harness import Measure, Mismatch, NotApplicable, float64

_KERNEL = np.full((4, 2), math.sqrt(2), "float32")
X = np.linspace(-1, 1, 32, dtype="float32").reshape(8, 4)
Y = np.stack([np.sin(X.sum(axis=1)), np.cos(X.sum(axis=1))], axis=1)
RATE = 0.01


def constrained_layer(case, harness, **arguments):
    """A layer with the constraint of a case and a kernel that breaks it."""
    layer = harness.classes["Dense"](2, kernel_constraint=harness.make(case), **arguments)
    layer.build((None, 4))
    layer.kernel.assign(_KERNEL)
    return layer


def compiled_model(layer, harness, optimizer=None, **arguments):
    """A model of the layer, compiled with plain gradient descent or another optimizer."""
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    model.compile(optimizer or harness.classes["SGD"](RATE), "mse", **arguments)
    return model


def _fit(model, **arguments):
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, **arguments)


def within_bound(kernel, case):
    """The measure of the largest norm of a unit against the bound, by NumPy in float64.

    It is that of the largest singular value, if the case says `"of": "singular values"`, and of how
    many entries are not zero, if it says `"of": "zeros"`.
    """
    values = float64(ops.convert_to_tensor(kernel))
    if case.expected.get("of") == "zeros":
        return _counted(values, case.expected["bound"])
    of_spectrum = case.expected.get("of") == "singular values"
    norms = _spectrum(values) if of_spectrum else _norms(values, case.config.get("axis", 0))
    # The kernel starts with one singular value that is not zero, and may keep one.
    is_positive = norms.any() if of_spectrum else norms.all()
    if not np.isfinite(norms).all() or not is_positive:
        # Not a Mismatch: no expected failure excuses it.
        raise ArithmeticError(f"Norms must be finite and positive. Received: {norms}")
    bound = case.expected["bound"]
    # Of 4 entries in float32, 4 + log2(4) ulp; in half precision each entry is rounded by half an
    # ulp, which moves the norm by no more than one.
    step = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(case.dtype, 2.0**-24) * 2 * bound
    excess = max(0.0, norms.max() - bound)
    budget = 1.0 if case.dtype != "float32" else 6.0
    if of_spectrum:
        budget = 1e-5 * bound / step  # as the docstrings promise
    return [Measure("norm", excess / step, budget, excess / bound, case.dtype)]


def _norms(values, axis):
    """The norms of the groups that a config names."""
    axis = tuple(axis) if isinstance(axis, list) else axis
    return np.sqrt((values**2).sum(axis=axis))


def _counted(values, bound):
    """The measure of the number of entries that are not zero, which no rounding changes."""
    if not np.isfinite(values).all():
        raise ArithmeticError(f"Entries must be finite. Received: {values}")
    excess = max(0, np.count_nonzero(values) - bound)
    return [Measure("entries that are not zero", float(excess), 0.0, excess / bound)]


def _spectrum(values):
    if not np.isfinite(values).all():  # of which NumPy has no singular values
        return values
    return np.linalg.svd(values, compute_uv=False)


def fit(case, harness):
    layer = constrained_layer(case, harness, dtype=case.dtype)
    _fit(compiled_model(layer, harness))
    return within_bound(layer.kernel, case)


def fit_eagerly(case, harness):
    layer = constrained_layer(case, harness)
    _fit(compiled_model(layer, harness, run_eagerly=True))
    return within_bound(layer.kernel, case)


def fit_compiled(case, harness):
    if keras.backend.backend() == "torch":
        raise NotApplicable("PyTorch compiles with a C++ compiler that need not be there")
    layer = constrained_layer(case, harness)
    _fit(compiled_model(layer, harness, jit_compile=True))
    return within_bound(layer.kernel, case)


def stateless_apply(case, harness):
    if keras.backend.backend() != "jax":
        raise NotApplicable("only JAX trains by stateless_apply")
    layer = constrained_layer(case, harness)
    optimizer = harness.classes["SGD"](RATE)
    optimizer.build([layer.kernel])
    state = [v.value for v in optimizer.variables]
    (kernel,), _ = optimizer.stateless_apply(state, [ops.ones((4, 2))], [layer.kernel.value])
    return within_bound(kernel, case)


def mixed_float16(case, harness):
    return _under_policy("mixed_float16", case, harness)


def mixed_bfloat16(case, harness):
    return _under_policy("mixed_bfloat16", case, harness)


def _under_policy(policy, case, harness):
    layer = constrained_layer(case, harness, dtype=policy)
    _fit(compiled_model(layer, harness))
    return within_bound(layer.kernel, case)


def optimizer(case, harness):
    name = case.inputs["optimizer"]
    if not hasattr(keras.optimizers, name):
        raise NotApplicable(f"this Keras has no {name}")
    plain = keras.layers.Dense(2)
    plain.build((None, 4))
    try:
        _two_steps(name, plain)
    except AttributeError as error:  # Muon of Keras 3.10 on TensorFlow; any other error fails
        raise Mismatch(f"{name} must train a layer without a constraint: {error}") from error
    layer = constrained_layer(case, harness)
    _two_steps(name, layer)
    return within_bound(layer.kernel, case)


def _two_steps(name, layer):
    chosen = getattr(keras.optimizers, name)(RATE)
    for _ in range(2):
        chosen.apply([ops.ones((4, 2)), ops.ones((2,))], [layer.kernel, layer.bias])


def multi_optimizer(case, harness):
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        raise NotApplicable("this Keras has no MultiOptimizer")
    layer = constrained_layer(case, harness)
    several = keras.optimizers.MultiOptimizer(
        lambda variable: (
            keras.optimizers.Adam(RATE) if "kernel" in variable.path else keras.optimizers.SGD(RATE)
        )
    )
    _fit(compiled_model(layer, harness, several))
    return within_bound(layer.kernel, case)


def nonfinite_step(case, harness):
    layer = constrained_layer(case, harness)
    model = compiled_model(
        layer, harness, keras.optimizers.LossScaleOptimizer(harness.classes["SGD"](RATE))
    )
    model.fit(X, np.full_like(Y, math.inf), batch_size=8, verbose=0)
    skipped = float64(ops.convert_to_tensor(layer.kernel))
    if not np.array_equal(skipped, _KERNEL):
        raise Mismatch(f"The weights must not change. Received: {skipped}")
    _fit(model)
    return within_bound(layer.kernel, case)


def gradient_accumulation(case, harness):
    layer = constrained_layer(case, harness)
    _fit(
        compiled_model(layer, harness, harness.classes["SGD"](RATE, gradient_accumulation_steps=2))
    )
    return within_bound(layer.kernel, case)


def initial_weights(case, harness):
    layer = harness.classes["Dense"](
        2, kernel_constraint=harness.make(case), kernel_initializer="ones"
    )
    layer.build((None, 4))
    return within_bound(layer.kernel, case)


def set_weights(case, harness):
    layer = constrained_layer(case, harness)
    layer.set_weights([_KERNEL, np.zeros(2, "float32")])
    return within_bound(layer.kernel, case)


def load_weights(case, harness):
    layer = constrained_layer(case, harness)
    model = compiled_model(layer, harness)
    with tempfile.TemporaryDirectory() as folder:
        model.save_weights(f"{folder}/kernel.weights.h5")
        _fit(model)
        model.load_weights(f"{folder}/kernel.weights.h5")
    return within_bound(layer.kernel, case)


def _averaging(harness):
    return harness.classes["SGD"](RATE, use_ema=True, ema_momentum=0.9)


def use_ema(case, harness):
    layer = constrained_layer(case, harness)
    model = compiled_model(layer, harness, _averaging(harness))
    for _ in range(4):  # at its end, `fit` would put the averages in
        model.train_on_batch(X, Y)
    return within_bound(layer.kernel, case)


def ema_after_fit(case, harness):
    layer = constrained_layer(case, harness)
    _fit(compiled_model(layer, harness, _averaging(harness)))
    return within_bound(layer.kernel, case)


def ema_while_evaluating(case, harness):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            seen.append(float64(ops.convert_to_tensor(self.model.layers[-1].kernel)))

    layer = constrained_layer(case, harness)
    model = compiled_model(layer, harness, _averaging(harness))
    model.fit(
        X,
        Y,
        validation_data=(X, Y),
        callbacks=[keras.callbacks.SwapEMAWeights(), Look()],
        verbose=0,
    )
    return within_bound(seen[-1], case)


def ema_after_predict(case, harness):
    layer = constrained_layer(case, harness)
    model = compiled_model(layer, harness, _averaging(harness))
    model.train_on_batch(X, Y)
    own = float64(ops.convert_to_tensor(layer.kernel))
    model.predict(X, callbacks=[keras.callbacks.SwapEMAWeights()], verbose=0)
    after = float64(ops.convert_to_tensor(layer.kernel))
    if not np.array_equal(own, after):
        raise Mismatch(f"The model's own weights must be back: {own[0]}. Received: {after[0]}")
    return within_bound(layer.kernel, case)


def ema_second_fit(case, harness):
    layer = constrained_layer(case, harness)
    model = compiled_model(layer, harness, harness.classes["SGD"](RATE, use_ema=True))
    try:
        _fit(model)
        model.evaluate(X, Y, verbose=0)
        _fit(model)
    except Exception as error:
        raise Mismatch(
            f"A second fit must run. Received: {type(error).__name__}", exception=error
        ) from error
    return []


def frozen(case, harness):
    layer = constrained_layer(case, harness)
    layer.trainable = False
    model = keras.Sequential([keras.layers.Input((4,)), layer, keras.layers.Dense(2)])
    model.compile(harness.classes["SGD"](RATE), "mse")
    _fit(model)
    return within_bound(layer.kernel, case)


def frozen_penalty(case, harness):
    layer = harness.classes["Dense"](2, kernel_regularizer=harness.make(case), trainable=False)
    layer.build((None, 4))
    if len(layer.losses) != 1:
        raise Mismatch(f"The layer must add 1 penalty. Received: {len(layer.losses)}")
    return []


def no_gradient(case, harness):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = keras.layers.Dense(2), constrained_layer(case, harness)

        def call(self, x):
            return self.used(x)

    model = Model()
    model.compile(harness.classes["SGD"](RATE), "mse")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gradients do not exist")
        _fit(model)
    return within_bound(model.unused.kernel, case)


def lora(case, harness):
    layer = keras.layers.Dense(2)
    layer.build((None, 4))
    layer.kernel.assign(_KERNEL)
    layer.enable_lora(2)
    held_variable(layer, "kernel").constraint = harness.make(case)
    _fit(compiled_model(layer, harness))
    return within_bound(layer.kernel, case)


def quantized(case, harness):
    layer = constrained_layer(case, harness)
    layer.quantize("int8")
    if held_variable(layer, "kernel").constraint is None:
        raise Mismatch(f"It must be {layer.kernel_constraint}. Received: constraint=None")
    return []


def torch_optimizer(case, harness):
    if keras.backend.backend() != "torch":
        raise NotApplicable("torch.optim trains PyTorch only")
    import torch

    layer = constrained_layer(case, harness)
    optimizer = torch.optim.SGD(layer.parameters(), RATE)
    ops.sum(ops.square(layer(X) - ops.convert_to_tensor(Y))).backward()
    optimizer.step()
    return within_bound(layer.kernel.value.detach(), case)


def accumulation(case, harness):
    layer = constrained_layer(case, harness)
    optimizer = harness.classes["SGD"](RATE, gradient_accumulation_steps=4)
    for _ in range(4):
        optimizer.apply([ops.zeros((4, 2)), ops.zeros((2,))], [layer.kernel, layer.bias])
    norm = np.linalg.norm(float64(ops.convert_to_tensor(layer.kernel)), axis=0).max()
    start, config = np.linalg.norm(_KERNEL, axis=0).max(), case.config
    wanted = start + config["rate"] * (config["max_value"] - start)
    # 8 ulp: one step of 4 entries; a second is 35 % off. NaN is no number below.
    if not abs(norm / wanted - 1) <= 1e-6:
        raise Mismatch(f"The norm must be {wanted}. Received: {norm}")
    return []


WAYS = {
    f.__name__: f
    for f in (
        fit,
        fit_eagerly,
        fit_compiled,
        stateless_apply,
        mixed_float16,
        mixed_bfloat16,
        optimizer,
        multi_optimizer,
        nonfinite_step,
        use_ema,
        gradient_accumulation,
        initial_weights,
        set_weights,
        load_weights,
        ema_after_fit,
        ema_while_evaluating,
        ema_after_predict,
        ema_second_fit,
        frozen,
        frozen_penalty,
        no_gradient,
        lora,
        quantized,
        torch_optimizer,
        accumulation,
    )
}
