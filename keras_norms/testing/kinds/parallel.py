"""Training on several devices, as each backend distributes it: does the constraint hold there?

Only a run with `--device mesh` has several devices, which are virtual ones on a CPU.
"""

import pathlib
import tempfile
import time

import keras
import numpy as np
from keras import ops

from keras_norms.testing.harness import Mismatch, NotApplicable, float64
from keras_norms.testing.kinds.ways import (
    RATE,
    X,
    Y,
    compiled_model,
    constrained_layer,
    within_bound,
)

# Two processes import Keras and train for less than ten seconds.
SECONDS = 180


def data_parallel(case, harness):
    """Each device has the kernel, and computes with a part of the batch."""
    if harness.device != "mesh":
        raise NotApplicable("only `--device mesh` has several devices")
    backend = keras.backend.backend()
    if backend == "tensorflow":
        copies = _on_mirrors(case, harness)
    elif backend == "torch":
        copies = _in_processes(case, harness)
    else:
        kernel = _distributed(keras.distribution.DataParallel(), case, harness)
        copies = [float64(shard.data) for shard in kernel.addressable_shards]
    first, *others = copies
    if not others or any(other.shape != (4, 2) for other in copies):
        raise Mismatch(f"Each device must have the kernel. Received: {len(copies)} copies")
    if any(not np.array_equal(other, first) for other in others):
        raise Mismatch(f"Devices must have the same kernel. Received: {copies}")
    return within_bound(first, case)


def model_parallel(case, harness):
    """Each device has a part of each unit, so that a norm is a sum over devices."""
    if harness.device != "mesh" or keras.backend.backend() != "jax":
        raise NotApplicable("only JAX with `--device mesh` splits a kernel over devices")
    devices = keras.distribution.list_devices()
    mesh = keras.distribution.DeviceMesh((len(devices) // 2, 2), ["batch", "model"], devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*kernel.*"] = ("model", None)
    spread = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    kernel = _distributed(spread, case, harness)
    shards = kernel.addressable_shards
    if any(shard.data.shape != (2, 2) for shard in shards):
        raise Mismatch(f"Each device must have half of the kernel. Received: {kernel.sharding}")
    return within_bound(kernel, case)


def _train(case, harness):
    """A kernel, and a function that trains it on whole batches, which several devices can share."""
    layer = constrained_layer(case, harness)
    model = compiled_model(layer, harness)
    return layer.kernel, lambda: model.fit(X, Y, batch_size=len(X), epochs=4, verbose=0)


def _distributed(distribution, case, harness):
    """The kernel, which lies on the devices of JAX."""
    keras.distribution.set_distribution(distribution)
    try:
        kernel, train = _train(case, harness)
        train()
    finally:
        keras.distribution.set_distribution(None)
    return kernel.value


def _on_mirrors(case, harness):
    """The kernel of each replica of a `tf.distribute.MirroredStrategy`."""
    import tensorflow as tf

    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    with tf.distribute.MirroredStrategy(names).scope():
        kernel, train = _train(case, harness)
    train()
    return [float64(value) for value in kernel.value.values]


def _in_processes(case, harness):
    """The kernel of each of two processes under `DistributedDataParallel`."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        arguments = (folder, case, harness)
        context = torch.multiprocessing.spawn(_in_one_process, arguments, nprocs=2, join=False)
        deadline = time.monotonic() + SECONDS
        while not context.join(timeout=1):
            if time.monotonic() > deadline:
                for process in context.processes:
                    process.kill()
                raise TimeoutError(f"Two processes did not end within {SECONDS} s")
        return [np.load(path) for path in sorted(pathlib.Path(folder).glob("*.npy"))]


def _in_one_process(rank, folder, case, harness):
    """Keep the kernel of one of the two processes."""
    import torch

    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    np.save(f"{folder}/{rank}.npy", _trained_on_a_half(rank, case, harness))
    torch.distributed.barrier()  # none may leave while the other still communicates
    torch.distributed.destroy_process_group()


def _trained_on_a_half(rank, case, harness):
    """The kernel after training on a half of each batch: gradients are averaged.

    The optimizer is Keras'. What holds the group ends with this function: it must not outlive it.
    """
    import torch

    layer = constrained_layer(case, harness)
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = harness.classes["SGD"](RATE)
    x, y = (ops.convert_to_tensor(np.array_split(a, 2)[rank]) for a in (X, Y))
    weights = model.trainable_weights
    for _ in range(4):
        parallel.zero_grad()
        ops.mean(ops.square(parallel(x) - y)).backward()
        with torch.no_grad():
            optimizer.apply([w.value.grad for w in weights], weights)
    return float64(layer.kernel.value.detach())


PARALLEL = {f.__name__: f for f in (data_parallel, model_parallel)}
