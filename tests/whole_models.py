"""Small models of every build, and the norms of their units by NumPy.

The axes of a unit's group are written here once more, by the name of the layer, so that the tests
do not rest on the layouts that they test.
"""

import warnings

import keras
import numpy as np

import keras_norms as kn

L = keras.layers
BOUND = 0.5


class Subclassed(keras.Model):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.hidden = L.Dense(6, activation="relu")
        self.head = keras.Sequential([L.Dense(5), L.Dense(2)])

    def call(self, x):
        return self.head(self.hidden(x))


def sequential():
    return keras.Sequential([L.Input((8,)), L.Dense(6, "relu"), L.Dense(2)])


def convolutional():
    inputs = L.Input((8, 8, 2))
    x = L.Conv2D(4, 3, activation="relu")(inputs)
    x = L.BatchNormalization()(x)
    x = L.DepthwiseConv2D(2, depth_multiplier=2)(x)
    x = L.SeparableConv2D(3, 2)(x)
    x = L.Conv2DTranspose(3, 2)(x)
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))


def nested():
    inner = keras.Sequential([L.Input((6,)), L.Dense(5), L.Dense(6)])
    inputs = L.Input((8,))
    return keras.Model(inputs, L.Dense(2)(inner(L.Dense(6)(inputs))))


def shared():
    inputs = L.Input((8,))
    dense = L.Dense(8)
    return keras.Model(inputs, L.Dense(2)(dense(dense(inputs))))


def recurrent():
    inputs = L.Input((5, 3))
    x = L.Bidirectional(L.LSTM(4, return_sequences=True))(inputs)
    x = L.TimeDistributed(L.Dense(4))(x)
    x = L.RNN([L.GRUCell(3), L.SimpleRNNCell(4)])(x)
    return keras.Model(inputs, L.Dense(2)(x))


def attention():
    inputs = L.Input((5, 8))
    x = L.MultiHeadAttention(2, 4)(inputs, inputs)
    x = L.GroupQueryAttention(4, 4, 2)(x, x)
    x = L.EinsumDense("abc,cd->abd", (None, 6))(L.LayerNormalization()(x))
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(x)))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 8), "float32"))
    return model


BUILDERS = {
    f.__name__: f
    for f in (sequential, convolutional, nested, shared, recurrent, attention, subclassed)
}


def model_with(optimizer, constraint=None, **arguments):
    """A compiled model whose first kernel has a constraint: by default, `MaxNorm(BOUND)`."""
    inputs = L.Input((8,))
    hidden = L.Dense(6, kernel_constraint=constraint or kn.MaxNorm(BOUND))(inputs)
    model = keras.Model(inputs, L.Dense(2)(hidden))
    model.compile(optimizer, "mse", **arguments)
    return model


def not_built():
    """A compiled model that has no weights before it is called."""
    model = keras.Sequential([L.Dense(4, kernel_constraint=kn.MaxNorm(BOUND)), L.Dense(2)])
    model.compile(keras.optimizers.SGD(5.0), "mse")
    return model


def batch(model, size=8):
    """Inputs that a model takes, and targets that make its weights grow."""
    shape = model.input_shape[1:] if hasattr(model, "input_shape") else (8,)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((size, *shape)).astype("float32")
    return x, 10 * rng.standard_normal((size, 2)).astype("float32")


def fit(model, epochs=1, **arguments):
    x, y = batch(model)
    return model.fit(x, y, batch_size=4, epochs=epochs, verbose=0, **arguments)


# The axes inside one unit's group, by the parts of a weight's path.
_AXES = [
    ("separable", "depthwise_kernel", (0, 1)),
    ("depthwise", "kernel", (0, 1)),
    ("conv2d_transpose", "kernel", (0, 1, 3)),
    ("conv2d", "kernel", (0, 1, 2)),
    ("separable", "pointwise_kernel", (0, 1, 2)),
    ("attention_output", "kernel", (0, 1)),
    ("", "embeddings", (1,)),
    ("", "kernel", (0,)),
]


def kernels(model):
    """The variables that are kernels, by path."""
    return {
        v.path: v
        for v in model.variables
        if v.path.endswith("kernel") and "variable" not in v.path and "lora" not in v.path
    }


def constrained(model):
    """The variables that are kernels and have a constraint, by path."""
    return {p: v for p, v in kernels(model).items() if v.constraint is not None}


def unit_norms(variable, path=None):
    """The Euclidean norm of each unit, by NumPy in float64."""
    path = path or variable.path
    w = np.asarray(keras.ops.convert_to_numpy(variable), "float64")
    axes = next(a for layer, name, a in _AXES if layer in path and path.endswith(name))
    return np.sqrt((w**2).sum(axis=axes))


def assert_within(variables, bound):
    """Each unit's norm is at most the bound, up to the rounding of float32."""
    for path, variable in variables.items():
        norms = unit_norms(variable, path)
        rounding = (4 + np.log2(np.size(variable) / norms.size)) * 2.0**-23
        assert norms.max() <= bound * (1 + rounding), f"{path}: {norms.max()} > {bound}"


def quietly(function, *arguments, **named):
    """Call what warns of settings that saving loses, as tests/test_saving.py checks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will be lost when the model is saved")
        return function(*arguments, **named)
