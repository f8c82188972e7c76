"""Each kind of case fails for what it is there for: classes that are wrong in that one place."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from one_case import case, expecting, outcome

import keras_norms as kn
from keras_norms.constraints import Constraint
from keras_norms.testing.cases import load_cases, packaged_cases
from keras_norms.testing.controls import Mutant
from keras_norms.testing.expected import Expected
from keras_norms.testing.harness import Measure
from keras_norms.testing.scores import ulp


@dataclasses.dataclass(frozen=True)
class Bounded(Constraint):
    """Max-norm, for classes that differ from it."""

    max_value: float = 1.0
    axis: int = 0

    def compute_projection(self, w, axes):
        return kn.MaxNorm(self.max_value).project(w)


def test_a_target_that_moves_a_little_each_time_is_not_idempotent():
    class Drifts(Bounded):
        def compute_projection(self, w, axes):
            return super().compute_projection(w, axes) * (1 - 2.0**-24)  # an ulp

    expected = case().expected | {"moves": 1e9}
    given = case(kind="idempotent", inputs=case().inputs | {"times": 100}, expected=expected)
    assert outcome(given).status == "passed"
    found = outcome(given, MaxNorm=Drifts)
    assert [m.what for m in found.over] == ["last"]


def test_accumulated_gradients_are_not_right_with_nan():
    class Nan(keras.constraints.Constraint):
        def __init__(self, **config):
            pass

        def __call__(self, w):
            return w * np.nan

    (given,) = (c for c in load_cases(packaged_cases()) if c.inputs.get("path") == "accumulation")
    found = outcome(given, MinMaxNorm=Nan)
    assert (found.status, found.message[-3:]) == ("failed", "nan")


def test_a_run_that_does_not_press_on_its_bound_shows_nothing():
    given = case(
        kind="bounded",
        config={"max_value": 3.0},
        inputs={"seed": 7, "learning_rate": 1e4, "epochs": 1},
        expected={"bound": 3.0, "budget": 8},
    )
    assert outcome(given).status == "passed"
    given.inputs["learning_rate"] = 1e-3
    found = outcome(given)
    assert found.status == "failed"
    assert "must press on the bound" in found.message


@pytest.mark.parametrize(("least", "most"), [(2.5, 4.0), (0.0, 1.5)])
def test_singular_values_have_two_limits(least, most):
    class Doubles(Bounded):
        def compute_projection(self, w, axes):
            return 2 * w

    kernel = {"shape": [2, 2], "values": ["0x1p+0", "0x0p+0", "0x0p+0", "0x1p+0"]}
    limits = {"least": 0.0, "most": 4.0, "within": 1e-5}
    given = case(kind="spectrum", inputs={"w": kernel}, expected=limits)
    assert outcome(given, MaxNorm=Doubles).status == "passed"
    given = dataclasses.replace(given, expected=limits | {"least": least, "most": most})
    assert outcome(given, MaxNorm=Doubles).status == "failed"


def test_what_is_loaded_is_of_the_class_that_was_saved():
    class Another(Bounded):
        """Registered under the name of its parent, which is what a reader makes."""

        @classmethod
        def from_config(cls, config):
            return Bounded(**config)

    expected = case().expected | {"config": {"max_value": 1.0}}
    given = case(kind="save_load", expected=expected)
    assert outcome(given, MaxNorm=Bounded).status == "passed"
    found = outcome(given, MaxNorm=Another)
    assert "It must be a Another" in found.message


def test_equal_objects_have_one_hash():
    class Unhashed(Bounded):
        __hash__ = object.__hash__

    given = case(kind="equality", expected={})
    assert outcome(given).status == "passed"
    assert "must be equal" in outcome(given, MaxNorm=Unhashed).message


def test_an_expected_failure_explains_all_that_is_over():
    scores = [Measure("first", 20.0, 5.0, 0.0), Measure("last", 900.0, 5.0, 0.0)]
    failed = dataclasses.replace(outcome(expecting(reduced=0)), status="failed")
    expected = Expected("a", "Keras", "https://example.org", score=(10.0, 100.0))
    assert expected.explains(dataclasses.replace(failed, measures=tuple(scores[:1])))
    assert not expected.explains(dataclasses.replace(failed, measures=tuple(scores)))


@pytest.mark.parametrize(("part", "status"), [(0.99, "passed"), (1.01, "failed")])
def test_what_iterations_may_leave_is_allowed_once(part, status):
    """Beside the 5 ulp of rounding; the error is a part of both together."""

    class Off(Bounded):
        def compute_projection(self, w, axes):
            unit = float(ulp(0.8, "float32"))
            off = np.array([[0.0], [part * (1000 + 5) * unit]], "float32")
            return super().compute_projection(w, axes) + ops.convert_to_tensor(off)

    inexact = 1000 * float(ulp(0.8, "float32"))
    assert outcome(expecting(inexact=inexact.hex()), MaxNorm=Off).status == status


def test_a_slow_kind_is_asked_of_the_mutants_that_name_it():
    given = case(kind="training")
    assert not Mutant("none", {"MaxNorm": Bounded}).concerns(given)
    assert not Mutant("another", {"MaxNorm": Bounded}, kinds=("save_load",)).concerns(given)
    assert Mutant("named", {"MaxNorm": Bounded}, kinds=("training",)).concerns(given)
