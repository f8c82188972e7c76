"""Cases about training: where Keras applies penalties and constraints, and to what."""

import keras
import numpy as np
from keras import ops

from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES
from keras_norms.testing.cases import input_array
from keras_norms.testing.harness import Measure, Mismatch
from keras_norms.testing.kinds.parallel import PARALLEL
from keras_norms.testing.kinds.ways import WAYS


def activity(case, harness):
    """The penalties that a Dense layer adds to its losses for one batch.

    What is expected of the activity penalty depends on Keras: "sum" up to 3.13, and "mean", over
    the batch, from 3.14.
    """
    arguments = {}
    for argument in ("kernel_regularizer", "activity_regularizer"):
        if argument in case.inputs["regularizers"]:
            name, config = case.inputs["regularizers"][argument]
            arguments[argument] = harness.find(name)(**config)
    x = harness.tensor(case.inputs["x"], case.dtype)
    layer = _dense(case, harness, **arguments)
    layer(x)
    activity = "mean" if DIVIDES_ACTIVITY_PENALTIES else "sum"
    wanted = [case.expected[k] for k in ("kernel", activity) if k in case.expected]
    if len(layer.losses) != len(wanted):
        raise Mismatch(f"The layer must add {len(wanted)} penalties. Received: {len(layer.losses)}")
    # A layer lists the penalties of its outputs before those of its weights.
    got = reversed(layer.losses)
    return [
        harness.compare(f"penalty {i}", penalty, expected)
        for i, (penalty, expected) in enumerate(zip(got, wanted, strict=True))
    ]


def fit_step(case, harness):
    """The weights of a Dense layer after one `fit` step of plain gradient descent."""
    layer = _dense(case, harness, kernel_constraint=harness.make(case))
    model = keras.Sequential([layer])
    model.compile(harness.classes["SGD"](case.inputs["learning_rate"]), "mse")
    x, y = input_array(case.inputs["x"]), input_array(case.inputs["y"])
    model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
    return [
        harness.compare("kernel", ops.convert_to_tensor(layer.kernel), case.expected["kernel"]),
        harness.compare("bias", ops.convert_to_tensor(layer.bias), case.expected["bias"]),
    ]


def bounded(case, harness):
    """Norms after every step at a very high learning rate, with dropout, each against its bound.

    The norm is computed here with NumPy in float64. A run in which no group reaches its bound,
    or the biases stay within it too, shows nothing and fails.
    """
    keras.utils.set_random_seed(case.inputs["seed"])
    layers = keras.layers
    hidden, head = (
        harness.classes["Dense"](units, kernel_constraint=harness.make(case)) for units in (16, 3)
    )
    model = keras.Sequential([hidden, layers.ReLU(), layers.Dropout(0.5), head])
    model.compile(
        harness.classes["SGD"](case.inputs["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    rng = np.random.default_rng(case.inputs["seed"])
    y = rng.integers(0, 3, 64)
    x = (rng.standard_normal((64, 8)) + 2 * y[:, None]).astype("float32")
    norms = _Norms()
    model.fit(x, y, batch_size=8, epochs=case.inputs["epochs"], verbose=0, callbacks=[norms])
    bound = case.expected["bound"]
    largest = max(norms.seen)
    biases = max(np.abs(ops.convert_to_numpy(layer.bias)).max() for layer in (hidden, head))
    if not np.isfinite([largest, biases]).all():
        raise Mismatch(f"Weights must stay finite. Received: norm {largest}, bias {biases}")
    if largest < 0.999 * bound or biases <= bound:
        raise Mismatch(
            f"The run must press on the bound {bound}. Received: norm {largest}, bias {biases}"
        )
    excess = float(max(0.0, largest - bound))
    what = f"largest norm of {len(norms.seen)}"
    ulps = excess / float(np.spacing(np.float32(bound)))
    return [Measure(what, ulps, case.expected["budget"], excess / bound)]


class _Norms(keras.callbacks.Callback):
    """The largest norm of a unit's incoming weights, for each kernel after each step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        # Asking for `self.model` is what makes Keras on JAX put the current weights back into it.
        for weight in self.model.trainable_weights:
            if len(weight.shape) == 2:
                kernel = np.asarray(ops.convert_to_numpy(weight), "float64")
                self.seen.append(np.sqrt((kernel**2).sum(axis=0)).max())


def _dense(case, harness, **arguments):
    """A Dense layer with the kernel of the case and a zero bias."""
    kernel = input_array(case.inputs["kernel"])
    layer = harness.classes["Dense"](kernel.shape[1], **arguments)
    layer.build((None, kernel.shape[0]))
    layer.kernel.assign(kernel)
    return layer


def training(case, harness):
    """One way of training, by its name; a broken promise is a Mismatch there."""
    return (WAYS | PARALLEL)[case.inputs["path"]](case, harness)


KINDS = {f.__name__: f for f in (activity, fit_step, bounded, training)}
