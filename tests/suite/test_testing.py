"""The suite itself: it must be able to fail."""

import dataclasses
import re

import numpy as np
import pytest
from keras import ops
from one_case import case, expecting, outcome
from rich.console import Console

import keras_norms as kn
from keras_norms.testing import controls, runner
from keras_norms.testing.cases import load_cases, packaged_cases
from keras_norms.testing.coverage import redundant
from keras_norms.testing.harness import KERAS, OURS, Harness
from keras_norms.testing.scores import budget, score, ulp
from keras_norms.testing.tables import print_run


def test_a_right_result_passes():
    assert outcome(case()).status == "passed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"values": [["0x1.8p-1", "0x0.0p+0"], ["0x1.999999999999ap-1", "0x0.0p+0"]]},
        {"shape": [1, 2]},
        {"dtype": "float16"},
    ],
)
def test_a_corrupted_case_fails(wrong):
    assert outcome(expecting(**wrong)).status == "failed"


def test_nan_fails():
    found = outcome(case(), MaxNorm=lambda **config: lambda w: w * float("nan"))
    assert found.status == "failed"
    assert found.measures[0].score == np.inf


def test_the_wrong_device_fails():
    harness = Harness(OURS.classes(), "gpu")
    found = runner.run_case(case(), harness)
    assert found.status == "failed"
    assert "'device': 'gpu'" in found.message


def test_no_budget_where_no_rounding_is_due():
    given = {"inputs": {"w": {"shape": [1], "values": ["0x1.0p-1"]}}, "config": {"max_value": 1.0}}
    expected = {
        "shape": [1],
        "dtype": "float32",
        "reduced": 0,
        "scale": "entry",
        "passes": 1,
        "values": [["0x1.0p-1", "0x0.0p+0"]],
    }
    exact = case(**given, expected={"result": expected})
    assert outcome(exact).status == "passed"
    one_ulp = lambda **config: lambda w: w * (1 + 2.0**-23)  # noqa: E731
    assert outcome(exact, MaxNorm=one_ulp).status == "failed"


def test_a_crash_is_not_a_failure_that_a_mutant_may_claim():
    def broken(**config):
        raise RuntimeError("a bug in the mutant")

    found = controls.run_mutant(controls.Mutant("broken", {"MaxNorm": broken}), [case()])
    assert found.outcomes[0].status == "crashed"
    assert not found.dead


def test_a_mutant_that_is_killed_once_and_crashes_once_is_not_dead():
    calls = []

    def broken(**config):
        calls.append(config)
        if len(calls) > 1:
            raise RuntimeError("a bug in the mutant")
        return lambda w: 2 * w

    mutant = controls.Mutant("broken", {"MaxNorm": broken})
    found = controls.run_mutant(mutant, [case(), case(id="b")], all_kills=True)
    assert found.killers == ["a"]
    assert not found.dead


@pytest.mark.parametrize(
    ("words", "status"),
    [(["max_value", "-1"], "passed"), (["max_value", "no such word"], "failed")],
)
def test_each_word_of_an_error_is_looked_for(words, status):
    wrong = {"config": {"max_value": -1.0}, "kind": "raises", "inputs": {}}
    assert outcome(case(**wrong, expected={"error": "ValueError", "words": words})).status == status


def test_a_key_that_a_config_lacks_has_no_value():
    """Whatever is expected of it, be it what stands for nothing."""
    given = case(kind="config_roundtrip", config={"max_value": 1.0})
    for value in ("nothing", None):
        expected = given.expected | {"config": {"max_valu": value}}
        found = outcome(dataclasses.replace(given, expected=expected))
        assert found.status == "failed"
        assert "The config must have" in found.message


def test_a_mutant_may_be_meant_to_crash():
    def broken(**config):
        raise RuntimeError("as it must")

    meant = controls.Mutant("broken", {"MaxNorm": broken}, dies_by=("RuntimeError",))
    assert controls.run_mutant(meant, [case()]).dead
    other = dataclasses.replace(meant, dies_by=("ValueError",))
    assert not controls.run_mutant(other, [case()]).dead

    bad_input = case(
        kind="raises",
        config={"max_value": -1.0},
        expected={"error": "ValueError", "words": []},
        inputs={},
    )
    for mutant, dies in ((meant, True), (other, False)):
        asked = dataclasses.replace(mutant, kinds=("raises",))
        assert controls.run_mutant(asked, [bad_input]).dead == dies


class _Plain:
    """A max-norm that is right, but checks nothing and ends in float32."""

    is_right = True

    def __init__(self, max_value=2.0, axis=0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w):
        return w * (self.max_value / ops.maximum(self.norm(w), self.max_value))

    def norm(self, w):
        return ops.sqrt(ops.sum(ops.square(w), self.axis, keepdims=True))


class _Squared(_Plain):
    def norm(self, w):
        return super().norm(w) ** 2


class _Thrice(_Squared):
    """It makes a mistake of what is wrong already."""

    def __call__(self, w):
        return 3 * super().__call__(w)


class _Unbounded(_Plain):
    """Its mistake shows only where what it breaks is wrong, too."""

    def __init__(self, max_value=2.0, axis=0):
        super().__init__(abs(max_value), axis)


ALL = load_cases(packaged_cases())
OF_MAX_NORM = [c for c in ALL if c.target == "MaxNorm" and c.kind in ("forward", "raises")]


