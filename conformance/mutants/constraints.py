"""Constraints with the classic mistakes."""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_norms.testing.harness import Mismatch
from keras_norms.testing.runner import Control


def _norm(w, axis):
    axis = tuple(axis) if isinstance(axis, list) else axis
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


class _Plain(keras.constraints.Constraint):
    """What is right about every control: a config."""

    def get_config(self):
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class _MaxNorm(_Plain):
    """A correct max-norm in plain words, for the mutants to break."""

    max_value: float = 2.0
    axis: object = 0

    def __call__(self, w):
        return ops.cast(self.bounded(ops.cast(w, "float32")), w.dtype)

    def bounded(self, w):
        norm = _norm(w, self.axis)
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class WholeMatrixNorm(_MaxNorm):
    def bounded(self, w):
        norm = _norm(w, None)
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class WrongAxis(_MaxNorm):
    def bounded(self, w):
        norm = _norm(w, -1 if self.axis == 0 else 0)
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class EpsilonInDenominator(_MaxNorm):
    def bounded(self, w):
        norm = _norm(w, self.axis)
        return w * (ops.clip(norm, 0, self.max_value) / (1e-7 + norm))


class EpsilonInRoot(_MaxNorm):
    def bounded(self, w):
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        norm = ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True) + 1e-6)
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class NoEpsilonNoGuard(_MaxNorm):
    def bounded(self, w):
        norm = _norm(w, self.axis)
        return w / norm * ops.minimum(norm, self.max_value)


class SquaredNorm(_MaxNorm):
    def bounded(self, w):
        norm = _norm(w, self.axis) ** 2
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class MinForMax(_MaxNorm):
    def bounded(self, w):
        return w * (self.max_value / ops.minimum(_norm(w, self.axis), self.max_value))


class NoCastBack(_MaxNorm):
    def __call__(self, w):
        return self.bounded(ops.cast(w, "float32"))


class HalfPrecisionSum(_MaxNorm):
    def __call__(self, w):
        return self.bounded(ops.convert_to_tensor(w))


class SequentialSum(_MaxNorm):
    """Adds one term after another along the first axis, as TensorFlow does outside XLA."""

    def bounded(self, w):
        if self.axis != 0 or w.shape[0] < 1000:
            return super().bounded(w)
        squares = np.asarray(ops.convert_to_numpy(ops.square(w)))
        norm = np.sqrt(np.add.accumulate(squares, axis=0)[-1])
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class NotApplied(_MaxNorm):
    def __call__(self, w):
        return ops.convert_to_tensor(w)


class PythonDecides(_MaxNorm):
    """Right, but by a value that Python looks at while it runs."""

    def bounded(self, w):
        try:
            return super().bounded(w) if float(ops.sum(w)) != 0 else w
        except Exception as error:
            raise Mismatch("there is no value while a function is traced") from error


class StoppedGradient(_MaxNorm):
    def bounded(self, w):
        norm = ops.stop_gradient(_norm(w, self.axis))
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class SinglePrecision(_MaxNorm):
    """Correct in float32, which is all that it computes in."""


class MissingKey(_MaxNorm):
    def get_config(self):
        return {"axis": self.axis}


class RoundedKey(_MaxNorm):
    def get_config(self):
        return {"max_value": float(round(self.max_value)), "axis": self.axis}


class EqualByIdentity(_MaxNorm):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class AcceptsAnything(_MaxNorm):
    """Checks nothing, so that bad input passes, or each backend says what it likes."""


class MissingKeepdims(_MaxNorm):
    def bounded(self, w):
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        norm = ops.sqrt(ops.sum(ops.square(w), axis=axis))
        try:
            return w * (self.max_value / ops.maximum(norm, self.max_value))
        except Exception as error:
            raise Mismatch("the norms do not broadcast") from error


@dataclasses.dataclass(frozen=True)
class UnitNormWithEpsilon(_Plain):
    axis: object = 0

    def __call__(self, w):
        v = ops.cast(w, "float32")
        return ops.cast(v / (1e-7 + _norm(v, self.axis)), w.dtype)


@dataclasses.dataclass(frozen=True)
class UnitNormWithoutGuard(_Plain):
    axis: object = 0

    def __call__(self, w):
        v = ops.cast(w, "float32")
        return ops.cast(v / _norm(v, self.axis), w.dtype)


@dataclasses.dataclass(frozen=True)
class _MinMaxNorm(_Plain):
    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: object = 0

    def __call__(self, w):
        v = ops.cast(w, "float32")
        norm = ops.maximum(_norm(v, self.axis), 1e-30)
        return ops.cast(v * self.factor(norm), w.dtype)


class RateIgnored(_MinMaxNorm):
    def factor(self, norm):
        return ops.clip(norm, self.min_value, self.max_value) / norm


class RateReversed(_MinMaxNorm):
    def factor(self, norm):
        return self.rate + (1 - self.rate) * ops.clip(norm, self.min_value, self.max_value) / norm


class NoLowerBound(_MinMaxNorm):
    def factor(self, norm):
        return 1 + self.rate * (ops.minimum(norm, self.max_value) / norm - 1)


class CancellingFactor(_MinMaxNorm):
    def factor(self, norm):
        return 1 + self.rate * (ops.clip(norm, self.min_value, self.max_value) / norm - 1)


@dataclasses.dataclass(frozen=True)
class AbsoluteValue(_Plain):
    def __call__(self, w):
        return ops.abs(w)


CONTROLS = [
    Control("whole-matrix norm", {"MaxNorm": WholeMatrixNorm}),
    Control("wrong axis", {"MaxNorm": WrongAxis}),
    Control("epsilon in the denominator", {"MaxNorm": EpsilonInDenominator}),
    Control("epsilon inside the root", {"MaxNorm": EpsilonInRoot}),
    Control("no guard at a zero group", {"MaxNorm": NoEpsilonNoGuard}),
    Control("squared norm", {"MaxNorm": SquaredNorm}),
    Control("min for max", {"MaxNorm": MinForMax}),
    Control("no cast back", {"MaxNorm": NoCastBack}),
    Control("sum in half precision", {"MaxNorm": HalfPrecisionSum}),
    Control("one term after another", {"MaxNorm": SequentialSum}),
    Control("constraint not applied", {"MaxNorm": NotApplied}, kinds=("training", "bounded")),
    Control("Python decides", {"MaxNorm": PythonDecides}, kinds=("jit",)),
    Control("a stopped gradient", {"MaxNorm": StoppedGradient}),
    Control("float64 in single precision", {"MaxNorm": SinglePrecision}),
    Control("a missing config key", {"MaxNorm": MissingKey}),
    Control("a rounded config value", {"MaxNorm": RoundedKey}),
    Control("equality by identity", {"MaxNorm": EqualByIdentity}),
    Control("bad input accepted", {"MaxNorm": AcceptsAnything}),
    Control("missing keepdims", {"MaxNorm": MissingKeepdims}),
    Control("unit norm with epsilon", {"UnitNorm": UnitNormWithEpsilon}),
    Control("unit norm without a guard at zero", {"UnitNorm": UnitNormWithoutGuard}),
    Control("rate ignored", {"MinMaxNorm": RateIgnored}),
    Control("rate reversed", {"MinMaxNorm": RateReversed}),
    Control("no lower bound", {"MinMaxNorm": NoLowerBound}),
    Control("cancellation in the factor", {"MinMaxNorm": CancellingFactor}),
    Control("abs for max(w, 0)", {"NonNeg": AbsoluteValue}),
]
