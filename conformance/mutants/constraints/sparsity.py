"""Sparse constraints, with the classic mistakes."""

import dataclasses

import keras
from keras import ops

from conformance.mutants.plain import Plain, rows_of, with_rows
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class Sorted(Plain, keras.constraints.Constraint):
    """The textbook: entries below the k-th largest of a sort become 0, so that ties all stay."""

    sparsity: float = 0.5
    axis: object = None
    is_right = True

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        rows = rows_of(w, self.axis)
        count = self.count(rows.shape[1])
        if count == 0:
            return ops.zeros_like(w)
        falling = -ops.sort(-self.sizes(rows), axis=1)
        stays = self.sizes(rows) >= falling[:, count - 1 : count]
        return with_rows(w, self.axis, self.kept(rows, stays))

    def count(self, size):
        return round(size * (1 - self.sparsity))

    def sizes(self, rows):
        return ops.abs(rows)

    def kept(self, rows, stays):
        return ops.where(stays, rows, ops.zeros_like(rows))


def ranks(sizes, after_equals=False):
    """How many entries of a row are larger than each, or equal and before it (or after it)."""
    mine, others = sizes[:, :, None], sizes[:, None, :]
    places = ops.arange(sizes.shape[1])
    first = places[None, :] < places[:, None]
    first = ops.logical_not(first) if after_equals else first
    first = ops.logical_and(others == mine, first[None])
    return ops.sum(ops.cast(ops.logical_or(others > mine, first), "int32"), axis=2)


class FirstOfEquals(Sorted):
    """What is right, by ranks."""

    is_right = True

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        rows = rows_of(w, self.axis)
        stays = self.rank(ops.abs(rows)) < self.count(rows.shape[1])
        return with_rows(w, self.axis, self.kept(rows, stays))

    def rank(self, sizes):
        return ranks(sizes)


class LastOfEquals(FirstOfEquals):
    def rank(self, sizes):
        return ranks(sizes, after_equals=True) - 1  # itself counts


class Signed(Sorted):
    def sizes(self, rows):
        return rows


class Floored(FirstOfEquals):
    def count(self, size):
        return int(size * (1 - self.sparsity))


class ShareThatStays(FirstOfEquals):
    def count(self, size):
        return round(size * self.sparsity)


class Magnitudes(FirstOfEquals):
    def kept(self, rows, stays):
        return super().kept(ops.abs(rows), stays)


class Smallest(FirstOfEquals):
    def rank(self, sizes):
        return ranks(-sizes)


class OneForAll(FirstOfEquals):
    def __call__(self, w):
        return FirstOfEquals(self.sparsity, None)(w)


class CoarseThreshold(Sorted):
    """Twenty halvings of an interval, as is enough for weights of one size."""

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        rows = rows_of(w, self.axis)
        low = ops.zeros_like(rows[:, :1])
        high = ops.amax(ops.abs(rows), axis=1, keepdims=True)
        for _ in range(20):
            middle = (low + high) / 2
            reach = ops.sum(ops.cast(ops.abs(rows) >= middle, "int32"), axis=1, keepdims=True)
            is_enough = reach >= self.count(rows.shape[1])
            low, high = ops.where(is_enough, middle, low), ops.where(is_enough, high, middle)
        return with_rows(w, self.axis, self.kept(rows, ops.abs(rows) >= low))


