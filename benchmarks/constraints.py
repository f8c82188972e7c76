"""What a norm constraint costs compared with Keras' own.

    python benchmarks/constraints.py [--rounds N]

Each round times Keras' constraint, ours, Keras' again, and `w * 2`, in random order. A cell is the
median over all rounds of the ratio of ours to Keras' in the same round. The noise (A/A) is how far
the median ratio of Keras' two times is from 1, in the worst quarter of the rounds. The last column
is ours to `w * 2`, which reads and writes each weight once, as every constraint must. The process
exits with 1 if a ratio to Keras' is above the limit of its shape and dtype plus the noise.
"""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from timing import modes, seconds_of

import keras_norms as kn

USUAL = [((256, 256), 0), ((1024, 1024), 0), ((3, 3, 256, 256), (0, 1, 2)), ((4096, 4096), 0)]
ODD = [
    *(((257, 4096), 0), ((4099, 1024), 0), ((50257, 768), 0), ((50257, 768), 1)),
    *(((64, 521, 64), 1), ((1, 100000), 0), ((100000, 1), 1), ((3, 3, 64, 64), 0)),
]
SHAPES = [(*each, "float32", 1.05) for each in USUAL] + [(*each, "float32", 1.15) for each in ODD]
# Keras computes in the dtype of the weights; ours in float32, exact to half a unit of it.
HALF_LIMITS = {
    "torch": {"float16": 1.0, "bfloat16": 2.2},
    "tensorflow": {"float16": 1.2, "bfloat16": 1.2},
    "jax": {"float16": 1.2, "bfloat16": 1.2},
}
SHAPES += [
    (shape, 0, dtype, limit)
    for dtype, limit in HALF_LIMITS[keras.backend.backend()].items()
    for shape in ((1024, 1024), (4096, 4096))
]
PAIRS = [
    (kn.MaxNorm(1.5), keras.constraints.MaxNorm(1.5)),
    (kn.UnitNorm(), keras.constraints.UnitNorm()),
    (kn.MinMaxNorm(0.5, 1.5), keras.constraints.MinMaxNorm(0.5, 1.5)),
]


def compare(functions, x, rounds):
    """The median seconds of Keras', the ratio of ours to it, its noise, and that to `w * 2`."""
    base, mine, twin, least = seconds_of(functions, x, rounds).T
    noise = max(abs(np.median(quarter) - 1) for quarter in np.array_split(twin / base, 4))
    return np.median(base), np.median(mine / base), noise, np.median(mine / least)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000, help="for the smallest shape")
    rounds = parser.parse_args().rounds
    backend = keras.backend.backend()
    table = Table("mode", "constraint", "shape", "axis", "dtype", box=None)
    for heading in ("Keras, µs", "ours / Keras", "A/A noise", "ours / (w * 2)"):
        table.add_column(heading)
    table.title = f"{backend}, Keras {keras.__version__}"
    slow = 0
    for mode, compiler in modes().items():
        for ours, theirs in PAIRS:
            for shape, axis, dtype, limit in SHAPES:
                array = np.random.default_rng(0).standard_normal(shape).astype("float32")
                w = keras.ops.cast(keras.ops.convert_to_tensor(array), dtype)
                theirs.axis = list(axis) if isinstance(axis, tuple) else axis
                again = type(theirs).from_config(theirs.get_config())
                constraints = (theirs, ours.along(axis), again, lambda w: w * 2)
                functions = [compiler(f) for f in constraints]
                n = max(41, rounds * 65536 // int(np.prod(shape)))
                base, ratio, noise, to_least = compare(functions, w, n)
                slow += ratio > limit + noise
                name = type(ours).__name__
                mark = " [red]slow[/]" if ratio > limit + noise else ""
                table.add_row(
                    mode,
                    name,
                    str(shape),
                    str(axis),
                    dtype,
                    f"{base * 1e6:.0f}",
                    f"{ratio:.2f}{mark}",
                    f"{noise:.2f}",
                    f"{to_least:.2f}",
                )
    Console(soft_wrap=True).print(table)
    print(f"{slow} of {len(table.rows)} cost more than their limit and the noise")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
