"""Sparse constraints: what stays is found by sorting exact numbers."""

import base64
import math

from mpmath import mpf

from conformance.oracles.exact import Tensor, groups


def sparse(w, sparsity=0.5, axis=None):
    """Each group keeps its largest entries in magnitude; of equal ones, the first."""
    return w.map_groups(axis, lambda group: largest(group, _left(len(group), sparsity)))


def sparse_nm(w, n=2, m=4, axis=0):
    """Every m consecutive entries keep their n largest; so does what is left at the end."""

    def blocks(line):
        return [x for i in range(0, len(line), m) for x in largest(line[i : i + m], n)]

    return w.map_groups(axis, blocks)


def sparse_units(w, sparsity=0.5, axis=0):
    """The groups with the largest sums of squares stay."""
    units = groups(w.shape, axis)
    squares = [sum((w.entries[i] ** 2 for i in unit), mpf(0)) for unit in units]
    stays = largest_places(squares, _left(len(units), sparsity))
    entries = [mpf(0)] * len(w.entries)
    for place in stays:
        for i in units[place]:
            entries[i] = w.entries[i]
    return Tensor(w.shape, tuple(entries))


def fixed_mask(w, mask):
    """Zeros where the mask has a 0; its last axes are those of the weight."""
    shape, flat = _unpacked(mask) if isinstance(mask, dict) else _flattened(mask)
    before = len(w.shape) - len(shape)
    entries = []
    for place, x in enumerate(w.entries):
        index = _index(place, w.shape)[before:]
        where = [0 if size == 1 else i for i, size in zip(index, shape, strict=True)]
        entries.append(x if flat[_place(where, shape)] else mpf(0))
    return Tensor(w.shape, tuple(entries))


def largest(group, count):
    """The group with zeros in place of all but `count` entries."""
    stays = set(largest_places(group, count))
    return [x if i in stays else mpf(0) for i, x in enumerate(group)]


def largest_places(group, count):
    """The places of the largest entries in magnitude; of equal ones, the first."""
    return sorted(range(len(group)), key=lambda i: (-abs(group[i]), i))[:count]


def _left(size, sparsity):
    return round(size * (1 - sparsity))


def _flattened(mask):
    """The shape of nested lists, and their numbers in C order."""
    if not isinstance(mask, list):
        return [], [mask]
    parts = [_flattened(part) for part in mask]
    return [len(parts), *parts[0][0]], [x for _, flat in parts for x in flat]


def _unpacked(mask):
    """The shape, and the bits of a config, the first one being the highest of a byte."""
    digits = "".join(f"{byte:08b}" for byte in base64.b64decode(mask["bits"]))
    return mask["shape"], [int(digit) for digit in digits[: math.prod(mask["shape"])]]


def _index(place, shape):
    """The index of an entry, whose place counts in C order."""
    index = []
    for axis in range(len(shape)):
        step = math.prod(shape[axis + 1 :])
        index.append(place // step % shape[axis])
    return index


def _place(index, shape):
    return sum(i * math.prod(shape[axis + 1 :]) for axis, i in enumerate(index))
