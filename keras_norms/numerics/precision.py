"""Precision: every computation runs in float32 at least.

float16 and bfloat16 are cast up once on entry. A constraint casts its result back; a
regularizer returns the float32 (or float64) scalar as it is, because 300**2 already
overflows float16, unless all losses of Keras have half precision.
"""

import keras
import numpy as np
from keras import ops

_FULL = ("float32", "float64")
_HALF = ("float16", "bfloat16")


def lift(x, name="Weights"):
    """`x` as a tensor of float32 or float64, and the dtype that it came in.

    Args:
        x: A `keras.Variable`, a backend tensor, a tracer, a NumPy array, or nested lists
            of floats, of any shape.
        name: What `x` is, for the error message.

    Returns:
        The tensor, and its original dtype as a string (lists have `keras.config.floatx()`).

    Raises:
        TypeError: If `x` does not hold floating-point numbers.
    """
    if isinstance(x, (np.ndarray, np.generic)) or not hasattr(x, "dtype"):
        x = _checked_array(x, name)
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype in _FULL:
        return x, dtype
    if dtype not in _HALF:
        raise _wrong_dtype(name, dtype)
    return ops.cast(x, "float32"), dtype


def lift_numbers(x):
    """`x` as a tensor of float32 or float64. A layer may also return integers, made floats here.

    Raises:
        TypeError: If `x` holds neither floating-point numbers nor integers.
    """
    if "int" in keras.backend.standardize_dtype(getattr(x, "dtype", "float32")):
        x = ops.cast(x, keras.config.floatx())
    return lift(x, "Regularized values")[0]


def lower_to_floatx(x):
    """A penalty in the dtype of Keras' losses where that is a half-precision one."""
    return ops.cast(x, keras.config.floatx()) if keras.config.floatx() in _HALF else x


def lower(x, dtype):
    """A result of a computation in the dtype that `lift` found."""
    return x if dtype in _FULL else ops.cast(x, dtype)


def _checked_array(x, name):
    """`x` as an array. A wrong dtype is refused here, because each backend has another error."""
    given = isinstance(x, (np.ndarray, np.generic))
    x = np.asarray(x)
    if str(x.dtype) not in _FULL + _HALF:
        raise _wrong_dtype(name, x.dtype)
    return x if given else x.astype(keras.config.floatx())


def _wrong_dtype(name, dtype):
    return TypeError(
        f"{name} must be floating-point numbers (float16, bfloat16, float32 or float64). "
        f"Received: dtype={dtype}"
    )
