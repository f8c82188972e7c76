"""The laws, over every class that the package exports, and the laws against broken classes."""

import dataclasses
import os

import hypothesis
import keras
import numpy as np
import pytest
from keras import ops
from third_party_package import outside_norms

import keras_norms as kn
from keras_norms.constraints import Constraint
from keras_norms.testing.laws import (
    CONSTRAINT_LAWS,
    CONVEX_LAWS,
    checks,
    examples,
    left_out,
    parametrize_with_checks,
)
from keras_norms.testing.laws.asking import shapes_for
from keras_norms.testing.laws.common import jit_equals_eager

# Many in the nightly session, few here.
EXAMPLES = int(os.environ.get("KERAS_NORMS_EXAMPLES", "5"))


@parametrize_with_checks(examples(kn), max_examples=EXAMPLES)
def test_every_exported_class(target, check):
    if check.law is jit_equals_eager and EXAMPLES < 25:
        check.shapes = shapes_for(target)[:1]  # TorchDynamo takes up to 20 s for each shape
    check(target)


@dataclasses.dataclass(frozen=True)
class Broken(Constraint):
    axis: int = 0


@dataclasses.dataclass(frozen=True)
class Half(Broken):
    convex = True

    def compute_projection(self, w, axes):
        return w / 2


@dataclasses.dataclass(frozen=True)
class WholeMatrix(Broken):
    def compute_projection(self, w, axes):
        return w / (1 + ops.sum(ops.abs(w)))


@dataclasses.dataclass(frozen=True)
class WrongAxis(Broken):
    def compute_projection(self, w, axes):
        return w / ops.maximum(ops.sum(ops.abs(w), axis=0, keepdims=True), 1)


@dataclasses.dataclass(frozen=True)
class Overflows(Broken):
    def compute_projection(self, w, axes):
        return (
            w / ops.maximum(ops.sqrt(ops.sum(ops.square(w), axis=axes, keepdims=True)), 1) * w / w
        )


@dataclasses.dataclass(frozen=True)
class Sphere(Broken):
    convex = True

    def compute_projection(self, w, axes):
        return kn.UnitNorm(self.axis).project(w)


@dataclasses.dataclass(frozen=True)
class Rescaled(Broken):
    """In the L1 ball, but not at its nearest point."""

    convex = True

    def compute_projection(self, w, axes):
        return w / ops.maximum(ops.sum(ops.abs(w), axis=axes, keepdims=True), 1)


@dataclasses.dataclass(frozen=True)
class NoCastBack(Broken):
    def __call__(self, w):
        return ops.cast(w, "float32")

    def compute_projection(self, w, axes):
        return w


@dataclasses.dataclass(frozen=True)
class LosesNaN(Broken):
    """A group with NaN in it is taken for one that is inside."""

    def compute_projection(self, w, axes):
        norm = ops.sqrt(ops.sum(ops.square(w), axis=axes, keepdims=True))
        return w / ops.where(norm > 1, norm, ops.ones_like(norm))


@dataclasses.dataclass(frozen=True)
class Forgets(Broken):
    def compute_projection(self, w, axes):
        return w

    def get_config(self):
        return {"axis": 1 - self.axis}


@dataclasses.dataclass(frozen=True)
class Shrinks(Broken):
    """An epsilon beside the norm."""

    def compute_projection(self, w, axes):
        norm = ops.sqrt(ops.sum(ops.square(w), axis=axes, keepdims=True))
        return w * ops.minimum(norm, 2.0) / (norm + 1e-7)


@dataclasses.dataclass(frozen=True)
class SumsInHalf(Broken):
    """The base class would cast to float32; this one sums squares in the dtype of the weights."""

    def __call__(self, w):
        norm = ops.sqrt(ops.sum(ops.square(w), axis=0, keepdims=True))
        return w * (1 / ops.maximum(norm, 1))

    def compute_projection(self, w, axes):
        return self(w)


@keras.saving.register_keras_serializable("laws")
class Plain(keras.constraints.Constraint):
    """As others write them: a bound of norms along an axis, which is right."""

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        return w * (1 / ops.maximum(self.norm(w), 1))

    def norm(self, w):
        full = ops.cast(w, "float32")
        total = ops.sum(ops.square(full), axis=self.axis, keepdims=True)
        return ops.cast(ops.sqrt(total), w.dtype)

    def get_config(self):
        return {"axis": self.axis}


class Detour(Plain):
    def norm(self, w):
        return ops.convert_to_tensor(np.asarray(ops.convert_to_numpy(super().norm(w))))


