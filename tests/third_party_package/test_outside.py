"""What keras_norms says of a package of somebody else. `nox -s outside` runs it, in a fresh
environment that has this package, the wheel of keras_norms and one backend.
"""

import json
import pathlib
import re
import subprocess

import outside_norms
import pytest
from outside_norms import Capped, Ridge, non_negative

from keras_norms.testing.laws import parametrize_with_checks

HERE = pathlib.Path(__file__).parent


def keras_norms(*arguments):
    done = subprocess.run(["keras-norms", *arguments], capture_output=True, text=True, check=False)
    print(done.stdout)
    return done.returncode, done.stdout


@parametrize_with_checks([Capped(), Capped(1.5, axis=[0, 1, 2]), non_negative, Ridge()])
def test_what_is_right(target, check):
    check(target)


@pytest.mark.parametrize("name", ["Capped", "non_negative", "Ridge"])
def test_the_command_finds_nothing_in_what_is_right(name):
    code, printed = keras_norms("laws", f"outside_norms:{name}")
    assert (code, re.findall("^FAILED", printed, re.MULTILINE)) == (0, [])
    (holding, asked) = re.findall(r"(\d+) of (\d+) laws hold", printed)[0]
    assert holding == asked


def test_the_command_says_what_it_does_not_ask():
    _, printed = keras_norms("laws", "outside_norms:Capped")
    reasons = re.findall("^Not asked, because (.*?): (.*)$", printed, re.MULTILINE)
    assert dict(reasons) == {
        "it is no constraint of keras_norms": (
            "feasible, permuting_axes_commutes, step, feasible_input_is_identical"
        ),
        "it does not say `convex = True`, with an `axis`": "nearest, non_expansive",
    }


@pytest.mark.parametrize(
    ("name", "law", "others"),
    [
        ("Epsilon", "small_weights_stay", set()),
        ("WrongAxis", "groups_independent", {"nan_stays_in_its_group"}),
        # TorchDynamo compiles around NumPy; the other compilers do not.
        ("NumpyDetour", "right_gradient", {"jit_equals_eager"}),
        ("HalfPrecision", "half_precision", set()),
        # Whatever compares two calls sees it, in one example or another.
        ("KeepsState", "pure", None),
    ],
)
def test_the_command_names_what_is_wrong(name, law, others):
    code, printed = keras_norms("laws", f"outside_norms:{name}")
    failed = re.findall(r"^FAILED (\w+):", printed, re.MULTILINE)
    assert code == 1
    assert law in failed
    assert others is None or set(failed) <= {law, *others}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["outside_norms:NoSuchName"], 2),
        (["outside_norms"], 2),
        (["outside_norms:Capped", "--device", "gpu"], 4),
        (["outside_norms:Capped", "-k", "no such law"], 5),
    ],
)
def test_other_exit_codes(arguments, code):
    assert keras_norms("laws", *arguments)[0] == code


def test_golden_cases_of_its_own():
    code, printed = keras_norms("conformance", "--cases", str(HERE / "cases"))
    assert code == 0
    assert "2 planned = 2 passed" in printed


def test_its_golden_cases_can_fail(tmp_path):
    code, printed = keras_norms("conformance", "--cases", changed(tmp_path, "Capped", "WrongAxis"))
    assert code == 1
    assert "1 passed, 1 failed" in printed


def test_a_malformed_case_breaks_the_run(tmp_path):
    code, printed = keras_norms("conformance", "--cases", changed(tmp_path, "forward", "forwrad"))
    assert code == 3
    assert str(tmp_path / "capped" / "cases.json") in printed
    assert "$.cases[0].kind: 'forwrad' is not one of" in printed


def changed(folder, old, new):
    """A folder of the same cases with another word in them."""
    text = (HERE / "cases" / "capped" / "cases.json").read_text("utf-8")
    assert json.loads(text)["target"].partition(":")[0] == outside_norms.__name__
    (folder / "capped").mkdir()
    (folder / "capped" / "cases.json").write_text(text.replace(old, new))
    return str(folder)
