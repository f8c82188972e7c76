"""Sets other than the Euclidean ball, with the classic mistakes."""

import dataclasses
import math

import keras
import numpy as np
from keras import ops

import keras_norms as kn
from keras_norms.testing.runner import Control


def _axes(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def _sum(w, axis):
    return ops.sum(w, axis=_axes(axis), keepdims=True)


def _largest(w, axis):
    return ops.amax(w, axis=_axes(axis), keepdims=True)


class _Plain(keras.constraints.Constraint):
    """What is right about every control: a config."""

    def get_config(self):
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class _Ball(_Plain):
    max_value: float = 2.0
    axis: object = 0
    ord: object = 2

    def __call__(self, w):
        return ops.cast(self.nearest(ops.cast(w, "float32")), w.dtype)

    def correct(self, w):
        return kn.MaxNorm(self.max_value, self.axis, self.ord)(w)


class Rescaled(_Ball):
    def nearest(self, w):
        norm = _sum(ops.abs(w), self.axis)
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class WithoutSigns(_Ball):
    def nearest(self, w):
        return ops.abs(self.correct(w))


class AlwaysOnTheSphere(_Ball):
    def nearest(self, w):
        return ops.sign(w) * _Simplex(self.max_value, self.axis).nearest(ops.abs(w))


class FewSteps(_Ball):
    """The threshold by 12 halvings of an interval."""

    def nearest(self, w):
        low, high = ops.zeros_like(_sum(w, self.axis)), _largest(ops.abs(w), self.axis)
        for _ in range(12):
            middle = (low + high) / 2
            above = _sum(ops.relu(ops.abs(w) - middle), self.axis) > self.max_value
            low, high = ops.where(above, middle, low), ops.where(above, high, middle)
        inside = _sum(ops.abs(w), self.axis) <= self.max_value
        return ops.where(inside, w, ops.sign(w) * ops.relu(ops.abs(w) - high))


class ScaledToTheBox(_Ball):
    def nearest(self, w):
        largest = _largest(ops.abs(w), self.axis)
        return w * (self.max_value / ops.maximum(largest, self.max_value))


class OneSidedBox(_Ball):
    def nearest(self, w):
        return ops.minimum(w, self.max_value)


@dataclasses.dataclass(frozen=True)
class _Simplex(_Plain):
    total: float = 1.0
    axis: object = 0

    def __call__(self, w):
        return ops.cast(self.nearest(ops.cast(w, "float32")), w.dtype)

    def nearest(self, v):
        """The textbook's sort, with running sums in float32."""
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
        e = ops.exp(v - _largest(v, self.axis))
        return self.total * e / _sum(e, self.axis)


class RescaledPositivePart(_Simplex):
    def nearest(self, v):
        positive = ops.relu(v)
        return self.total * positive / ops.maximum(_sum(positive, self.axis), 1e-30)


class PlainMichelot(_Simplex):
    """Newton without a shift by the peak: large entries lose the digits of the threshold."""

    def nearest(self, v):
        size = math.prod(v.shape) / math.prod(_sum(v, self.axis).shape)
        theta = (_sum(v, self.axis) - self.total) / size
        for _ in range(50):
            parts = ops.relu(v - theta)
            count = ops.maximum(_sum(ops.sign(parts), self.axis), 1)
            theta = theta + (_sum(parts, self.axis) - self.total) / count
        return ops.relu(v - theta)


@dataclasses.dataclass(frozen=True)
class BoundsReversed(_Plain):
    min_value: float
    max_value: float

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        return ops.cast(ops.clip(w, -self.max_value, -self.min_value), w.dtype)


@dataclasses.dataclass(frozen=True)
class OneBound(_Plain):
    min_value: float
    max_value: float

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        return ops.cast(ops.where(w > self.max_value, self.max_value, w), w.dtype)


@dataclasses.dataclass(frozen=True)
class BoundsInSinglePrecision(_Plain):
    min_value: float
    max_value: float

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        low, high = (float(np.float32(x)) for x in (self.min_value, self.max_value))
        return kn.Clip(low, high)(w)


class Backwards:
    """A chain whose members come in the other order."""

    def __new__(cls, *members):
        return kn.Chain(*reversed(members))


class FirstOnly:
    def __new__(cls, *members):
        return kn.Chain(members[0], members[0])


ONE, LARGEST = {"ord": 1}, {"ord": "inf"}

CONTROLS = [
    Control("L1 ball by rescaling", {"MaxNorm": Rescaled}, config=ONE),
    Control("L1 ball without signs", {"MaxNorm": WithoutSigns}, config=ONE),
    Control("L1 sphere for the ball", {"MaxNorm": AlwaysOnTheSphere}, config=ONE),
    Control("a threshold from few steps", {"MaxNorm": FewSteps}, config=ONE),
    Control("a box by rescaling", {"MaxNorm": ScaledToTheBox}, config=LARGEST),
    Control("a box with one side", {"MaxNorm": OneSidedBox}, config=LARGEST),
    Control("simplex by running sums", {"Simplex": _Simplex}),
    Control("softmax for the simplex", {"Simplex": Softmax}),
    Control("rescaled positive part", {"Simplex": RescaledPositivePart}),
    Control("Michelot without a shift", {"Simplex": PlainMichelot}),
    Control("bounds reversed", {"Clip": BoundsReversed}),
    Control("one bound for two", {"Clip": OneBound}),
    Control("bounds in single precision", {"Clip": BoundsInSinglePrecision}),
    Control("a chain backwards", {"Chain": Backwards}),
    Control("a chain's first member only", {"Chain": FirstOnly}),
]
