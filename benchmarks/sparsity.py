"""What sparse constraints cost beside a sort, a plain product, and an unconstrained training step.

    python benchmarks/sparsity.py [--rounds N]

A ratio is the median over all rounds of one time over another in the same round, in random order.
`Sparse` is compared with a sort of the same weights by `ops.sort`, `SparseNM` with `w * 2`, and the
training steps of a model of 40 Dense layers with those of the unconstrained model. The exit code is
1 if something is slower than `PROMISED`. At last, it shows what a new mask costs: the first step of
a model of 100 million weights after `freeze_zeros`, and the next one.
"""

import argparse
import sys
import time

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.table import Table
from timing import modes, seconds_of
from training import BATCH, UNITS, seconds_of_a_step

import keras_norms as kn

# How many times as fast as a sort `Sparse` is, at least, by axis.
PROMISED = {
    "jax": {None: 20, 0: 10},
    "tensorflow": {None: 5, 0: 1},
    "torch": {None: 4, 0: 2},
}
MOST_OF_A_PRODUCT = 4  # for `SparseNM`, compiled
MOST_OF_A_STEP = 1.2  # for `FixedMask`


def sort(axis):
    """A sort of the groups of a weight."""
    if axis is None:
        return lambda w: ops.sort(ops.reshape(w, (-1,)))
    return lambda w: ops.sort(w, axis=axis)


def report_sets(rounds, backend):
    """Print what a set costs beside its peer, and return how many cost too much."""
    w = ops.convert_to_tensor(
        np.random.default_rng(0).standard_normal((1024, 1024)).astype("float32")
    )
    table = Table("mode", "constraint", "ours, ms", "peer", "peer / ours", box=None)
    table.title = f"{backend}, Keras {keras.__version__}, (1024, 1024)"
    slow = 0
    for mode, compiler in modes().items():
        rows = [(kn.Sparse(0.8, axis=axis), sort(axis), "sort", axis) for axis in (None, 0)]
        rows += [(kn.SparseNM(axis=axis), lambda w: w * 2, "w * 2", axis) for axis in (0, 1)]
        rows += [(kn.SparseUnits(0.8), kn.MaxNorm(), "MaxNorm", 0)]
        for ours, peer, name, axis in rows:
            times = seconds_of([compiler(ours), compiler(peer)], w, rounds)
            ratio = np.median(times[:, 1] / times[:, 0])
            least = PROMISED[backend][axis] if name == "sort" else 0
            if name == "w * 2" and mode in ("jit", "XLA"):
                least = 1 / MOST_OF_A_PRODUCT
            missed = ratio < least
            slow += missed
            table.add_row(
                *(mode, repr(ours), f"{np.median(times[:, 0]) * 1e3:.2f}", name),
                f"{ratio:.2f}{' [red]slow[/]' if missed else ''}",
            )
    Console(soft_wrap=True).print(table)
    return slow


def masked(model):
    """Masks of nine zeros in ten."""
    kn.prune(model, 0.9)
    kn.freeze_zeros(model)


def report_steps(rounds):
    """Print what a training step costs, and return whether that of masks costs too much."""
    variants = {
        "none, again": lambda model: None,
        "FixedMask": masked,
        "Sparse(0.9)": lambda model: kn.prune(model, 0.9),
        "SparseNM(2, 4)": lambda model: kn.constrain(model, kn.SparseNM()),
    }
    seconds = seconds_of_a_step([lambda model: None, *variants.values()], 40, rounds)
    ratios = np.median(seconds / seconds[:, :1], axis=0)[1:]
    table = Table("constraint", "a step / unconstrained", box=None)
    table.title = f"40 Dense layers of {UNITS} units, batch {BATCH}"
    for name, ratio in zip(variants, ratios, strict=True):
        table.add_row(name, f"{ratio:.2f}")
    Console(soft_wrap=True).print(table)
    return ratios[1] > MOST_OF_A_STEP


def report_change():
    """Print what the first step after a change of masks costs, with 100 million weights."""
    layers = [keras.layers.Dense(4472, use_bias=False) for _ in range(5)]
    model = keras.Sequential([keras.layers.Input((4472,)), *layers])
    model.compile("sgd", "mse")
    x = np.ones((8, 4472), "float32")
    model.train_on_batch(x, x)
    first, frozen = _seconds(lambda: kn.prune(model, 0.9)), _seconds(lambda: kn.freeze_zeros(model))
    steps = [_seconds(lambda: model.train_on_batch(x, x)) for _ in range(3)]
    print(
        f"{model.count_params() / 1e6:.0f} million weights: prune {first:.1f} s, freeze_zeros "
        f"{frozen:.1f} s, the next steps {', '.join(f'{s:.1f}' for s in steps)} s"
    )


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    slow = report_sets(rounds, keras.backend.backend()) + report_steps(rounds)
    print(f"{slow} slower than promised")
    report_change()
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