class Remembers(Plain):
    largest = 0.0

    def norm(self, w):
        total = float(ops.max(ops.abs(ops.cast(w, "float32"))))
        self.largest = max(self.largest, total)
        return super().norm(w) * (1 + self.largest)


class ForgetsItsAxis(Plain):
    def get_config(self):
        return {}


class AlwaysLast(Plain):
    def norm(self, w):
        return ops.max(ops.abs(w), axis=-1, keepdims=True)


class Convex(Plain):
    """It has methods of its own, whose names are those of ours, too."""

    convex = True

    def project(self, w):
        raise NotImplementedError

    def along(self, axis):
        raise NotImplementedError


class Squares(Convex):
    def norm(self, w):
        return super().norm(w) ** 2


class ForMatrices(Plain):
    def __call__(self, w):
        rows, columns = w.shape
        return super().__call__(ops.reshape(w, (rows, columns)))


class HidesAnArgument(Plain):
    def __init__(self, axis=0, bound=1.0):
        super().__init__(axis)


class Nothing(Plain):
    def __call__(self, w):
        return w


class Zeros(Plain):
    def __call__(self, w):
        return 0 * w


class HalfSum(keras.regularizers.Regularizer):
    """The squares are small here, and their sum is not."""

    def __call__(self, x):
        return 1e-3 * ops.cast(ops.sum(ops.abs(x)), "float32")


class InDouble(keras.regularizers.Regularizer):
    """Which TensorFlow does not add to a loss in float32."""

    def __call__(self, x):
        return ops.sum(ops.square(ops.cast(x, "float64")))


class FixedCosines(keras.regularizers.Regularizer):
    """Depends on directions only, and has no gradient."""

    def __call__(self, x):
        rows = ops.reshape(ops.stop_gradient(ops.cast(x, "float32")), (-1, x.shape[-1]))
        rows = rows / ops.maximum(ops.sqrt(ops.sum(rows * rows, axis=1, keepdims=True)), 1e-6)
        gram = ops.matmul(rows, ops.transpose(rows))
        return ops.sum(ops.abs(gram)) + 0 * ops.sum(ops.cast(x, "float32"))


@keras.saving.register_keras_serializable("test_laws")
class TupleAxis(Plain):
    """Right, and makes a tuple of its axis, of which JSON makes a list."""

    def __init__(self, axis=(0,)):
        super().__init__(tuple(axis))


class NoPenalty(keras.regularizers.Regularizer):
    def __call__(self, x):
        return 0 * ops.sum(ops.cast(x, "float32"))


def doubled(w):
    return 2 * w


@pytest.fixture
def any_example():
    """The first example that breaks a law is enough: no time goes into a smaller one."""
    usual = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.register_profile("any example", phases=[hypothesis.Phase.generate])
    hypothesis.settings.load_profile("any example")
    yield
    hypothesis.settings.load_profile(usual)


@pytest.mark.usefixtures("any_example")
@pytest.mark.parametrize(
    ("target", "broken"),
    [
        (Half(), {"feasible", "idempotent"}),
        (WholeMatrix(), {"idempotent", "groups_independent"}),
        (WrongAxis(axis=1), {"groups_independent"}),
        (Overflows(), {"finite"}),
        (Sphere(), {"non_expansive"}),
        (Rescaled(), {"nearest"}),
        (NoCastBack(), {"shape_and_dtype"}),
        (Forgets(), {"config_survives"}),
        (LosesNaN(), {"nan_stays_in_its_group"}),
        (Shrinks(), {"small_weights_stay"}),
        (SumsInHalf(), {"half_precision"}),
        (Detour(), {"right_gradient"}),
        (Remembers(), {"pure"}),
        (ForgetsItsAxis(1), {"config_survives"}),
        (AlwaysLast(), {"groups_independent", "nan_stays_in_its_group"}),
        (doubled, {"idempotent", "small_weights_stay"}),
        (keras.constraints.UnitNorm(), {"small_weights_stay"}),
        (Squares(), {"nearest"}),
        (ForMatrices(), {"pure"}),
        (HidesAnArgument(), {"config_survives"}),
        (AlwaysLast(), {"loads"}),
        (Nothing(), {"acts"}),
        (Zeros(), {"acts"}),
        (NoPenalty(), {"acts"}),
        (HalfSum(), {"half_precision"}),
        (FixedCosines(), {"right_gradient"}),
        *([(InDouble(), {"scalar"})] if keras.backend.backend() != "jax" else []),  # has float32
    ],
)
def test_a_broken_class_breaks_its_laws(target, broken):
    found = set()
    for check in checks(target):
        if repr(check) not in broken:
            continue
        try:
            check(target)
        except Exception:
            found.add(repr(check))
    assert found == broken


