"""Constraints on the norm of each group, with the classic mistakes."""

import dataclasses

import keras
import numpy as np
from keras import ops

import keras_norms as kn
from conformance.mutants.constraints.sums import RunningSums
from conformance.mutants.plain import Plain, axes, norms, peaks, sums
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class _MaxNorm(Plain, keras.constraints.Constraint):
    """A correct max-norm in plain words, for the mutants to break."""

    is_right = True
    max_value: float = 2.0
    axis: object = 0

    def __call__(self, w):
        return ops.cast(self.bounded(ops.cast(w, "float32")), w.dtype)

    def bounded(self, w):
        return w * (self.max_value / ops.maximum(self.norm(w), self.max_value))

    def norm(self, w):
        return norms(w, self.axis)


class WholeMatrixNorm(_MaxNorm):
    def norm(self, w):
        return norms(w, None)


class WrongAxis(_MaxNorm):
    def norm(self, w):
        return norms(w, -1 if self.axis == 0 else 0)


class EpsilonInDenominator(_MaxNorm):
    def bounded(self, w):
        norm = norms(w, self.axis)
        return w * (ops.clip(norm, 0, self.max_value) / (1e-7 + norm))


class EpsilonInRoot(_MaxNorm):
    def norm(self, w):
        return ops.sqrt(sums(ops.square(w), self.axis) + 1e-6)


class NoEpsilonNoGuard(_MaxNorm):
    def bounded(self, w):
        norm = norms(w, self.axis)
        return w / norm * ops.minimum(norm, self.max_value)


class SquaredNorm(_MaxNorm):
    def norm(self, w):
        return norms(w, self.axis) ** 2


class MinForMax(_MaxNorm):
    def bounded(self, w):
        return w * (self.max_value / ops.minimum(norms(w, self.axis), self.max_value))


class NoCastBack(_MaxNorm):
    def __call__(self, w):
        return self.bounded(ops.cast(w, "float32"))


class HalfPrecisionSum(_MaxNorm):
    def __call__(self, w):
        return self.bounded(ops.convert_to_tensor(w))


class SequentialSum(kn.MaxNorm):
    """It adds one term after another along the first axis, as TensorFlow does outside XLA.

    So does what it breaks, if that is a plain sum: here it is ours.
    """

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        if self.axis != 0 or w.shape[0] < 1000:
            return super().__call__(w)
        v = ops.convert_to_numpy(ops.cast(w, "float32"))
        norm = np.sqrt(np.add.accumulate(np.square(v), axis=0)[-1])
        return ops.cast(v * (self.max_value / np.maximum(norm, self.max_value)), w.dtype)


class NotApplied(_MaxNorm):
    def __call__(self, w):
        return ops.convert_to_tensor(w)


class PythonDecides(_MaxNorm):
    """It gives the right result, but Python looks at a value while it runs.

    It does so before it calls any operation of Keras, which a compiler may not know how to trace.
    """

    def __call__(self, w):
        first = float(w[(0,) * len(w.shape)])
        return super().__call__(w * 1 if first == 0 else w)


class StoppedGradient(_MaxNorm):
    def norm(self, w):
        return ops.stop_gradient(norms(w, self.axis))


class MissingKey(_MaxNorm):
    def get_config(self):
        return {"axis": self.axis}


class RoundedKey(_MaxNorm):
    def get_config(self):
        return {"max_value": float(round(self.max_value)), "axis": self.axis}


class EqualByIdentity(_MaxNorm):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class AcceptsAnything:
    """Bad input passes, and does nothing."""

    def __new__(cls, *args, **kwargs):
        try:
            return kn.MaxNorm(*args, **kwargs)
        except (TypeError, ValueError):
            return ops.convert_to_tensor


class MissingKeepdims(_MaxNorm):
    def norm(self, w):
        return ops.sqrt(ops.sum(ops.square(w), axis=axes(self.axis)))


@dataclasses.dataclass(frozen=True)
class _Ball(Plain, keras.constraints.Constraint):
    max_value: float = 2.0
    axis: object = 0
    ord: object = 2
    is_right = True

    def __call__(self, w):
        return ops.cast(self.nearest(ops.cast(w, "float32")), w.dtype)

    def nearest(self, w):
        return kn.MaxNorm(self.max_value, self.axis, self.ord)(w)


class Rescaled(_Ball):
    def nearest(self, w):
        norm = sums(ops.abs(w), self.axis)
        return w * (self.max_value / ops.maximum(norm, self.max_value))


class WithoutSigns(_Ball):
    def nearest(self, w):
        return ops.abs(super().nearest(w))


class AlwaysOnTheSphere(_Ball):
    def nearest(self, w):
        return ops.sign(w) * RunningSums(self.max_value, self.axis).nearest(ops.abs(w))


