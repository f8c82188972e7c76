"""Eight virtual devices under JAX: data and model parallelism, along either axis and both."""

import re
import sys

import jax
import keras
import numpy as np
import problem
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import keras_norms as kn

devices = keras.distribution.list_devices()
assert len(devices) == 8, devices


def data_parallel():
    return keras.distribution.DataParallel(devices=devices)


def model_parallel(mesh_shape, axes):
    """The kernel's axes by the names of the mesh's."""
    mesh = keras.distribution.DeviceMesh(mesh_shape, ["batch", "model"], devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*kernel.*"] = axes
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


# The whole kernel on each device; its units, its reduced axis, and both spread over devices.
DISTRIBUTIONS = [
    data_parallel,
    lambda: model_parallel((2, 4), (None, "model")),
    lambda: model_parallel((2, 4), ("model", None)),
    lambda: model_parallel((2, 4), ("batch", "model")),
]


def trained(distribution):
    """The kernel after training; it is really spread as asked."""
    keras.distribution.set_distribution(distribution)
    model = problem.model()
    kernel = model.layers[0].kernel
    problem.train(model)
    return kernel.value


# kernel, the axes inside a unit's group, and how it is sharded over a mesh of 2 x 4
KERNELS = {
    "dense, reduced axis": ((512, 256), 0, ("b", None)),
    "dense, units": ((512, 256), 0, (None, "b")),
    "dense, both": ((512, 256), 0, ("a", "b")),
    "convolution, input channels": ((3, 3, 64, 128), (0, 1, 2), (None, None, "b", None)),
    "convolution, filters": ((3, 3, 64, 128), (0, 1, 2), (None, None, None, "b")),
    "convolution, both": ((3, 3, 64, 128), (0, 1, 2), (None, None, "a", "b")),
}
# A result, or several in one collective, and the operation.
COLLECTIVE = re.compile(
    r"= ([^=\n]*(?:/\*index=\d+\*/[^=\n]*)*) (all-reduce|all-gather|all-to-all|"
    r"collective-permute|reduce-scatter)(?:-start)?\("
)
RESULT = re.compile(r"[a-z]\w+\[([\d,]*)\]")


MESH = Mesh(np.array(jax.devices()).reshape(2, 4), ("a", "b"))


def collectives(constraint, shape, spec, out_spec):
    """The name and number of entries of each collective in the compiled program."""
    w = jax.device_put(
        np.random.default_rng(0).standard_normal(shape).astype("float32"),
        NamedSharding(MESH, PartitionSpec(*spec)),
    )
    out_shardings = NamedSharding(MESH, PartitionSpec(*out_spec))
    compiled = jax.jit(constraint, out_shardings=out_shardings).lower(w).compile()
    out = np.asarray(compiled(w))
    text = compiled.as_text()
    collected = COLLECTIVE.findall(text)
    every = re.findall(r" (?:all-|collective-|reduce-s)[\w-]+(?<!-done)\(", text)
    assert len(collected) == len(every), text
    found = [
        [name, int(np.prod([int(n) for n in size.split(",") if n]))]
        for results, name in collected
        for size in RESULT.findall(results)
    ]
    return found, out


def moved():
    """For each kernel: its groups, its weights, collectives of the constraint and of a control."""
    report = {}
    for name, (shape, axis, spec) in KERNELS.items():
        constraint = kn.MaxNorm(0.5, axis)

        ours, out = collectives(constraint, shape, spec, spec)
        control, _ = collectives(constraint, shape, spec, ())  # the result on every device
        axes = (axis,) if isinstance(axis, int) else axis
        norms = np.sqrt((out.astype("float64") ** 2).sum(axis=axes))
        report[name] = {
            "groups": int(norms.size),
            "weights": int(out.size),
            "partial sums": int(out.size) // max(shape[a] for a in axes),
            "ours": ours,
            "control": control,
            "largest norm": float(norms.max()),
        }
    return report


def spectra():
    """For each spectral constraint and side that is sharded: its spectrum, and what is sent."""
    report = {}
    scale = kn.MaxSpectralNorm(0.5, mode="scale")
    for constraint in (kn.MaxSpectralNorm(0.5), scale, kn.Orthogonal(0.5)):
        for side, spec in (("inputs", ("b", None)), ("units", (None, "b"))):
            sent, out = collectives(constraint, (512, 256), spec, spec)
            values = np.linalg.svd(out.astype("float64"), compute_uv=False)
            report[f"{constraint!r}, {side}"] = {
                "largest": float(values.max()),
                "sent": [size for _, size in sent],
            }
    return report


def sparse():
    """For each sparse constraint and side that is sharded: whether it is the same, what is sent."""
    report = {}
    mask = np.random.default_rng(1).random((512, 256)) < 0.1
    per_unit, units = kn.Sparse(0.9, axis=0), kn.SparseUnits(0.5)
    for constraint in (kn.Sparse(0.9), per_unit, kn.SparseNM(), units, kn.FixedMask(mask)):
        for side, spec in (("inputs", ("b", None)), ("units", (None, "b"))):
            sent, out = collectives(constraint, (512, 256), spec, spec)
            w = np.random.default_rng(0).standard_normal((512, 256)).astype("float32")
            report[f"{constraint!r}, {side}"] = {
                "same": bool(np.array_equal(out, np.asarray(constraint(w)))),
                "sent": sent,
            }
    return report


def activities():
    """The penalty of a batch that is split over the devices, and of the same batch on one."""
    x = np.random.default_rng(0).random((64, 12)).astype("float32")
    split = jax.device_put(x, NamedSharding(MESH, PartitionSpec(("a", "b"), None)))
    penalty = jax.jit(kn.KLSparsity(1.0).value)
    return {"split": float(penalty(split)), "whole": float(penalty(x))}


REPORTS = {"moved": moved, "spectra": spectra, "sparse": sparse, "activities": activities}

if __name__ == "__main__":
    if sys.argv[1] in REPORTS:
        import json

        print(json.dumps(REPORTS[sys.argv[1]]()))
    else:
        for distribution in DISTRIBUTIONS:
            kernel = trained(distribution())
            shards = {shard.data.shape for shard in kernel.addressable_shards}
            problem.show(kernel=kernel, shards=sorted(shards))
