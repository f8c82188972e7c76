"""The laws against classes that are wrong in one place only, and on right ones of unusual kinds."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

import keras_norms as kn
from keras_norms.constraints import Constraint
from keras_norms.numerics.groups import Axis
from keras_norms.numerics.norms import l2, l2_or_one
from keras_norms.testing.laws import checks, left_out

frozen = dataclasses.dataclass(frozen=True)
registered = keras.saving.register_keras_serializable("laws_subtle")
BOUND = 1.5


@registered
class Boxed(keras.constraints.Constraint):
    """Right."""

    def __init__(self, bound=1.0):
        self.bound = bound

    def __call__(self, w):
        return ops.clip(w, -self.bound, self.bound)

    def get_config(self):
        return {"bound": self.bound}


@registered
class SpoilsVariables(Boxed):
    def __call__(self, w):
        boxed = super().__call__(w)
        if isinstance(w, keras.Variable):
            w.assign(0 * boxed)
        return boxed


@registered
class DoublesVariables(Boxed):
    def __call__(self, w):
        return (2 if isinstance(w, keras.Variable) else 1) * super().__call__(w)


@registered
class EverySecondTime(Boxed):
    calls = 0

    def __call__(self, w):
        self.calls += 1
        return super().__call__(w) if self.calls % 2 else w


@registered
class EqualByConfig(Boxed):
    """Its config lacks the bound, and so equality does not see it."""

    def get_config(self):
        return {"bound": 1.0}

    def __eq__(self, other):
        return type(other) is type(self) and self.get_config() == other.get_config()

    __hash__ = None


@registered
class LoadsAsAnother(Boxed):
    @classmethod
    def from_config(cls, config):
        return Boxed(**config)


@registered
@frozen
class Ball(Constraint):
    """Right."""

    axis: Axis = 0
    convex = True

    def compute_projection(self, w, axes):
        return w * (BOUND / ops.maximum(l2_or_one(w, axes), BOUND))


@registered
@frozen
class WrongAxisOfConvolutions(Ball):
    def compute_projection(self, w, axes):
        return super().compute_projection(w, axes if len(w.shape) < 4 else (1,))


@registered
@frozen
class LastAxisOfSequences(Ball):
    def compute_projection(self, w, axes):
        return super().compute_projection(w, axes if len(w.shape) < 3 else (len(w.shape) - 1,))


@registered
@frozen
class ZeroIfSmall(Ball):
    def compute_projection(self, w, axes):
        return ops.where(l2(w, axes) < 1e-4, 0 * w, super().compute_projection(w, axes))


@registered
@frozen
class HalfIfLarge(Ball):
    def compute_projection(self, w, axes):
        near = super().compute_projection(w, axes)
        return ops.where(l2(w, axes) > 30, near / 2, near)


@registered
@frozen
class StepsAway(Ball):
    def compute_step(self, w, axes):
        return 3.0 * w


@registered
@frozen
class CouplesALittle(Ball):
    def compute_projection(self, w, axes):
        return super().compute_projection(w, axes) * (1 - 1e-3 * ops.tanh(ops.mean(w)))


@registered
@frozen
class Expands(Constraint):
    axis: Axis = 0
    convex = True

    def compute_projection(self, w, axes):
        return 1.05 * w


@registered
@frozen
class OffInFloat16(Ball):
    def __call__(self, w):
        moved = super().__call__(w)
        off = 0.97 if keras.backend.standardize_dtype(w.dtype) == "float16" else 1.0
        return ops.cast(moved * off, w.dtype)


@registered
@frozen
class NoSlopeAtZero(kn.regularizers.Regularizer):
    def compute_penalty(self, x):
        return ops.sqrt(ops.sum(ops.square(x)))


@registered
@frozen
class SlopeTooSmall(kn.regularizers.Regularizer):
    def compute_penalty(self, x):
        squares = ops.sum(ops.square(x))
        return 0.92 * squares + 0.08 * ops.stop_gradient(squares)


@registered
@frozen
class ALittleNegative(kn.regularizers.Regularizer):
    def compute_penalty(self, x):
        return ops.sum(ops.square(x)) - 1e-4


@registered
class WithinAnother(keras.constraints.Constraint):
    """Takes parts out of its config, as is usual with objects in it."""

    def __init__(self, inner, scale=2.0):
        self.inner, self.scale = inner, scale

    def __call__(self, w):
        return self.inner(w / self.scale) * self.scale

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {"inner": inner, "scale": self.scale}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("inner")), **config)


@registered
class LeavesBiases(Boxed):
    def __call__(self, w):
        return w if len(w.shape) < 2 else super().__call__(w)


@registered
@frozen
class LowerTriangle(Constraint):
    convex = True

    def compute_projection(self, w, axes):
        return ops.tril(w)


def broken(target, shapes=None):
    """The names of the laws that a target breaks."""
    found = set()
    for check in checks(target, shapes=shapes):
        if repr(check) == "jit_equals_eager":  # takes seconds for each
            continue
        try:
            check(target)
        except Exception:
            found.add(repr(check))
    return found


@pytest.mark.parametrize(
    ("target", "law"),
    [
        (SpoilsVariables(), "pure"),
        (DoublesVariables(), "pure"),
        (EverySecondTime(), "pure"),
        (EqualByConfig(3.0), "config_survives"),
        (LoadsAsAnother(), "loads"),
        (WrongAxisOfConvolutions(), "groups_independent"),
        (WrongAxisOfConvolutions(), "permuting_axes_commutes"),
        (LastAxisOfSequences(), "groups_independent"),
        (ZeroIfSmall(), "nearest"),
        (HalfIfLarge(), "nearest"),
        (StepsAway(), "step"),
        (CouplesALittle(), "groups_independent"),
        (Expands(), "non_expansive"),
        (OffInFloat16(), "half_precision"),
        (NoSlopeAtZero(), "right_gradient"),
        (SlopeTooSmall(), "right_gradient"),
        (ALittleNegative(), "not_negative"),
    ],
)
def test_what_is_wrong_in_one_place_is_found(target, law):
    (check,) = [each for each in checks(target) if repr(each) == law]
    with pytest.raises(AssertionError):
        check(target)


def test_state_of_every_second_call_is_called_state():
    (check,) = [each for each in checks(EverySecondTime()) if repr(each) == "pure"]
    with pytest.raises(AssertionError, match="must not depend on the calls before"):
        check(EverySecondTime())


@pytest.mark.parametrize(
    ("target", "shapes"),
    [
        (Boxed(), None),
        (Ball(), None),
        (WithinAnother(keras.constraints.NonNeg()), None),
        (LeavesBiases(), None),
        (LowerTriangle(), [(4, 4)]),
    ],
)
def test_what_is_right_is_not_accused(target, shapes):
    assert broken(target, shapes) == set()


def test_a_constraint_that_acts_on_no_shape_is_found():
    (check,) = [each for each in checks(lambda w: w * 1) if repr(each) == "acts"]
    with pytest.raises(AssertionError, match="must change some weights"):
        check(lambda w: w * 1)


def test_places_may_count_where_there_are_no_groups():
    reasons = left_out(LowerTriangle(), [(4, 4)])
    (laws,) = [laws for reason, laws in reasons.items() if "no groups" in reason]
    assert [law.__name__ for law in laws] == ["permuting_axes_commutes"]
    assert np.array_equal(ops.convert_to_numpy(LowerTriangle()(np.ones((2, 2)))), np.tri(2))