@dataclasses.dataclass(frozen=True)
class Blocks(Plain, keras.constraints.Constraint):
    """N:M by ranks in each block."""

    n: int = 2
    m: int = 4
    axis: object = 0
    is_right = True

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        rows = rows_of(w, self.axis)
        count, size = rows.shape
        filled = -(-size // self.m) * self.m
        sizes = ops.pad(ops.abs(rows), ((0, 0), (0, filled - size)), constant_values=-1)
        stays = ops.reshape(self.ranked(sizes), (count, filled))[:, :size] < self.n
        stays = ops.logical_or(stays, self.exempt(ops.arange(size))[None])
        return with_rows(w, self.axis, ops.where(stays, rows, ops.zeros_like(rows)))

    def ranked(self, sizes):
        return self.rank(ops.reshape(sizes, (-1, self.m)))

    def rank(self, blocks):
        return ranks(blocks)

    def exempt(self, places):
        return places < 0


class NoTail(Blocks):
    def exempt(self, places):
        return places >= places.shape[0] // self.m * self.m


class TailInProportion(Blocks):
    """A last block of r entries keeps n * r // m, and no block that is shorter has none left."""

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        size = rows_of(w, self.axis).shape[1]
        found = rows_of(super().__call__(w), self.axis)
        tail = size % self.m
        beyond = ops.arange(size) >= size - tail + (tail * self.n // self.m if tail else 0)
        return with_rows(w, self.axis, ops.where(beyond[None], ops.zeros_like(found), found))


class Strided(Blocks):
    def ranked(self, sizes):
        count, filled = sizes.shape
        apart = ops.transpose(ops.reshape(sizes, (count, self.m, filled // self.m)), (0, 2, 1))
        found = ops.reshape(self.rank(ops.reshape(apart, (-1, self.m))), apart.shape)
        return ops.transpose(found, (0, 2, 1))


class LastInBlock(Blocks):
    def rank(self, blocks):
        return ranks(blocks, after_equals=True) - 1  # itself counts


class OtherAxis(Blocks):
    def __call__(self, w):
        return Blocks(self.n, self.m, -1)(w)


@dataclasses.dataclass(frozen=True)
class Units(Plain, keras.constraints.Constraint):
    """Whole units by a score."""

    sparsity: float = 0.5
    axis: object = 0
    is_right = True

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        rows = rows_of(w, self.axis)
        stays = self.rank(self.scores(rows)[None]) < round(rows.shape[0] * (1 - self.sparsity))
        kept = ops.where(ops.transpose(stays), rows, ops.zeros_like(rows))
        return with_rows(w, self.axis, kept)

    def scores(self, rows):
        return ops.sum(ops.square(rows), axis=1)

    def rank(self, scores):
        return ranks(scores)


class UnitsBySum(Units):
    def scores(self, rows):
        return ops.abs(ops.sum(rows, axis=1))


class UnitsByL1(Units):
    def scores(self, rows):
        return ops.sum(ops.abs(rows), axis=1)


class UnitsByPeak(Units):
    def scores(self, rows):
        return ops.amax(ops.abs(rows), axis=1)


class LastUnits(Units):
    def rank(self, scores):
        return ranks(scores, after_equals=True) - 1  # itself counts


@dataclasses.dataclass(frozen=True)
class Masked(keras.constraints.Constraint):
    mask: object
    is_right = True

    def __hash__(self):
        return 0  # a config holds a dict

    def get_config(self):
        return {"mask": self.mask}

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        return w * ops.cast(self.ones(), w.dtype)

    def ones(self):
        if not isinstance(self.mask, dict):
            return ops.convert_to_tensor(self.mask)
        return ops.ones(self.mask["shape"])


class Inverted(Masked):
    def ones(self):
        return 1 - ops.cast(super().ones(), "float32")


MUTANTS = [
    Mutant("a threshold that keeps all ties", {"Sparse": Sorted}),
    Mutant("the last of equal entries", {"Sparse": LastOfEquals}),
    Mutant("signed entries sorted", {"Sparse": Signed}),
    Mutant("a count that is floored", {"Sparse": Floored}),
    Mutant("the share that stays for the share of zeros", {"Sparse": ShareThatStays}),
    Mutant("signs lost", {"Sparse": Magnitudes}),
    Mutant("the smallest entries stay", {"Sparse": Smallest}),
    Mutant("one threshold whatever the axis", {"Sparse": OneForAll}),
    Mutant("a threshold by 20 halvings", {"Sparse": CoarseThreshold}),
    Mutant("N:M without the tail", {"SparseNM": NoTail}),
    Mutant("N:M with a share of the tail", {"SparseNM": TailInProportion}),
    Mutant("N:M over entries that are apart", {"SparseNM": Strided}),
    Mutant("N:M with the last of equal entries", {"SparseNM": LastInBlock}),
    Mutant("N:M along the last axis", {"SparseNM": OtherAxis}),
    Mutant("units by their sum", {"SparseUnits": UnitsBySum}),
    Mutant("units by their L1 norm", {"SparseUnits": UnitsByL1}),
    Mutant("units by their largest weight", {"SparseUnits": UnitsByPeak}),
    Mutant("the last of equal units", {"SparseUnits": LastUnits}),
    Mutant("a mask whose config is a list", {"FixedMask": Masked}),
    Mutant("a mask that is inverted", {"FixedMask": Inverted}),
]
