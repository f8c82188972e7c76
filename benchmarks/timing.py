"""How functions are timed here: compiled as users run them, in random order, round by round."""

import os
import random
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np


def modes():
    """How users run constraints on this backend: a name, and a compiler of functions."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return {
            "graph": lambda f: tf.function(f, autograph=False),
            "XLA": lambda f: tf.function(f, autograph=False, jit_compile=True),
        }
    if backend == "jax":
        import jax

        def jit(function):
            compiled = jax.jit(function)
            return lambda x: compiled(x).block_until_ready()

        return {"jit": jit}
    return {"eager": lambda f: f}


def seconds_of(functions, x, rounds, warm=0.0):
    """The seconds of each function in each round, an array (rounds, functions).

    A ratio compares two calls in the same round, in random order. So it does not matter if the
    machine is slow for a while, or if a function finds the cache warm. The threads of a LAPACK
    keep the cores busy for a while after a call; calls that are not timed, for `warm` seconds, get
    over it.
    """
    for function in functions:
        function(x)
    seconds = np.zeros((rounds, len(functions)))
    order = list(range(len(functions)))
    draw = random.Random(0)
    for row in seconds:
        draw.shuffle(order)
        for i in order:
            ready = time.perf_counter() + warm
            while time.perf_counter() < ready:
                functions[i](x)
            start = time.perf_counter()
            functions[i](x)
            row[i] = time.perf_counter() - start
    return seconds
