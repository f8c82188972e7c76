"""What constraining a whole model costs: a training step compared with Keras' own, and the audit.

    python benchmarks/whole_models.py [--rounds N]

Steps: a model of 40 Dense layers is trained without constraints, with Keras' own MaxNorm, and with
ours from `constrain`. Each round times some steps of each in random order. A cell is the median
over all rounds of the ratio to the unconstrained model in the same round. The noise is how far that
ratio is from 1 for a second unconstrained model. The process exits with 1 if ours costs more than
Keras' and the noise.

Audit: a model of 50 million weights has constraints and penalties. A first audit is timed; under
JAX, that includes compiling. Then freed memory is given back to the system, and a second audit
shows by how much the memory of the process grows at most, compared with the largest weight.
TensorFlow does not give memory back, so it may show 0.
"""

import argparse
import ctypes
import resource
import sys
import threading
import time

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from training import BATCH, UNITS, seconds_of_a_step

import keras_norms as kn

LAYERS = 40


def theirs(model):
    """Keras' own constraint on each kernel."""
    for layer in model.layers:
        layer.kernel_constraint = layer.kernel.constraint = keras.constraints.MaxNorm(1.0)


VARIANTS = {
    "unconstrained": lambda model: None,
    "unconstrained again": lambda model: None,
    "Keras": theirs,
    "ours": lambda model: kn.constrain(model, kn.MaxNorm(1.0)),
}


def report_steps(rounds):
    """Print the ratios, and return whether ours costs no more than Keras'."""
    seconds = seconds_of_a_step(VARIANTS.values(), LAYERS, rounds)
    base, again, keras_own, ours = seconds.T
    noise = max(abs(np.median(part) - 1) for part in np.array_split(again / base, 4))
    table = Table("constraint", "a step / unconstrained", "ours / Keras'", "A/A noise", box=None)
    table.title = f"{LAYERS} Dense layers of {UNITS} units, batch {BATCH}"
    mine = np.median(ours / keras_own)
    table.add_row("Keras' MaxNorm", f"{np.median(keras_own / base):.2f}", "", "")
    table.add_row("ours", f"{np.median(ours / base):.2f}", f"{mine:.2f}", f"{noise:.2f}")
    Console(soft_wrap=True).print(table)
    print(f"unconstrained: {np.median(base) * 1e3:.1f} ms a step")
    return mine <= 1 + noise


def large():
    """50 million weights in 5 kernels of 3162 x 3162."""
    settings = {"kernel_constraint": kn.MaxNorm(1.0), "kernel_regularizer": kn.L2(1e-4)}
    # Random weights take memory to make, which the allocator would keep and reuse in the audit.
    layers = [keras.layers.Dense(3162, kernel_initializer="ones", **settings) for _ in range(5)]
    return keras.Sequential([keras.layers.Input((3162,)), *layers])


def held():
    """The memory of the process in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def report_audit():
    """Print the time and the memory, and return whether both are within their limits."""
    model = large()
    largest = max(np.prod(w.shape) for w in model.weights) * 4 / 2**20
    start = time.perf_counter()
    kn.audit(model)
    seconds = time.perf_counter() - start
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    extra = most_held(lambda: kn.audit(model))
    print(
        f"audit of {model.count_params() / 1e6:.0f} million weights: {seconds:.1f} s, and "
        f"{extra:.0f} MiB, {extra / largest:.1f} times the largest weight"
    )
    return seconds < 5 and extra <= 2 * largest


def most_held(function):
    """By how many MiB the memory of the process grows at most while it runs a function."""
    before, most, done = held(), 0.0, threading.Event()

    def watch():
        nonlocal most
        while not done.wait(0.001):
            most = max(most, held())

    watcher = threading.Thread(target=watch)
    watcher.start()
    function()
    done.set()
    watcher.join()
    return most - before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    print(f"{keras.backend.backend()}, Keras {keras.__version__}")
    good = [report_steps(rounds), report_audit()]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
