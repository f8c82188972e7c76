"""Tensors of mpmath numbers: a shape, and the entries in C order. Nothing is rounded."""

import dataclasses
import itertools
import math

from mpmath import mp, mpf

mp.prec = 200


@dataclasses.dataclass(frozen=True)
class Tensor:
    shape: tuple
    entries: tuple

    def __post_init__(self):
        if len(self.entries) != math.prod(self.shape):
            raise ValueError(f"{len(self.entries)} entries do not fill {self.shape}")

    @classmethod
    def of(cls, shape, numbers):
        return cls(tuple(shape), tuple(mpf(n) for n in numbers))

    def map_groups(self, axis, function):
        """Each group, a list of entries, replaced by function(group), of the same length."""
        result = list(self.entries)
        for group in groups(self.shape, axis):
            for place, value in zip(group, function([self.entries[i] for i in group]), strict=True):
                result[place] = value
        return Tensor(self.shape, tuple(result))


def groups(shape, axis):
    """For each group, the places of its entries. `axis` names the axes inside a group."""
    rank = len(shape)
    if axis is None:
        inside = set(range(rank))
    else:
        inside = {a % rank for a in (axis if isinstance(axis, list) else [axis])}
    found = {}
    for place, index in enumerate(itertools.product(*map(range, shape))):
        key = tuple(i for a, i in enumerate(index) if a not in inside)
        found.setdefault(key, []).append(place)
    return list(found.values())


def outside(shape, axis):
    """The shape that is left without the axes inside a group."""
    if axis is None:
        return ()
    inside = {a % len(shape) for a in (axis if isinstance(axis, list) else [axis])}
    return tuple(size for a, size in enumerate(shape) if a not in inside)


def norm(group):
    return mp.sqrt(sum((x * x for x in group), mpf(0)))


def as_double_pair(x):
    """The two hex doubles whose sum is `x` to about 106 bits."""
    high = float(x)
    return [high.hex(), float(x - mpf(high)).hex()]
