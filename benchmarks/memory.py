"""How much memory a constraint needs on top of a weight, compared with Keras' own.

    python benchmarks/memory.py [--entries N]

Each row is a process of its own, which makes a square weight, notes its resident memory, and calls
the constraint once. What the peak adds, the result included, is given in sizes of the weight. A
length without divisors is measured too, because a padded copy would show there. Keras has no L1
ball; without a compiler, its limit is 3 weights. The process exits with 1 if ours needs more than
Keras' and a tenth of a weight.
"""

import argparse
import gc
import math
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

MODES = {"tensorflow": ("graph", "XLA", "eager"), "jax": ("jit", "eager"), "torch": ("eager",)}
L1_LIMIT = 3


def resident(what):
    """A line of /proc/self/status in bytes: "VmRSS", what is resident now, or "VmHWM", the peak."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024


def measure(mode, name, length, dtype):
    """The peak that one call adds, in sizes of the weight."""
    import keras
    import numpy as np

    import keras_norms as kn

    backend = keras.backend.backend()
    makers = {
        "Keras MaxNorm": lambda: keras.constraints.MaxNorm(1.5),
        "MaxNorm": lambda: kn.MaxNorm(1.5),
        "MaxNorm(ord=1)": lambda: kn.MaxNorm(1.5, ord=1),
    }
    function = makers[name]()
    if mode == "jit":
        import jax

        function = jax.jit(function)
    elif backend == "tensorflow" and mode != "eager":
        import tensorflow as tf

        function = tf.function(function, autograph=False, jit_compile=mode == "XLA")
    elif backend == "torch":
        import torch

        torch.set_grad_enabled(False)
    rng = np.random.default_rng(0)
    array = np.empty((length, length), "float16" if dtype == "float16" else "float32")
    for row in array:  # a whole array of float64 would raise the peak
        row[:] = rng.standard_normal(length)
    function(keras.ops.convert_to_tensor(array[:8, :8]))
    w = keras.ops.copy(keras.ops.convert_to_tensor(array))
    gc.collect()
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    before = resident("VmRSS")
    result = function(w)
    keras.ops.convert_to_numpy(result[:1])
    return (resident("VmHWM") - before) / array.nbytes


def measured_in_a_process(*arguments):
    command = [sys.executable, "-P", __file__, "--row", *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=10**8, help="of a weight of float32")
    parser.add_argument("--row", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        mode, name, length, dtype = options.row
        print(measure(mode, name, int(length), dtype))
        return 0

    import keras
    from rich.console import Console
    from rich.table import Table

    backend = keras.backend.backend()
    side = math.isqrt(options.entries)
    table = Table("mode", "constraint", "shape", "dtype", box=None)
    for heading in ("Keras, weights", "ours, weights", "limit"):
        table.add_column(heading)
    table.title = f"{backend}, Keras {keras.__version__}"
    over = 0
    for mode in MODES[backend]:
        for length, dtype in (
            (side, "float32"),
            (prime_above(side), "float32"),
            (side, "float16"),
        ):
            theirs = measured_in_a_process(mode, "Keras MaxNorm", length, dtype)
            ours = measured_in_a_process(mode, "MaxNorm", length, dtype)
            over += add(table, mode, "MaxNorm", length, dtype, theirs, ours, theirs + 0.1)
        if mode == "eager":
            ours = measured_in_a_process(mode, "MaxNorm(ord=1)", side, "float32")
            over += add(table, mode, "MaxNorm(ord=1)", side, "float32", None, ours, L1_LIMIT)
    Console(soft_wrap=True).print(table)
    print(f"{over} of {len(table.rows)} need more than their limit")
    return 1 if over else 0


def add(table, mode, name, length, dtype, theirs, ours, limit):
    """Add a row. The result says whether ours is above the limit."""
    table.add_row(
        *(mode, name, str((length, length)), dtype, f"{theirs:.2f}" if theirs else "-"),
        *(f"{ours:.2f}{' [red]above[/]' if ours > limit else ''}", f"{limit:.2f}"),
    )
    return ours > limit


def prime_above(n):
    """The least prime that is larger than n."""
    return next(p for p in range(n + 1, 2 * n) if all(p % d for d in range(2, math.isqrt(p) + 1)))


if __name__ == "__main__":
    sys.exit(main())
