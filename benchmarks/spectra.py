"""What constraints on singular values cost beside decompositions, and their errors.

    python benchmarks/spectra.py [--rounds N]

The peers are what one would write with `ops.svd`: for "scale", a division by the largest singular
value; for "clip", a product of singular vectors with clipped values; for `Orthogonal`, one of
singular vectors. On PyTorch there are also its parametrizations `spectral_norm` and `orthogonal`.
TensorFlow's XLA has no fast decomposition (it takes 30 s), and is compared with that of its graph
mode. A ratio is the median over all rounds of the peer's time over ours in the same round, in
random order, after half a second of the same calls. Errors are against NumPy in float64: the
largest singular value of the difference, as a part of the largest of the weight, or of 1 for
`Orthogonal`. "inside" is a weight in the set, and "a step away" an orthogonal one after a step of
Adam. A second table has a training step of a model of 10 Dense layers under each constraint, over
one of the unconstrained model. The exit code is 1 if ours is not as much faster as `PROMISED`.
"""

import argparse
import sys

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.table import Table
from timing import modes, seconds_of
from training import BATCH, UNITS, seconds_of_a_step

import keras_norms as kn

# (constraint, shape, input): how many times faster on each backend.
_SCALE_SMALL = {"jax": 1.5, "tensorflow": 2, "torch": 1 / 1.2}
_SCALE_LARGE = {"jax": 3, "tensorflow": 2, "torch": 1 / 1.2}
PROMISED = {
    ("scale", (512, 512), "random"): _SCALE_SMALL,
    ("scale", (512, 512), "orthogonal"): _SCALE_SMALL,
    ("scale", (4608, 512), "random"): _SCALE_LARGE,
    ("scale", (4608, 512), "orthogonal"): _SCALE_LARGE,
    ("Orthogonal", (512, 512), "a step away"): {"jax": 3, "tensorflow": 3, "torch": 1.5},
}
ROWS = [
    *PROMISED,
    ("clip", (512, 512), "random"),
    ("clip", (512, 512), "a step away"),
    ("clip", (512, 512), "inside"),
    ("Orthogonal", (512, 512), "random"),
    ("Orthogonal", (4608, 512), "a step away"),
]
OURS = {
    "scale": kn.MaxSpectralNorm(1.0, mode="scale"),
    "clip": kn.MaxSpectralNorm(1.0),
    "Orthogonal": kn.Orthogonal(),
}


def weights(shape, kind):
    """A weight of some kind, in float32."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(shape)
    if kind == "inside":
        w = w / (2 * np.linalg.norm(w, 2))
    if kind in ("orthogonal", "a step away"):
        w = np.linalg.qr(w)[0]
    if kind == "a step away":  # of Adam, by its learning rate in each entry
        w = w + 1e-3 * np.sign(rng.standard_normal(shape))
    return w.astype("float32")


def values_for(name, values, library):
    """What becomes of the singular values, by NumPy or Keras."""
    if name == "scale":
        return values / library.maximum(values[0], 1.0)
    return library.minimum(values, 1.0) if name == "clip" else library.ones_like(values)


def by_decomposition(name):
    """The constraint as one would write it with `ops.svd`."""
    if name == "scale":
        return lambda w: w / ops.maximum(ops.svd(w, compute_uv=False)[0], 1.0)

    def function(w):
        u, values, v = ops.svd(w, full_matrices=False)
        return (u * values_for(name, values, ops)) @ v

    return function


def error_of(name, w, got):
    """How far a result is from that of a decomposition in float64."""
    u, values, v = np.linalg.svd(w.astype("float64"), full_matrices=False)
    exact = (u * values_for(name, values, np)) @ v
    size = 1 if name == "Orthogonal" else values[0]
    return np.linalg.norm(ops.convert_to_numpy(got) - exact, 2) / size


def peers(name, mode, compiler, w):
    """Names and functions to compare with, compiled."""
    if mode == "XLA":
        return {"SVD in a graph": modes()["graph"](by_decomposition(name))}
    found = {"SVD": compiler(by_decomposition(name))}
    if keras.backend.backend() == "torch" and name != "clip":
        found["torch's own"] = parametrized(name, w)
    return found


def parametrized(name, w):
    """PyTorch's parametrization of a layer with this weight: what it computes at each step."""
    import torch
    from torch.nn.utils import parametrizations

    layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    layer.weight.data = w.clone()
    change = {"scale": parametrizations.spectral_norm, "Orthogonal": parametrizations.orthogonal}
    change[name](layer)
    return lambda _: layer.weight.detach()


def report_training(rounds):
    """Print what a training step costs under each constraint."""

    def constrained(constraint):
        def constrain(model):
            kn.constrain(model, constraint)
            kn.project(model)

        return constrain

    variants = [lambda model: None] * 2 + [constrained(each) for each in OURS.values()]
    seconds = seconds_of_a_step(variants, 10, rounds)
    table = Table("constraint", "a step / unconstrained", box=None)
    table.title = f"10 Dense layers of {UNITS} units, batch {BATCH}"
    ratios = np.median(seconds / seconds[:, :1], axis=0)
    for name, ratio in zip(["none, again", *OURS], ratios[1:], strict=True):
        table.add_row(name, f"{ratio:.2f}")
    Console(soft_wrap=True).print(table)
    print(f"unconstrained: {np.median(seconds[:, 0]) * 1e3:.1f} ms a step")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    backend = keras.backend.backend()
    table = Table("mode", "constraint", "shape", "weight", "ours, ms", "error", box=None)
    for heading in ("peer", "times", "its error"):
        table.add_column(heading)
    table.title = f"{backend}, Keras {keras.__version__}"
    slow = 0
    for name, shape, kind in ROWS:
        array = weights(shape, kind)
        w = ops.convert_to_tensor(array)
        for mode, compiler in modes().items():
            others = peers(name, mode, compiler, w)
            functions = [compiler(OURS[name]), *others.values()]
            errors = [error_of(name, array, f(w)) for f in functions]
            times = seconds_of(functions, w, rounds, warm=0.5)
            ratios = np.median(times / times[:, :1], axis=0)
            promised = PROMISED.get((name, shape, kind), {}).get(backend, 0)
            for i, peer in enumerate(others, 1):
                missed = ratios[i] < promised and "SVD" in peer
                slow += missed
                table.add_row(
                    *(mode, name, str(shape), kind),
                    *(f"{np.median(times[:, 0]) * 1e3:.1f}", f"{errors[0]:.0e}", peer),
                    *(f"{ratios[i]:.2f}{' [red]slow[/]' if missed else ''}", f"{errors[i]:.0e}"),
                )
    Console(soft_wrap=True).print(table)
    print(f"{slow} of {len(table.rows)} are slower than promised")
    report_training(rounds)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
