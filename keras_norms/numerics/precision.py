"""Precision: every computation runs in float32 at least.

float16 and bfloat16 are cast up once on entry. A constraint casts its result back; a
regularizer returns the float32 (or float64) scalar as it is, because 300**2 already
overflows float16, unless all losses of Keras have half precision.
"""

import reprlib

import keras
import numpy as np
from keras import ops

# The distance from 1 to the next number.
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}

_FULL = ("float32", "float64")
_HALF = ("float16", "bfloat16")


def as_tensor(x, name="Weights"):
    """`x` as a tensor of its dtype.

    Args:
        x: A `keras.Variable`, a backend tensor, a tracer, a NumPy array, or nested lists
            of floats, of any shape. Lists have the dtype `keras.config.floatx()`.
        name: What `x` is, for the error message.

    Raises:
        TypeError: If `x` does not hold floating-point numbers.
        ValueError: If lists are no array, because some are longer than others.
    """
    if isinstance(x, (np.ndarray, np.generic)) or not hasattr(x, "dtype"):
        x = _checked_array(x, name)
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype not in _FULL + _HALF:
        raise _wrong_dtype(name, dtype)
    return x


def has_floats(x):
    """Whether a variable or tensor holds floating-point numbers of a dtype that we compute in."""
    return keras.backend.standardize_dtype(x.dtype) in _FULL + _HALF


def lift(x):
    """A tensor, as one of float32 or float64."""
    return ops.cast(x, "float32") if is_half(x) else x


def lower(x, like):
    """A result of a computation in the dtype of a tensor that was lifted for it."""
    return ops.cast(x, like.dtype) if is_half(like) else x


def is_half(x):
    """Whether a tensor holds float16 or bfloat16."""
    return keras.backend.standardize_dtype(x.dtype) in _HALF


def lift_numbers(x):
    """`x` as a tensor of float32 or float64.

    Integers, which a layer may return, become floats. Lists may hold both.

    Raises:
        TypeError: If `x` holds neither floating-point numbers nor integers.
        ValueError: If lists are no array, because some are longer than others.
    """
    name = "Regularized values"
    if not hasattr(x, "dtype") and (array := _as_array(x, name)).dtype.kind in "iu":
        x = array
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind not in "iu":
        x = _checked_array(x, name)
    if "int" in keras.backend.standardize_dtype(getattr(x, "dtype", "float32")):
        x = ops.cast(x, "float64" if keras.config.floatx() == "float64" else "float32")
    return lift(as_tensor(x, name))


def lower_to_floatx(x):
    """A penalty in the dtype of Keras' losses where that is a half-precision one."""
    return ops.cast(x, keras.config.floatx()) if keras.config.floatx() in _HALF else x


def _checked_array(x, name):
    """`x` as an array. A wrong dtype is refused here, because each backend has another error."""
    given = isinstance(x, (np.ndarray, np.generic))
    x = _as_array(x, name)
    if str(x.dtype) not in _FULL + _HALF:
        raise _wrong_dtype(name, x.dtype)
    return x if given else x.astype(keras.config.floatx())


def _as_array(x, name):
    try:
        return np.asarray(x)
    except ValueError as error:  # of rows of several lengths
        raise ValueError(
            f"{name} must be an array, whose rows have one length. Received: {reprlib.repr(x)}"
        ) from error


def _wrong_dtype(name, dtype):
    return TypeError(
        f"{name} must be floating-point numbers (float16, bfloat16, float32 or float64). "
        f"Received: dtype={dtype}"
    )
