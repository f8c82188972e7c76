"""All that the project knows about the backends: gradients, compilation and devices.

The package itself uses `keras.ops` only. What must be asked of a backend directly, in order to
test it, is asked here.
"""

import contextlib

import keras
import numpy as np
from keras import ops


def gradient(function, x):
    """The gradient of the scalar `function` at `x`: a tensor of the shape of `x`."""
    backend = keras.backend.backend()
    x = ops.convert_to_tensor(x)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        result = tape.gradient(y, x)
    elif backend == "torch":
        x = x.detach().requires_grad_(True)
        y = function(x)
        if y.requires_grad:  # a constant has no gradient, which is None on TensorFlow, too
            y.backward()
        result = x.grad
    elif backend == "jax":
        import jax

        result = jax.grad(function)(x)
    else:
        raise ValueError(f"Unknown backend. Received: {backend!r}")
    return result


def compiled(function, one_graph=True, xla=True):
    """`function` of one tensor, compiled: XLA on TensorFlow and JAX, TorchDynamo on PyTorch.

    There it must be a single graph, unless `one_graph` is False: `keras.ops.while_loop` is a loop
    of Python's under PyTorch. TensorFlow's own graph without XLA is compiled if `xla` is False.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla, autograph=False)
    if backend == "torch":
        import torch

        torch.compiler.reset()  # it gives up on a method that it compiled for many objects
        return torch.compile(function, fullgraph=one_graph, backend="eager", dynamic=False)
    if backend == "jax":
        import jax

        # Also a result that does not depend on the tensor lies where the tensor does.
        return jax.jit(function, keep_unused=True)
    raise ValueError(f"Unknown backend. Received: {backend!r}")


def compilers():
    """The arguments of `compiled` for every compiler of this backend, by what they make."""
    graph = {"as a graph": {"xla": False}} if keras.backend.backend() == "tensorflow" else {}
    return {"compiled": {}} | graph


def repeated(function):
    """`function` of one tensor, fit to be called thousands of times.

    JAX compiles a loop anew in each eager call; the others run it as it is.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def devices():
    """The number of devices that a training can be spread over, in this process or in several.

    A CPU counts for the virtual devices that it has been split into: by `XLA_FLAGS` under JAX, and
    here under TensorFlow, which must not have computed anything before. PyTorch starts processes.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        with contextlib.suppress(RuntimeError):  # it has computed, and keeps what it has
            tf.config.set_logical_device_configuration(cpu, halves)
        count = len(tf.config.list_logical_devices("CPU"))
    elif backend == "torch":
        count = 2
    elif backend == "jax":
        import jax

        count = len(jax.devices())
    else:
        raise ValueError(f"Unknown backend. Received: {backend!r}")
    return count


def spread(tensor):
    """A tensor of JAX over a mesh of two, four or eight devices: axes of even length are split."""
    import jax

    names = "abc"[: len(jax.devices()).bit_length() - 1]
    devices = np.array(jax.devices()[: 2 ** len(names)])
    mesh = jax.sharding.Mesh(devices.reshape((2,) * len(names)), tuple(names))
    left = iter(names)
    split = [next(left, None) if size and size % 2 == 0 else None for size in tensor.shape]
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*split))
    return jax.device_put(tensor, sharding)


def device_of(tensor):
    """Where a backend tensor lies: "cpu" or "gpu", or "mesh" if that is on several devices."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        name = tf.convert_to_tensor(tensor).device.split(":")[-2]
    elif backend == "torch":
        name = tensor.device.type
    elif backend == "jax":
        devices = tensor.devices()
        if len(devices) > 1:
            return "mesh"
        name = next(iter(devices)).platform
    else:
        raise ValueError(f"Unknown backend. Received: {backend!r}")
    return "cpu" if name.lower() == "cpu" else "gpu"
