"""What each constraint and each penalty does to a cloud of groups of two weights, as pictures.

    nox -s pictures

A line leads from each group to where the constraint puts it, or where descent of the penalty alone
takes it. One more picture shows what the example of pruning printed. They are in docs/pictures/.
"""

import pathlib
import re

import numpy as np
from keras import ops
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import keras_norms as kn
from keras_norms.testing.backends import gradient

FOLDER = pathlib.Path(__file__).parent / "pictures"
# The groups are the rows of a matrix, so axis 1 is inside a group.
CONSTRAINTS = {
    "Chain": kn.Chain(kn.NonNeg(), kn.MaxNorm(1.5, axis=1)),
    "Clip": kn.Clip(-1, 0.5),
    "MaxNorm": kn.MaxNorm(1.5, axis=1),
    "MaxNorm-ord-1": kn.MaxNorm(1.5, axis=1, ord=1),
    "MaxSpectralNorm": kn.MaxSpectralNorm(6.0, axis=1),
    "MaxSpectralNorm-scale": kn.MaxSpectralNorm(6.0, mode="scale", axis=1),
    "MinMaxNorm": kn.MinMaxNorm(0.8, 1.5, axis=1),
    "NonNeg": kn.NonNeg(),
    "Orthogonal": kn.Orthogonal(6.0, axis=1),
    "Simplex": kn.Simplex(1.5, axis=1),
    "Sparse": kn.Sparse(0.5, axis=1),
    "SparseNM": kn.SparseNM(1, 2, axis=1),
    "SparseUnits": kn.SparseUnits(0.5, axis=1),
    "FixedMask": kn.FixedMask(np.random.default_rng(1).random((70, 2)) < 0.5),
    "UnitNorm": kn.UnitNorm(axis=1),
    "ZeroMean": kn.ZeroMean(axis=1),
}
# Each with the length of a step of gradient descent.
PENALTIES = {
    "L1": (kn.L1(1.0), 0.01),
    "L2": (kn.L2(1.0), 0.004),
    "L1L2": (kn.L1L2(1.0, 1.0), 0.004),
    "GroupLasso": (kn.GroupLasso(1.0, axis=1, size_scaled=False), 0.01),
    "Hoyer": (kn.Hoyer(1.0, axis=1), 0.004),
    "SpectralRegularizer": (kn.SpectralRegularizer(1.0, axis=1), 0.006),
    "OrthogonalRegularizer": (kn.OrthogonalRegularizer(1.0, mode="columns"), 1.2),
    "SoftOrthogonalRegularizer": (kn.SoftOrthogonalRegularizer(1.0, axis=0), 2e-5),
    "KLSparsity": (kn.KLSparsity(1.0, rho=0.1), 10.0),
    "BatchMean": (kn.BatchMean(kn.L2(1.0)), 0.28),
    "Sum": (kn.L1(1.0) + kn.GroupLasso(1.0, axis=1, size_scaled=False), 0.006),
}
STEPS = 100


def cloud(groups=70):
    """Groups of two weights, an oblong and inclined cloud."""
    w = np.random.default_rng(0).standard_normal((groups, 2)) * [1.5, 0.6]
    turn = np.deg2rad(25)
    return w @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]


def descended(name):
    """The paths of the groups under gradient descent of a penalty, each step an array."""
    penalty, length = PENALTIES[name]
    # That of activations, which must lie in [0, 1], sees what a sigmoid makes of the cloud.
    shown = ops.sigmoid if name == "KLSparsity" else ops.convert_to_tensor
    path = [cloud().astype("float32")]
    for _ in range(STEPS):
        slope = gradient(lambda x: penalty.value(shown(x)), path[-1])
        path.append(path[-1] - np.float32(length) * ops.convert_to_numpy(slope))
    return ops.convert_to_numpy(shown(np.stack(path)))


def constrained(constraint):
    """The straight path of each group to where a constraint puts it."""
    start = cloud()
    return np.stack([start, ops.convert_to_numpy(constraint.project(start.astype("float32")))])


def picture(name, path):
    """A figure of the cloud before, in grey, and after, with the paths between."""
    before, after = path[0], path[-1]
    figure = Figure(figsize=(3.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.add_collection(LineCollection(path.transpose(1, 0, 2), colors="0.75", linewidths=0.8))
    axes.scatter(*before.T, s=9, color="0.6", label="before")
    axes.scatter(*after.T, s=14, color="C0", label="after", zorder=3)
    axes.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    axes.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    limits, what = (
        ((-0.05, 1.05), "activation") if name == "KLSparsity" else ((-3.7, 3.7), "weight")
    )
    axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel=f"{what} 1", ylabel=f"{what} 2")
    axes.set_title(name, fontsize=9)
    axes.legend(fontsize=7, loc="lower right")
    return figure


def pruned(backend="jax"):
    """A figure of the accuracy and the sparsity in the output of examples/pruning.py."""
    printed = FOLDER.parents[1] / "examples" / "output" / backend / "pruning.txt"
    row = r"(\d+)% zeros, (\S+) +([\d.]+)% \(([\d.]+)% to ([\d.]+)%\)"
    found = re.findall(row, printed.read_text("utf-8"))
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    for way, marker in (("scheduled", "o"), ("one-shot", "s"), ("2:4", "^"), ("dense", "D")):
        numbers = np.array([(z, r, low, high) for z, w, r, low, high in found if w == way], float)
        zeros, right, low, high = numbers.T
        spread = np.stack([right - low, high - right])
        axes.errorbar(zeros, right, spread, marker=marker, capsize=3, label=way)
    axes.set(xlabel="zeros in all kernels, %", ylabel="digits read right, %")
    axes.set_title(f"examples/pruning.py on {backend}: median and range of seeds", fontsize=9)
    axes.legend(fontsize=8)
    return figure


def main():
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    paths = {name: constrained(constraint) for name, constraint in CONSTRAINTS.items()}
    paths |= {name: descended(name) for name in PENALTIES}
    for name, path in paths.items():
        picture(name, path).savefig(FOLDER / f"{name}.png", dpi=120)
    pruned().savefig(FOLDER / "pruning.png", dpi=120)


if __name__ == "__main__":
    main()
