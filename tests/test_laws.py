"""The laws, over every class that the package exports, and the laws against broken classes."""

import dataclasses
import os

import pytest
from keras import ops

import keras_norms as kn
from keras_norms.constraints import Constraint
from keras_norms.testing.laws import checks, examples, parametrize_with_checks

# Many in the nightly session, few here.
EXAMPLES = int(os.environ.get("KERAS_NORMS_EXAMPLES", "5"))


@parametrize_with_checks(examples(kn), max_examples=EXAMPLES)
def test_every_exported_class(target, check):
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


def test_only_constraints_and_regularizers_have_laws():
    with pytest.raises(TypeError, match="Received: 3"):
        checks(3)
