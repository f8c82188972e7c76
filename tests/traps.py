"""Traps: for each code of a finding a model that has it, and its healthy twin."""

import keras
import numpy as np
from whole_models import L, fit

import keras_norms as kn

theirs = keras.constraints
# Where the loop of an RNN is traced, `fit` fails at the penalty of its cell.
TRACES_LOOPS = keras.backend.backend() != "torch"


def model_of(*layers, shape=(8,), compiled=None):
    model = keras.Sequential([L.Input(shape), *layers])
    if compiled is not None:
        model.compile(compiled, "mse")
    return model


def conv(**arguments):
    return model_of(L.Conv2D(4, 3, **arguments), shape=(8, 8, 3))


def dense(**arguments):
    return model_of(L.Dense(4, **arguments))


def at_once(model, **arguments):
    kn.constrain(model, kn.MaxNorm(0.5), **arguments)
    return model


def attribute_only():
    model = dense()
    model.layers[0].kernel_constraint = kn.MaxNorm(9.0)
    return model


def penalty_attribute_only():
    model = dense()
    model.layers[0].kernel_regularizer = keras.regularizers.L2(0.1)
    return model


class Branching(keras.Model):
    """A model that calls one of its layers only while it trains."""

    def __init__(self):
        super().__init__()
        self.noise, self.head = L.Normalization(), L.Dense(3, name="head")

    def build(self, shape):
        self.head.build(shape)

    def call(self, x, training=False):
        return self.head(self.noise(x) if training else x)


def branching(trains):
    model = Branching()
    model(np.ones((2, 8), "float32"), training=trains)
    return model


def frozen(bound):
    model = dense(kernel_constraint=kn.MaxNorm(bound))
    model.layers[0].trainable = False
    return model


def with_lora(constraint):
    model = dense()
    model.layers[0].enable_lora(2)
    model.layers[0]._kernel.constraint = constraint
    return model


def quantized(**arguments):
    model = dense(**arguments)
    model.layers[0].quantize("int8")
    return model


def wrapped(inner, **arguments):
    return model_of(L.TimeDistributed(L.Dense(2, **inner)), shape=(3, 2))


def cell(**arguments):
    step = L.LSTMCell(2)
    step.activity_regularizer = arguments.pop("penalty", None)
    return model_of(L.RNN(step, **arguments), shape=(3, 2))


def fitted(**arguments):
    model = model_of(L.Dense(2, kernel_constraint=kn.MaxNorm(0.5)))
    model.compile(keras.optimizers.SGD(0.1, clipnorm=10.0, use_ema=True, ema_momentum=0.5), "mse")
    fit(model, epochs=2, **arguments)
    return model


def accumulating(rate):
    model = dense(kernel_constraint=kn.MinMaxNorm(0.0, 9.0, rate=rate))
    model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4), "mse")
    return model


@keras.saving.register_keras_serializable("traps")
class Infinite(keras.regularizers.Regularizer):
    """A penalty of a user's that is infinite."""

    def __call__(self, x):
        return keras.ops.sum(x) / 0.0

    def get_config(self):
        return {}


def large(penalty):
    """A float16 kernel, the sum of whose squares overflows."""
    model = model_of(L.Dense(64, kernel_regularizer=penalty, dtype="float16"), shape=(64,))
    model.layers[0].kernel.assign(np.full((64, 64), 100.0))
    return model


def variable_only():
    model = dense()
    model.layers[0].kernel.constraint = kn.MaxNorm(9.0)
    return model


def variable_penalty_only():
    model = dense()
    model.layers[0].kernel.regularizer = kn.L2(0.1)
    return model


class Own(L.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2), constraint=theirs.MaxNorm(9.0))

    def call(self, x):
        return x @ self.matrix


def unknown():
    class Unknown(Own):
        pass

    return model_of(Unknown())


def known():
    class Known(Own):
        pass

    kn.register_layout(Known, matrix="in unit")
    return model_of(Known())


# code: severity, the trap, its healthy twin
def not_finite(value):
    model = dense(kernel_constraint=kn.MaxNorm(9.0))
    model.layers[0].kernel.assign(np.full((8, 4), value, "float32"))
    return model


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean((y - y_pred) ** 2)


class OwnLossAndPenalties(OwnLoss):
    def compute_loss(self, *args, **kwargs):
        return OwnLoss.compute_loss(self, *args, **kwargs) + sum(self.losses)


class OwnStep(keras.Model):
    def train_step(self, *args):
        return {"loss": self.measure(*args)}

    def measure(self, *args):
        return 0.0


