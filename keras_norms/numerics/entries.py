"""Maps of single entries. PyTorch and JAX have some as methods, which take less time than `ops`."""

from keras import ops


def positive_part(x):
    """`max(x, 0)`. NaN stays NaN."""
    # Under JAX without a compiler, `ops.relu` takes 140 us more. The upper bound is written out,
    # because TensorFlow requires it if its tensors have been given NumPy's methods.
    if hasattr(x, "clip"):
        return x.clip(0, None)
    return ops.relu(x)


def at_least(x, low):
    """`max(x, low)`. NaN stays NaN."""
    return x.clip(low, None) if hasattr(x, "clip") else ops.maximum(x, low)


def root(x):
    """Square roots."""
    return x.sqrt() if hasattr(x, "sqrt") else ops.sqrt(x)


def clip(x, low, high):
    """`x` moved into [low, high]. NaN stays NaN."""
    # Under PyTorch, `ops.clip` rounds the bounds to float32; under JAX, it takes longer.
    return x.clip(low, high) if hasattr(x, "clip") else ops.clip(x, low, high)


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
