"""Maps of single entries. PyTorch and JAX have some as methods, which take less time than `ops`."""

import math

import keras
import numpy as np
from keras import ops


def positive_part(x):
    """`max(x, 0)`. NaN stays NaN. The slope at 0 differs between backends; see `relu`."""
    # Under JAX without a compiler, `ops.relu` takes 140 us more. The upper bound is written out,
    # because TensorFlow requires it if its tensors have been given NumPy's methods.
    if hasattr(x, "clip"):
        return x.clip(0, None)
    return ops.relu(x)


def relu(x):
    """`max(x, 0)`, with the slope 0 at 0. NaN stays NaN."""
    # Under JAX without a compiler, `ops.relu` takes 200 us more.
    return ops.where(x <= 0, 0.0, x) if hasattr(x, "at") else ops.relu(x)


def at_least(x, low):
    """`max(x, low)`. NaN stays NaN."""
    return x.clip(low, None) if hasattr(x, "clip") else ops.maximum(x, low)


def root(x):
    """Square roots."""
    return x.sqrt() if hasattr(x, "sqrt") else ops.sqrt(x)


def clip(x, low, high):
    """`x` moved into [low, high]. NaN stays NaN, and the slope of an entry on a bound is 1.

    Args:
        x: A tensor of float32 or float64.
        low: A Python number, -inf for no lower bound.
        high: A Python number, not below `low`, inf for no upper bound.
    """
    low, high = _in_range_of(x, low), _in_range_of(x, high)
    # `ops.clip` rounds the bounds to float32 on PyTorch, and has the slope 1/2 there on JAX.
    if hasattr(x, "clamp"):  # PyTorch: one pass in place of four
        return x.clamp(low, high)
    return replaced(replaced(x, x < low, low), x > high, high)


def _in_range_of(x, number):
    """A Python number, or infinity if it is beyond the numbers of a tensor: PyTorch refuses it."""
    largest = float(np.finfo(keras.backend.standardize_dtype(x.dtype)).max)
    return number if abs(number) <= largest else math.copysign(math.inf, number)


def up_to(x, limit, number):
    """`x` with a Python number in place of its entries up to a limit. NaN stays NaN."""
    if hasattr(x, "masked_fill"):  # PyTorch: one pass, where a mask takes three
        return ops.threshold(x, limit, number)
    return replaced(x, x <= limit, number)


def replaced(x, condition, number):
    """`x` with a Python number in place of its entries for which the condition is true."""
    if hasattr(x, "masked_fill"):  # under PyTorch, `ops.where` takes 15 us more
        return x.masked_fill(condition, number)
    return ops.where(condition, tensor(number, x), x)


def tensor(number, like):
    """A Python number as a tensor of the dtype of another: `ops.where` makes it float32."""
    return ops.convert_to_tensor(number, dtype=like.dtype)


def magnitude(x):
    """Absolute values, with gradient 0 at 0 on every backend (JAX's `abs` has 1)."""
    return x * ops.stop_gradient(ops.sign(x))
