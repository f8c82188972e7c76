"""A Dense layer without activation: its output, and one step of gradient descent on it."""

from mpmath import mpf

from conformance.oracles.exact import Tensor


def dense(x, kernel, bias=None):
    """x @ kernel + bias, for x (batch, in) and kernel (in, units)."""
    (batch, size), (_, units) = x.shape, kernel.shape
    entries = [
        sum(x.entries[i * size + k] * kernel.entries[k * units + j] for k in range(size))
        + (bias.entries[j] if bias else 0)
        for i in range(batch)
        for j in range(units)
    ]
    return Tensor((batch, units), tuple(entries))


def descend(x, y, kernel, learning_rate):
    """Kernel and bias after one step on the mean squared error, from a zero bias.

    The loss is the mean over batch and units of (x @ kernel + bias - y)**2.
    """
    (batch, size), (_, units) = x.shape, kernel.shape
    out = dense(x, kernel)
    scale = mpf(2) / (batch * units)
    slope = [scale * (o - t) for o, t in zip(out.entries, y.entries, strict=True)]
    stepped = [
        kernel.entries[k * units + j]
        - learning_rate * sum(x.entries[i * size + k] * slope[i * units + j] for i in range(batch))
        for k in range(size)
        for j in range(units)
    ]
    bias = [-learning_rate * sum(slope[i * units + j] for i in range(batch)) for j in range(units)]
    return Tensor((size, units), tuple(stepped)), Tensor((units,), tuple(bias))
