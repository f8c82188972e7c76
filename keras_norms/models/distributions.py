"""How the zeros of a model are shared out over its weights: counts of entries, and masks."""

import math
from typing import Literal, get_args

import numpy as np
from keras import ops

from keras_norms.config import one_of
from keras_norms.models.describe import is_sparse, members_of
from keras_norms.models.measures import projected
from keras_norms.numerics.precision import lift
from keras_norms.numerics.sparsity import kept

Distribution = Literal["uniform", "global", "erk"]


def check_distribution(distribution):
    """Refuse the name of a distribution that is unknown."""
    one_of(*get_args(Distribution))("distribution", distribution)


def counts_for(weights, sparsity, distribution):
    """How many entries each weight keeps, a list."""
    check_distribution(distribution)
    shapes = [tuple(w.variable.shape) for w in weights]
    if distribution == "uniform":
        return [kept(math.prod(shape), sparsity) for shape in shapes]
    total = kept(sum(map(math.prod, shapes)), sparsity)
    if distribution == "erk":
        return _by_shapes(shapes, total)
    sizes = np.concatenate([_sizes_of(w).ravel() for w in weights])
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


def masks_for(weights, sparsity, distribution):
    """Where each weight has the entries that stay: arrays of truth values."""
    counts = counts_for(weights, sparsity, distribution)
    return [mask_of_largest(_sizes_of(w), count) for w, count in zip(weights, counts, strict=True)]


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


def numbers_of(w):
    """The values of a variable or tensor as a NumPy array of float32 or float64."""
    return ops.convert_to_numpy(lift(ops.convert_to_tensor(w)))


def _sizes_of(weight):
    """The magnitudes of the entries of a weight, in which NaN counts as infinite.

    The constraints that stay beside the zeros are applied first, so that entries which they shrink
    are pruned first. An entry that a mask has pruned has -1: it goes before a zero that is in use.
    NaN must not decide about other weights.
    """
    members = members_of(weight.variable.constraint)
    w = weight.variable
    for each in members:
        w = w if is_sparse(each) else projected(each, w)
    sizes = np.nan_to_num(np.abs(numbers_of(w)), nan=np.inf, posinf=np.inf)
    for mask in masks_in(members):
        sizes = np.where(mask, sizes, -1)
    return sizes


def masks_in(constraints):
    """The masks of those sparse constraints that have one; in another class, it may be anything."""
    sparse = filter(is_sparse, constraints)
    return [each.mask for each in sparse if hasattr(each, "mask")]