class CallsAnother(OwnStep):
    def measure(self, *args):
        return sum(self.losses)


def own_step(cls):
    inputs = L.Input((8,))
    return cls(inputs, L.Dense(4, kernel_regularizer=kn.L2(0.1))(inputs))


TRAPS = {
    "wrong-axis, Keras' default on a convolution": (
        "error",
        lambda: conv(kernel_constraint=theirs.MaxNorm(9.0)),
        lambda: conv(kernel_constraint=theirs.MaxNorm(9.0, axis=[0, 1, 2])),
    ),
    "wrong-axis, where clipped entries have no axis": (
        "error",
        lambda: conv(kernel_constraint=kn.MaxNorm(9.0)),
        lambda: conv(kernel_constraint=kn.MaxNorm(9.0, ord="inf")),
    ),
    "wrong-axis, ours in a chain": (
        "error",
        lambda: conv(kernel_constraint=kn.Chain(kn.Clip(-9, 9), kn.MaxNorm(9.0))),
        lambda: conv(kernel_constraint=kn.Chain(kn.Clip(-9, 9), kn.MaxNorm(9.0, axis=(0, 1, 2)))),
    ),
    "wrong-axis, an embedding": (
        "error",
        lambda: model_of(L.Embedding(5, 3, embeddings_constraint=theirs.MaxNorm(9.0))),
        lambda: model_of(L.Embedding(5, 3, embeddings_constraint=theirs.MaxNorm(9.0, axis=1))),
    ),
    "wrong-axis, one row of electrodes": (  # axis 0 has length 1: each weight is clipped
        "error",
        lambda: model_of(
            L.DepthwiseConv2D((1, 6), depthwise_constraint=theirs.MaxNorm(9.0)), shape=(9, 6, 2)
        ),
        lambda: model_of(
            L.DepthwiseConv2D((6, 1), depthwise_constraint=theirs.MaxNorm(9.0)), shape=(6, 9, 2)
        ),
    ),
    "wrong-axis, a penalty of an embedding": (
        "error",
        lambda: model_of(L.Embedding(5, 3, embeddings_regularizer=kn.GroupLasso(0.1))),
        lambda: model_of(L.Embedding(5, 3, embeddings_regularizer=kn.GroupLasso(0.1, axis=1))),
    ),
    "wrong-axis, a penalty in a sum": (
        "error",
        lambda: conv(kernel_regularizer=kn.SoftOrthogonalRegularizer(0.1) + kn.L2(0.1)),
        lambda: conv(kernel_regularizer=kn.GroupLasso(0.1, axis=(0, 1, 3)) + kn.L2(0.1)),
    ),
    "whole-tensor": (
        "warning",
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0, axis=None)),
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0)),
    ),
    "not-applied": ("error", attribute_only, lambda: dense(kernel_constraint=kn.MaxNorm(9.0))),
    "not-applied, a penalty": (
        *("error", penalty_attribute_only),
        lambda: dense(kernel_regularizer=keras.regularizers.L2(0.1)),
    ),
    "wrong-kind": (
        *("error", lambda: dense(kernel_constraint=kn.L2(0.1))),
        lambda: dense(kernel_regularizer=kn.L2(0.1)),
    ),
    "wrong-kind, a constraint": (
        *("error", lambda: dense(kernel_regularizer=theirs.MaxNorm(9.0))),
        lambda: dense(kernel_constraint=theirs.MaxNorm(9.0)),
    ),
    "bad-argument": (
        "error",
        lambda: dense(kernel_constraint=theirs.MaxNorm(-1)),
        lambda: dense(kernel_constraint=theirs.MaxNorm(9.0)),
    ),
    "bad-argument, NaN": (
        "error",
        lambda: dense(kernel_constraint=theirs.MaxNorm(float("nan"))),
        lambda: dense(kernel_constraint=theirs.MaxNorm(9)),
    ),
    "cannot-apply": (
        *("error", lambda: dense(kernel_constraint=kn.MaxNorm(9.0, axis=5))),
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0, axis=-2)),
    ),
    "frozen": ("error", lambda: frozen(0.1), lambda: frozen(9.0)),
    "lora": ("error", lambda: with_lora(kn.MaxNorm(9.0)), lambda: with_lora(None)),
    "overwritten": (
        "error",
        lambda: model_of(L.SpectralNormalization(L.Dense(4, kernel_constraint=kn.MaxNorm(0.1)))),
        lambda: model_of(L.SpectralNormalization(L.Dense(4, bias_constraint=kn.MaxNorm(0.1)))),
    ),
    "quantized": (
        *("warning", lambda: quantized(kernel_constraint=kn.MaxNorm(9.0))),
        quantized,
    ),
    "violated": (
        "warning",
        lambda: dense(kernel_constraint=kn.MaxNorm(0.1)),
        lambda: at_once(dense()),
    ),
    "half-precision": (
        "warning",
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0), dtype="float16"),
        lambda: dense(kernel_constraint=kn.MaxNorm(9.0), dtype="mixed_float16"),
    ),
    "batch-of-weights": (
        "warning",
        lambda: dense(kernel_regularizer=kn.BatchMean(kn.L2(0.1))),
        lambda: dense(activity_regularizer=kn.BatchMean(kn.L2(0.1))),
    ),
    "unreachable": (
        "warning",
        lambda: dense(kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1)),
        lambda: dense(kernel_regularizer=kn.OrthogonalRegularizer(0.1, mode="columns")),
    ),
    "unreachable, columns of a wide kernel": (
        "warning",
        lambda: model_of(L.Dense(9, kernel_regularizer=kn.OrthogonalRegularizer(0.1, "columns"))),
        lambda: model_of(L.Dense(9, kernel_regularizer=kn.OrthogonalRegularizer(0.1, "rows"))),
    ),
    "unreachable, of more groups than entries": (
        "warning",
        lambda: model_of(L.Dense(9, kernel_regularizer=kn.SoftOrthogonalRegularizer(0.1))),
        lambda: model_of(L.Dense(9, kernel_regularizer=kn.SoftOrthogonalRegularizer(0.1, axis=1))),
    ),
    "unreachable, of both sides": (
        "warning",
        lambda: model_of(L.Dense(2, kernel_regularizer=kn.SoftOrthogonalRegularizer(0.1, "dso"))),
        lambda: model_of(L.Dense(2, kernel_regularizer=kn.SoftOrthogonalRegularizer(0.1, "so"))),
    ),
    "unknown-layout": ("warning", unknown, known),
    "activity-dropped": (
        "error",
        lambda: wrapped({"activity_regularizer": kn.L2(0.1)}),
        lambda: wrapped({"kernel_regularizer": kn.L2(0.1)}),
    ),
    "not-finite": ("error", lambda: not_finite(np.nan), lambda: not_finite(1.0)),
    "not-finite, a penalty": (
        "error",
        lambda: large(keras.regularizers.L2(1e-4)),
        lambda: large(kn.L2(1e-4)),
    ),
    "not-finite, a penalty that ours does not mend": (
        "error",
        lambda: large(Infinite()),
        lambda: large(None),
    ),
    "not-finite, infinity": ("error", lambda: not_finite(np.inf), lambda: not_finite(1.0)),
    "wrong-kind, of outputs": (
        "error",
        lambda: dense(activity_regularizer=kn.MaxNorm(2.0)),
        lambda: dense(activity_regularizer=kn.L2(0.1)),
    ),
    "not-built": ("warning", lambda: branching(trains=False), lambda: branching(trains=True)),
    "own-step": ("warning", lambda: own_step(OwnLoss), lambda: own_step(OwnLossAndPenalties)),
    "own-step, of training": ("warning", lambda: own_step(OwnStep), lambda: own_step(CallsAnother)),
    "averages": ("error", fitted, lambda: fitted(callbacks=[kn.ProjectWeights()])),
    "repeated-rate": ("warning", lambda: accumulating(0.5), lambda: accumulating(1.0)),
    "not-saved": ("warning", variable_only, lambda: dense(kernel_constraint=kn.MaxNorm(9.0))),
    "not-saved, a penalty": (
        *("warning", variable_penalty_only),
        lambda: dense(kernel_regularizer=kn.L2(0.1)),
    ),
}
if TRACES_LOOPS:
    TRAPS["activity-dropped, of a cell"] = (
        "error",
        lambda: cell(penalty=kn.L2(0.1)),
        lambda: model_of(L.LSTM(2, activity_regularizer=kn.L2(0.1)), shape=(3, 2)),
    )
    TRAPS["activity-dropped, of a cell in a loop"] = (
        "error",
        lambda: cell(penalty=kn.L2(0.1)),
        lambda: cell(penalty=kn.L2(0.1), unroll=True),
    )
# The fix of these is for another model: one that is built again, is called, or has another class.
REBUILT = {"half-precision", "not-built", *(name for name in TRAPS if name.startswith("own-step"))}
