"""Precision: every computation runs in float32 at least.

float16 and bfloat16 are cast up once on entry. A constraint casts its result back; a
regularizer returns the float32 (or float64) scalar as it is, because 300**2 already
overflows float16.
"""

import keras
import numpy as np
from keras import ops


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
    if not hasattr(x, "dtype"):
        x = np.asarray(x)
        if x.dtype.kind == "f":
            x = x.astype(keras.config.floatx())
    dtype = _dtype_name(x)
    if "float" not in dtype:
        raise TypeError(
            f"{name} must be floating-point numbers, for example float32. Received: dtype={dtype}"
        )
    x = ops.convert_to_tensor(x)
    # Once more: JAX turns float64 arrays into float32 unless x64 is enabled.
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype in ("float32", "float64"):
        return x, dtype
    return ops.cast(x, "float32"), dtype


def _dtype_name(x):
    try:
        return keras.backend.standardize_dtype(x.dtype)
    except (TypeError, ValueError):  # strings and objects, which no backend computes with
        return str(x.dtype)
