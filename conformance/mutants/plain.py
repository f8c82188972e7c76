"""What mutants share that is right."""

import dataclasses

from keras import ops


class Plain:
    """A dataclass whose config is its fields."""

    def get_config(self):
        return dataclasses.asdict(self)


def axes(axis):
    """An axis as an argument of `keras.ops`: a list from JSON becomes a tuple."""
    return tuple(axis) if isinstance(axis, list) else axis


def sums(w, axis):
    """The sum of each group."""
    return ops.sum(w, axis=axes(axis), keepdims=True)


def peaks(w, axis):
    """The largest entry of each group."""
    return ops.amax(w, axis=axes(axis), keepdims=True)


def norms(w, axis):
    """The Euclidean norm of each group."""
    return ops.sqrt(sums(ops.square(w), axis))
