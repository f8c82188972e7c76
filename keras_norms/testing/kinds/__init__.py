"""The kinds of cases: each is a function of a case and a harness that returns the measures."""

from keras_norms.testing.kinds import models, objects, training, values

KINDS = values.KINDS | objects.KINDS | training.KINDS | models.KINDS
# Kinds that compile, train or save: a case of them takes seconds, not milliseconds.
SLOW = {"jit", "traced", "training", "bounded", "save_load"}
# The classes of Keras that a kind uses beside the target.
AROUND = {
    "conv_layout": {"Conv2D"},
    "activity": {"Dense"},
    "fit_step": {"Dense", "SGD"},
    "bounded": {"Dense", "SGD"},
    "training": {"Dense", "SGD"},
}
# What runs on a mesh of devices: values of weights that lie there. Layers make their own weights,
# and what is about objects does not depend on devices.
ON_A_MESH = {"forward", "projection", "excess", "jit"}