def names(laws):
    return {law.__name__ for law in laws}


def test_what_a_plain_constraint_lacks_is_not_asked():
    inside = "feasible_input_is_identical"
    lacks = {reason: names(laws) for reason, laws in left_out(Plain()).items()}
    assert lacks == {
        "it is no constraint of keras_norms": {
            *("feasible", "permuting_axes_commutes", "step", inside)
        },
        "it does not say `convex = True`, with an `axis`": {"nearest", "non_expansive"},
    }
    assert (
        names(left_out(Convex())["it is no constraint of keras_norms"])
        == lacks["it is no constraint of keras_norms"]
    )
    assert len(left_out(Convex())) == 1
    lacks = {reason: names(laws) for reason, laws in left_out(ops.relu).items()}
    assert lacks["it has no `axis`"] == {"groups_independent", "nan_stays_in_its_group"}
    assert lacks["it has no `get_config`"] == {"config_survives", "loads"}
    assert names(left_out(keras.constraints.MinMaxNorm(rate=0.5))["its `rate` is below 1"]) == {
        "idempotent",
        "small_weights_stay",
    }
    assert set(left_out(kn.Sparse(0.5))) == {"`convex` is False", "it is one of keras_norms"}
    for ours in (kn.MaxNorm(), kn.L2()):
        assert {reason: names(laws) for reason, laws in left_out(ours).items()} == {
            "it is one of keras_norms": {"acts"}
        }
    assert left_out(keras.regularizers.L2()) == {}


@keras.saving.register_keras_serializable("laws")
class Wide(Plain):
    """Its bound is far from most weights, and it looks at the last axis."""

    def __init__(self, axis=-1):
        super().__init__(axis)

    def __call__(self, w):
        return ops.clip(w, -1e6, 1e6)


PLAIN = [
    Wide(),
    Plain(),
    TupleAxis(),
    outside_norms.Capped(),
    Plain((0, 1, 2)),
    Plain(None),
    ops.relu,
]


@parametrize_with_checks(PLAIN, max_examples=EXAMPLES)
def test_plain_constraints_and_functions(target, check):
    check(target)


@parametrize_with_checks([outside_norms.Ridge()], max_examples=EXAMPLES)
def test_a_plain_regularizer(target, check):
    check(target)


@parametrize_with_checks([keras.regularizers.L2(0.1)], max_examples=EXAMPLES)
def test_regularizers_of_keras(target, check):
    if repr(check) in ("scalar", "half_precision"):
        with pytest.raises(AssertionError, match="float"):  # float16 for weights in float16
            check(target)
    else:
        check(target)


def test_shapes_are_those_that_a_target_takes():
    for target in (
        kn.Chain(kn.NonNeg(), kn.MaxNorm(1.0, axis=(0, 1, 2))),
        kn.L1() + kn.GroupLasso(axis=(0, 1, 2)),
    ):
        for check in checks(target, max_examples=2):
            check(target)
    matrices = kn.Chain(kn.MaxSpectralNorm(1.0), kn.MaxSpectralNorm(0.5))
    checks(matrices, max_examples=EXAMPLES)[0](matrices)  # all would take a minute
    fits = kn.FixedMask(np.tri(3, 4))
    assert "permuting_axes_commutes" not in map(repr, checks(fits))
    for check in checks(fits, max_examples=2):
        check(fits)
    mask = kn.FixedMask(np.tri(5, 7))
    with pytest.raises(ValueError, match=r"The laws need shapes for FixedMask.*`--shape`"):
        checks(mask)[0](mask)
    for check in checks(mask, max_examples=2, shapes=[(5, 7)]):
        check(mask)
    assert "acts" not in map(repr, checks(Plain(), shapes=[(1, 5)]))
    with pytest.raises(ValueError, match="Received: targets="):
        parametrize_with_checks([])


def test_each_law_is_asked_or_left_out():
    every = {*CONSTRAINT_LAWS, *CONVEX_LAWS}
    for target in (Plain(), doubled, kn.MaxNorm(), kn.Sparse(0.5)):
        asked = {check.law for check in checks(target)}
        left = {law for laws in left_out(target).values() for law in laws}
        assert asked | left == every
        assert not asked & left


def test_only_constraints_and_regularizers_have_laws():
    with pytest.raises(TypeError, match="Received: 3"):
        checks(3)


def test_the_decorator_has_a_short_name():
    from keras_norms import testing

    assert testing.parametrize_with_checks is parametrize_with_checks
    with pytest.raises(AttributeError, match="has no attribute 'parametrise'"):
        testing.parametrise  # noqa: B018
