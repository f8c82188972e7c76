"""How the zeros of a model are shared out over its weights: counts of entries, and masks."""

import math
from typing import Literal, get_args

import numpy as np
from keras import ops

from keras_norms.config import one_of
from keras_norms.numerics.precision import lift
from keras_norms.numerics.sparsity import kept

Distribution = Literal["uniform", "global", "erk"]


def check_distribution(distribution):
    """Refuse the name of a distribution that is unknown."""
    one_of(*get_args(Distribution))("distribution", distribution)


def counts_for(variables, sparsity, distribution):
    """How many entries each weight keeps, a list."""
    check_distribution(distribution)
    shapes = [tuple(v.shape) for v in variables]
    if distribution == "uniform":
        return [kept(math.prod(shape), sparsity) for shape in shapes]
    total = kept(sum(map(math.prod, shapes)), sparsity)
    if distribution == "erk":
        return _by_shapes(shapes, total)
    sizes = np.concatenate([_magnitudes(v).ravel() for v in variables])
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(mask_of_largest(sizes, total), ends[:-1])
    return [int(part.sum()) for part in parts]


def _by_shapes(shapes, total):
    """Densities in proportion to the sum of the axis lengths over their product, at most 1."""
    sizes = [math.prod(shape) for shape in shapes]
    dense: set[int] = set()
    while len(dense) < len(shapes):
        sparse = [i for i in range(len(shapes)) if i not in dense]
        left = total - sum(sizes[i] for i in dense)
        scale = left / max(sum(sum(shapes[i]) for i in sparse), 1)
        full = {i for i in sparse if scale * sum(shapes[i]) > sizes[i]}
        if not full:
            break
        dense |= full
    return [
        size if i in dense else min(round(scale * sum(shape)), size)
        for i, (shape, size) in enumerate(zip(shapes, sizes, strict=True))
    ]


def masks_for(variables, sparsity, distribution):
    """Where each weight has the entries that stay: arrays of truth values."""
    counts = counts_for(variables, sparsity, distribution)
    return [
        mask_of_largest(_magnitudes(v), count) for v, count in zip(variables, counts, strict=True)
    ]


def mask_of_largest(sizes, count):
    """Where an array has its `count` largest entries; of equal ones, the first."""
    if count == 0:
        return np.zeros(sizes.shape, bool)
    flat = sizes.ravel()
    least = np.partition(flat, flat.size - count)[flat.size - count]
    chosen = flat > least
    equal = np.flatnonzero(flat == least)[: count - int(chosen.sum())]
    chosen[equal] = True
    return chosen.reshape(sizes.shape)


def numbers_of(variable):
    """The values of a variable as a NumPy array of float32 or float64."""
    return ops.convert_to_numpy(lift(ops.convert_to_tensor(variable.value)))


def _magnitudes(variable):
    """Absolute values, in which NaN counts as infinite: it must not decide about other weights."""
    return np.nan_to_num(np.abs(numbers_of(variable)), nan=np.inf, posinf=np.inf)