@pytest.mark.parametrize("correct", [kn.MaxNorm, lambda **config: kn.MaxNorm(**config)])
def test_a_correct_mutant_is_alive(correct):
    mutant = controls.Mutant("correct", {"MaxNorm": correct}, kinds=("raises",))
    found = controls.run_mutant(mutant, OF_MAX_NORM, all_kills=True)
    assert len(found.outcomes) == len(OF_MAX_NORM)
    assert not found.killers
    assert not found.dead


def test_a_mutant_does_not_die_of_what_it_breaks():
    mutant = controls.Mutant("plain", {"MaxNorm": _Unbounded}, kinds=("raises",))
    found = controls.run_mutant(mutant, OF_MAX_NORM, all_kills=True)
    assert not found.killers
    assert not found.dead
    spared = [o for o in found.outcomes if "what the mutant breaks fails" in o.message]
    assert spared
    assert {o.status for o in spared} == {"not applicable"}


class _Untraceable(_Plain):
    """What a compiler refuses, say."""

    def norm(self, w):
        raise NotImplementedError


class _Broken(_Untraceable):
    def norm(self, w):
        raise TypeError


class _Deaf(_Untraceable):
    def norm(self, w):
        return super().norm(w) + 1


@pytest.mark.parametrize(("broken", "dies"), [(_Broken, True), (_Deaf, False)])
def test_an_exception_of_another_type_is_the_mistake_of_a_mutant(broken, dies):
    """Where what it breaks raises one, too."""

    class Right(_Untraceable):
        is_right = True

    class Mutant(broken, Right):
        pass

    meant = ("TypeError", "NotImplementedError")
    mutant = controls.Mutant("broken", {"MaxNorm": Mutant}, dies_by=meant)
    assert controls.run_mutant(mutant, [case()]).dead == dies


def test_a_mutant_dies_of_its_own_mistake():
    """That of a parent which is wrong is its own, too."""
    killers = {}
    for broken in (_Squared, _Thrice):
        mutant = controls.Mutant("broken", {"MaxNorm": broken})
        found = controls.run_mutant(mutant, OF_MAX_NORM, all_kills=True)
        assert found.dead
        killers[broken] = set(found.killers)
    assert killers[_Squared] <= killers[_Thrice]


def test_bad_input_is_no_concern_of_a_mutant_that_does_not_name_it():
    assert not controls.run_mutant(
        controls.Mutant("plain", {"MaxNorm": _Squared}),
        [c for c in OF_MAX_NORM if c.kind == "raises"],
    ).outcomes


def test_scores_are_ulp_of_the_exact_value():
    exact = np.array([[1.0, 0.0], [0.75, 0.0]])
    got = np.array([1.0 + 2**-22, 0.75 - 2**-24])
    assert score(got, exact, "float32") == 2.0
    assert score(np.array([1.0]), np.array([[1.0, 2.0**-54]]), "float64") == 0.25
    assert score(np.array([np.inf]), np.array([[1.0, 0.0]]), "float32") == np.inf


def test_ulp_matches_numpy():
    for dtype in ("float16", "float32", "float64"):
        x = np.array([0.0, 1e-45, 1e-7, 0.5, 1.0, 1.5, 3.9, 1000.0]).astype(dtype)
        np.testing.assert_array_equal(
            ulp(x.astype("float64"), dtype), np.spacing(np.abs(x)).astype("float64")
        )


def test_budgets_grow_with_the_reduction_and_not_with_the_dtype():
    assert budget(1, "float32") == 4
    assert budget(1024, "float32") == budget(1024, "float64") == 14
    assert 0.5 < budget(1024, "float16") < 0.502


def test_keras_own_classes_are_a_target():
    (found,) = runner.run([case()], package=KERAS)
    assert found.case.target == "MaxNorm"
    assert found.status == "passed"
    (found,) = runner.run([case(config={"max_value": 1.0, "ord": 2})], package=KERAS)
    assert found.status == "not applicable"
    (found,) = runner.run([case(target="Simplex", config={})], package=KERAS)
    assert (found.status, found.message) == ("not applicable", "there is no Simplex")


def test_words_and_whole_numbers_choose_a_variant_and_other_numbers_are_amounts():
    def left_out(**arguments):
        twin = case(id="b", config={"max_value": 1.0} | arguments)
        return redundant([case(), twin], [])

    assert left_out(anything="word") == left_out(anything=1) == left_out(anything=True) == []
    assert left_out(max_value=2.0) == ["b"]


def test_an_error_is_measured_where_the_quantity_has_its_size():
    exact = np.array([[1.0, 0.0], [2.0**-20, 0.0]])
    got = np.array([1.0, 2.0**-20 + 2.0**-23])
    assert score(got, exact, "float32", "largest") == 1.0
    assert score(got, exact, "float32") == 2.0**20
    exact, got = np.array([[-3.0, 0.0], [3.0, 0.0]]), np.array([-3.0 - 2.0**-20, 3.0])
    assert score(got, exact, "float32", "norm") == 2.0  # of 6, whose ulp is 2**-21


def test_a_result_that_is_not_finite_is_printed():
    found = outcome(case(), MaxNorm=lambda **config: lambda w: w * float("nan"))
    console = Console(record=True, width=200)
    print_run(console, [found], [], {}, {"reproduce": "keras-norms conformance", "redundant": []})
    assert re.search(r"MaxNorm +float32 +1 +0 +(inf|nan)", console.export_text())
