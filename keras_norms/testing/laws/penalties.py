"""Laws of penalties."""

import math

import keras
from keras import ops

from keras_norms.testing.harness import float64
from keras_norms.testing.laws.measures import function_of, tensor


def scalar(target, w):
    """A penalty is one number, in float32: TensorFlow adds no other to the loss."""
    for dtype in ("float16", "bfloat16", "float32"):
        got = function_of(target, "__call__")(ops.cast(tensor(w), dtype))
        assert hasattr(got, "dtype"), f"must be a tensor. Received: {type(got).__name__}"
        found = (tuple(got.shape), keras.backend.standardize_dtype(got.dtype))
        assert found == ((), "float32"), f"must be ((), 'float32'). Received: {found}"


def not_negative(target, w):
    """A penalty is finite and not negative for moderate weights."""
    got = float(float64(function_of(target, "__call__")(tensor(w))))
    assert 0 <= got < math.inf, f"must be finite and not negative. Received: {got}"
