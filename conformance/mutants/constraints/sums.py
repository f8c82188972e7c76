"""Constraints on the sum of each group, with the classic mistakes."""

import dataclasses
import math

import keras
import numpy as np
from keras import ops

import keras_norms as kn
from conformance.mutants.plain import Plain, axes, peaks, sums
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class _Simplex(Plain, keras.constraints.Constraint):
    total: float = 1.0
    axis: object = 0
    is_right = True

    def __call__(self, w):
        return ops.cast(self.nearest(ops.cast(w, "float32")), w.dtype)

    def nearest(self, v):
        return kn.Simplex(self.total, self.axis)(v)


class RunningSums(_Simplex):
    def nearest(self, v):
        """The textbook sorts, and takes running sums, here in float32."""
        rank = len(v.shape)
        inside = range(rank) if self.axis is None else np.atleast_1d(self.axis) % max(1, rank)
        order = [a for a in range(rank) if a not in inside] + sorted(map(int, inside))
        moved = ops.transpose(v, order)
        rows = ops.reshape(moved, (-1, math.prod(v.shape[a] for a in inside)))
        falling = -ops.sort(-rows, axis=1)
        excess = ops.cumsum(falling, axis=1) - self.total
        count = ops.cast(ops.arange(1, rows.shape[1] + 1), "float32")
        size = ops.sum(ops.cast(falling * count > excess, "int32"), axis=1, keepdims=True)
        size = ops.maximum(size, 1)
        theta = ops.take_along_axis(excess, size - 1, axis=1) / ops.cast(size, "float32")
        found = ops.reshape(ops.relu(rows - theta), tuple(moved.shape))
        return ops.transpose(found, np.argsort(order).tolist())


class Softmax(_Simplex):
    def nearest(self, v):
        e = ops.exp(v - peaks(v, self.axis))
        return self.total * e / sums(e, self.axis)


class RescaledPositivePart(_Simplex):
    def nearest(self, v):
        positive = ops.relu(v)
        return self.total * positive / ops.maximum(sums(positive, self.axis), 1e-30)


class PlainMichelot(_Simplex):
    """Newton's iteration without a shift by the peak: large entries cost the threshold digits."""

    def nearest(self, v):
        size = math.prod(v.shape) / math.prod(sums(v, self.axis).shape)
        theta = (sums(v, self.axis) - self.total) / size
        for _ in range(50):
            parts = ops.relu(v - theta)
            count = ops.maximum(sums(ops.sign(parts), self.axis), 1)
            theta = theta + (sums(parts, self.axis) - self.total) / count
        return ops.relu(v - theta)


class ShiftedMichelot(PlainMichelot):
    """Entries are measured from the largest, and stay so: small ones are rounded away."""

    def nearest(self, v):
        return super().nearest(v - peaks(v, self.axis))


@dataclasses.dataclass(frozen=True)
class Centered(Plain, keras.constraints.Constraint):
    """The textbook: one mean, in float32."""

    axis: object = 0
    is_right = True

    def __call__(self, w):
        v = ops.cast(w, "float32")
        return ops.cast(v - self.mean(v), w.dtype)

    def mean(self, v):
        return sums(v, self.axis) / self.count(v)

    def count(self, v):
        return math.prod(v.shape) / math.prod(sums(v, self.axis).shape)


class MeanOfOthers(Centered):
    def count(self, v):
        return max(super().count(v) - 1, 1)


class MeanOfTheWhole(Centered):
    def mean(self, v):
        return ops.mean(v)


class MeanOfRows(Centered):
    def mean(self, v):
        return ops.mean(v, axis=0, keepdims=True)


class Median(Centered):
    def mean(self, v):
        return ops.median(v, axis=axes(self.axis), keepdims=True)


class ScaledMean(Centered):
    def mean(self, v):
        return super().mean(v) * (1 - 1e-7)


MUTANTS = [
    Mutant("a mean in one pass", {"ZeroMean": Centered}),
    Mutant("a mean over n - 1", {"ZeroMean": MeanOfOthers}),
    Mutant("the mean of the whole weight", {"ZeroMean": MeanOfTheWhole}),
    Mutant("the mean of rows whatever the axis", {"ZeroMean": MeanOfRows}),
    Mutant("a median for a mean", {"ZeroMean": Median}),
    Mutant("a mean that is a little too small", {"ZeroMean": ScaledMean}),
    Mutant("simplex by running sums", {"Simplex": RunningSums}),
    Mutant("softmax for the simplex", {"Simplex": Softmax}),
    Mutant("rescaled positive part", {"Simplex": RescaledPositivePart}),
    Mutant("Michelot without a shift", {"Simplex": PlainMichelot}),
    Mutant("Michelot with a shift only", {"Simplex": ShiftedMichelot}),
]