class FewSteps(_Ball):
    """It halves an interval 12 times to find the threshold."""

    def nearest(self, w):
        low, high = ops.zeros_like(sums(w, self.axis)), peaks(ops.abs(w), self.axis)
        for _ in range(12):
            middle = (low + high) / 2
            above = sums(ops.relu(ops.abs(w) - middle), self.axis) > self.max_value
            low, high = ops.where(above, middle, low), ops.where(above, high, middle)
        inside = sums(ops.abs(w), self.axis) <= self.max_value
        return ops.where(inside, w, ops.sign(w) * ops.relu(ops.abs(w) - high))


class ScaledToTheBox(_Ball):
    def nearest(self, w):
        peak = peaks(ops.abs(w), self.axis)
        return w * (self.max_value / ops.maximum(peak, self.max_value))


class OneSidedBox(_Ball):
    def nearest(self, w):
        return ops.minimum(w, self.max_value)


@dataclasses.dataclass(frozen=True)
class _UnitNorm(Plain, keras.constraints.Constraint):
    axis: object = 0
    is_right = True

    def __call__(self, w):
        v = ops.cast(w, "float32")
        return ops.cast(v / self.divisor(norms(v, self.axis)), w.dtype)

    def divisor(self, norm):
        return ops.where(norm == 0, 1.0, norm)


class UnitNormWithEpsilon(_UnitNorm):
    def divisor(self, norm):
        return 1e-7 + norm


class UnitNormWithoutGuard(_UnitNorm):
    def divisor(self, norm):
        return norm


@dataclasses.dataclass(frozen=True)
class _MinMaxNorm(Plain, keras.constraints.Constraint):
    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: object = 0
    is_right = True

    def __call__(self, w):
        v = ops.cast(w, "float32")
        norm = ops.maximum(norms(v, self.axis), 1e-30)
        return ops.cast(v * self.factor(norm), w.dtype)

    def factor(self, norm):
        return 1 - self.rate + self.rate * (ops.clip(norm, self.min_value, self.max_value) / norm)


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


ONE, LARGEST = {"ord": 1}, {"ord": "inf"}
# What Python says where a value is not known yet, and what backends say of shapes that do not fit.
UNKNOWN = ("TypeError", "ConcretizationTypeError", "Unsupported", "UserError")
NO_BROADCAST = ("InvalidArgumentError", "RuntimeError", "TypeError", "ValueError")

MUTANTS = [
    Mutant("whole-matrix norm", {"MaxNorm": WholeMatrixNorm}),
    Mutant("wrong axis", {"MaxNorm": WrongAxis}),
    Mutant("epsilon in the denominator", {"MaxNorm": EpsilonInDenominator}),
    Mutant("epsilon inside the root", {"MaxNorm": EpsilonInRoot}),
    Mutant("no guard at a zero group", {"MaxNorm": NoEpsilonNoGuard}),
    Mutant("squared norm", {"MaxNorm": SquaredNorm}),
    Mutant("min for max", {"MaxNorm": MinForMax}),
    Mutant("no cast back", {"MaxNorm": NoCastBack}),
    Mutant("sum in half precision", {"MaxNorm": HalfPrecisionSum}),
    Mutant("one term after another", {"MaxNorm": SequentialSum}),
    Mutant("constraint not applied", {"MaxNorm": NotApplied}, kinds=("training", "bounded")),
    Mutant("Python decides", {"MaxNorm": PythonDecides}, kinds=("jit",), dies_by=UNKNOWN),
    Mutant("a stopped gradient", {"MaxNorm": StoppedGradient}),
    Mutant("a missing config key", {"MaxNorm": MissingKey}),
    Mutant("a rounded config value", {"MaxNorm": RoundedKey}),
    Mutant("equality by identity", {"MaxNorm": EqualByIdentity}),
    Mutant("bad input accepted", {"MaxNorm": AcceptsAnything}, kinds=("raises",)),
    Mutant("missing keepdims", {"MaxNorm": MissingKeepdims}, dies_by=NO_BROADCAST),
    Mutant("L1 ball by rescaling", {"MaxNorm": Rescaled}, config=ONE),
    Mutant("L1 ball without signs", {"MaxNorm": WithoutSigns}, config=ONE),
    Mutant("L1 sphere for the ball", {"MaxNorm": AlwaysOnTheSphere}, config=ONE),
    Mutant("a threshold from few steps", {"MaxNorm": FewSteps}, config=ONE),
    Mutant("a box by rescaling", {"MaxNorm": ScaledToTheBox}, config=LARGEST),
    Mutant("a box with one side", {"MaxNorm": OneSidedBox}, config=LARGEST),
    Mutant("unit norm with epsilon", {"UnitNorm": UnitNormWithEpsilon}),
    Mutant("unit norm without a guard at zero", {"UnitNorm": UnitNormWithoutGuard}),
    Mutant("rate ignored", {"MinMaxNorm": RateIgnored}),
    Mutant("rate reversed", {"MinMaxNorm": RateReversed}),
    Mutant("no lower bound", {"MinMaxNorm": NoLowerBound}),
    Mutant("cancellation in the factor", {"MinMaxNorm": CancellingFactor}),
]
