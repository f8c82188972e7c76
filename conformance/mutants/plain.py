"""What mutants share that is right."""

import dataclasses
import math

import numpy as np
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


def rows_of(x, axis):
    """The matrix with one row per group, in float32."""
    _, order, shape = _as_matrix(x, axis)
    return ops.reshape(ops.transpose(ops.cast(x, "float32"), order), shape)


def with_rows(x, axis, rows):
    """The tensor with other groups, in its own dtype."""
    moved, order, _ = _as_matrix(x, axis)
    back = ops.transpose(ops.reshape(rows, moved), np.argsort(order).tolist())
    return ops.cast(back, x.dtype)


def _as_matrix(x, axis):
    """The shape with the axes inside a group last, their order, and the shape of the matrix."""
    rank = len(x.shape)
    inside = range(rank) if axis is None else sorted(map(int, np.atleast_1d(axis) % max(1, rank)))
    order = [*(a for a in range(rank) if a not in inside), *inside]
    size = math.prod(x.shape[a] for a in inside)
    return [x.shape[a] for a in order], order, (math.prod(x.shape) // max(size, 1), size)
