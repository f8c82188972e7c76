"""What the L1 ball and the simplex cost compared with a sort and other libraries, and their errors.

    python benchmarks/thresholds.py [--rounds N]

On JAX the peers are `optax.projections` and `jaxopt.projection`, mapped over the groups and
compiled. On TensorFlow and PyTorch, whose libraries have no such projection, the peer is the sort
of the textbook (Duchi et al. 2008). A ratio is the median over all rounds of the peer's time over
ours in the same round, in random order. Errors are against NumPy's sort in float64, in ulp of the
radius. The exit code is 1 if ours is not `PROMISED` times faster.
"""

import argparse
import sys

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.table import Table
from timing import modes, seconds_of

import keras_norms as kn

PROMISED = {"jax": 10, "tensorflow": 2, "torch": 3}
SHAPES = [(1024, 1024), (4096, 512)]  # the groups are the columns
RADIUS = 1.0


def sorted_simplex(v):
    """The simplex projection of each column, by a sort."""
    falling = -ops.sort(-v, axis=0)
    excess = ops.cumsum(falling, axis=0) - RADIUS
    count = ops.reshape(ops.arange(1, v.shape[0] + 1, dtype=v.dtype), (-1, 1))
    support = ops.sum(ops.cast(falling * count > excess, "int32"), axis=0, keepdims=True)
    return ops.relu(
        v - ops.take_along_axis(excess, support - 1, axis=0) / ops.cast(support, v.dtype)
    )


def sorted_l1_ball(w):
    """The L1-ball projection of each column, by a sort; every column here lies outside."""
    return ops.sign(w) * sorted_simplex(ops.abs(w))


def peers():
    """For each set: the names and functions to compare with."""
    if keras.backend.backend() != "jax":
        return {"simplex": {"sort": sorted_simplex}, "L1 ball": {"sort": sorted_l1_ball}}
    import jax
    import jaxopt
    import optax

    def columns(function):
        return jax.vmap(lambda v: function(v, RADIUS), in_axes=1, out_axes=1)

    return {
        "simplex": {
            "optax": columns(optax.projections.projection_simplex),
            "jaxopt": columns(jaxopt.projection.projection_simplex),
        },
        "L1 ball": {
            "optax": columns(optax.projections.projection_l1_ball),
            "jaxopt": columns(jaxopt.projection.projection_l1_ball),
        },
    }


def exact(w, signs):
    """The projections in float64, with sums in extended precision."""
    v = np.abs(w) if signs else w
    falling = -np.sort(-v.astype("float64"), axis=0)
    excess = np.cumsum(falling.astype("longdouble"), axis=0) - RADIUS
    count = np.arange(1, len(v) + 1)[:, None]
    last = (falling * count > excess).sum(axis=0) - 1
    theta = np.take_along_axis(excess / count, last[None], axis=0).astype("float64")
    nearest = np.maximum(v - theta, 0)
    return np.sign(w) * nearest if signs else nearest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    backend = keras.backend.backend()
    table = Table(
        "mode", "set", "shape", "ours, ms", "error, ulp", "peer", "times", "its error", box=None
    )
    table.title = f"{backend}, Keras {keras.__version__}"
    ours = {"simplex": kn.Simplex(RADIUS), "L1 ball": kn.MaxNorm(RADIUS, ord=1)}
    slow = 0
    for shape in SHAPES:
        array = np.random.default_rng(0).standard_normal(shape).astype("float32")
        w = ops.convert_to_tensor(array)
        for name, others in peers().items():
            truth = exact(array, signs=name == "L1 ball")
            for mode, compiler in modes().items():
                functions = [compiler(f) for f in (ours[name], *others.values())]
                errors = [
                    np.abs(ops.convert_to_numpy(f(w)) - truth).max()
                    / np.spacing(np.float32(RADIUS))
                    for f in functions
                ]
                times = seconds_of(functions, w, rounds)
                ours_took, ratios = np.median(times[:, 0]), np.median(times / times[:, :1], axis=0)
                for i, peer in enumerate(others, 1):
                    missed = ratios[i] < PROMISED[backend]
                    slow += missed
                    table.add_row(
                        *(mode, name, str(shape), f"{ours_took * 1e3:.2f}", f"{errors[0]:.2f}"),
                        *(
                            peer,
                            f"{ratios[i]:.1f}{' [red]slow[/]' if missed else ''}",
                            f"{errors[i]:.2f}",
                        ),
                    )
    Console(soft_wrap=True).print(table)
    print(f"{slow} of {len(table.rows)} are less than {PROMISED[backend]} times faster")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
