"""What a norm constraint costs beside Keras' own: time over time, interleaved in one run.

    python benchmarks/constraints.py [--rounds N]

Each round times ours, Keras' and Keras' again, in turn; the third shows the noise of the
machine (A/A). A cell is the ratio of the medians. The process exits with 1 where ours costs more
than 1.05 times Keras' plus the noise.
"""

import argparse
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import keras_norms as kn

LIMIT = 1.05
SHAPES = [((256, 256), 0), ((1024, 1024), 0), ((3, 3, 256, 256), (0, 1, 2)), ((4096, 4096), 0)]
PAIRS = [
    (kn.MaxNorm(1.5), keras.constraints.MaxNorm(1.5)),
    (kn.UnitNorm(), keras.constraints.UnitNorm()),
    (kn.MinMaxNorm(0.5, 1.5), keras.constraints.MinMaxNorm(0.5, 1.5)),
]


def modes():
    """How users run constraints on this backend: a name, a compiler, and a wait for the result."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        def graph(function):
            return tf.function(function, autograph=False)

        def xla(function):
            return tf.function(function, autograph=False, jit_compile=True)

        return [("graph", graph, lambda y: y), ("XLA", xla, lambda y: y)]
    if backend == "jax":
        import jax

        return [("jit", jax.jit, lambda y: y.block_until_ready())]
    return [("eager", lambda function: function, lambda y: y)]


def medians(functions, x, wait, rounds):
    """The median seconds of each function, called in turn."""
    for function in functions:
        wait(function(x))
    seconds = [[] for _ in functions]
    for _ in range(rounds):
        for function, mine in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            wait(function(x))
            mine.append(time.perf_counter() - start)
    return [statistics.median(mine) for mine in seconds]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000, help="for the smallest shape")
    rounds = parser.parse_args().rounds
    backend = keras.backend.backend()
    table = Table(
        "mode", "constraint", "shape", "Keras, µs", "ours / Keras", "Keras / Keras", box=None
    )
    table.title = f"{backend}, Keras {keras.__version__}"
    slow = 0
    for mode, compiler, wait in modes():
        for ours, theirs in PAIRS:
            for shape, axis in SHAPES:
                w = keras.ops.convert_to_tensor(
                    np.random.default_rng(0).standard_normal(shape).astype("float32")
                )
                theirs.axis = list(axis) if isinstance(axis, tuple) else axis
                again = type(theirs).from_config(theirs.get_config())
                functions = [compiler(f) for f in (theirs, ours.along(axis), again)]
                n = max(15, rounds * 65536 // int(np.prod(shape)))
                base, mine, twin = medians(functions, w, wait, n)
                ratio, noise = mine / base, abs(twin / base - 1)
                slow += ratio > LIMIT + noise
                name = type(ours).__name__
                mark = " [red]slow[/]" if ratio > LIMIT + noise else ""
                table.add_row(
                    mode,
                    name,
                    str(shape),
                    f"{base * 1e6:.0f}",
                    f"{ratio:.2f}{mark}",
                    f"{twin / base:.2f}",
                )
    Console(soft_wrap=True).print(table)
    print(f"{slow} of {len(table.rows)} cost more than {LIMIT} times Keras' and the noise")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
