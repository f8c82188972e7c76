"""The kinds of cases: each is a function of a case and a harness that returns the measures."""

import keras

from keras_norms.testing.kinds import models, objects, training, values
from keras_norms.testing.kinds.parallel import PARALLEL

KINDS = values.KINDS | objects.KINDS | training.KINDS | models.KINDS
# Kinds that compile, train or save: a case of them takes seconds, not milliseconds.
SLOW = {"jit", "traced", "training", "bounded", "save_load"}
# What a mutant runs on only if it names it: nearly all mutants are plain classes, which check no
# argument, and would die of that alone.
ON_DEMAND = SLOW | {"raises"}
# The classes of Keras that a kind uses beside the target.
AROUND = {
    "conv_layout": {"Conv2D"},
    "activity": {"Dense"},
    "fit_step": {"Dense", "SGD"},
    "bounded": {"Dense", "SGD"},
    "training": {"Dense", "SGD"},
}
# What JAX computes of weights that lie on a mesh of devices. Layers make their own weights, and
# what is about objects does not depend on devices.
_OF_SPREAD_WEIGHTS = {"forward", "projection", "excess", "jit"}


def runs_on_a_mesh(case):
    """Whether a case tells anything about several devices, on this backend."""
    if case.inputs.get("path") in PARALLEL:
        return True
    return keras.backend.backend() == "jax" and case.kind in _OF_SPREAD_WEIGHTS
