"""Expected failures: listed, of one way, and an error once the case passes."""

import dataclasses

import pytest
from one_case import case, expecting

from keras_norms.testing import runner
from keras_norms.testing.cases import BrokenCases
from keras_norms.testing.expected import load_expected

FAILING = 'id = "a"\nreason = "Keras"\nlink = "https://example.org"\nmessage = "must have"\n'


def expecting_failure(tmp_path, text=FAILING, backend="jax", keras_version="3.15.1"):
    path = tmp_path / "expected.toml"
    path.write_text(f"[[failure]]\n{text}")
    return load_expected(path, [case()], backend, keras_version)


def test_an_expected_failure_is_counted_as_such(tmp_path):
    wrong = expecting(shape=[1, 2])
    (found,) = runner.run([wrong], expected=expecting_failure(tmp_path))
    assert (found.status, found.message) == ("expected failure", "Keras")


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("score = [2e6, 3e6]", "expected failure"),
        ("score = [5, 10]", "failed"),
        ('message = "ulp off"', "failed"),
    ],
)
def test_a_failure_in_another_way_is_not_the_expected_one(tmp_path, way, status):
    text = FAILING.replace('message = "must have"', way)
    values = [["0x1.8p-1", "0x0.0p+0"], ["0x1.999999999999ap-1", "0x0.0p+0"]]
    (found,) = runner.run([expecting(values=values)], expected=expecting_failure(tmp_path, text))
    assert found.status == status


def test_a_crash_is_not_the_expected_failure(tmp_path):
    crashed = runner.Outcome(case(), "crashed", "ValueError: must have", exception="ValueError")
    (found,) = runner.as_expected([crashed], expecting_failure(tmp_path))
    assert found == crashed


def test_a_case_that_passes_against_what_is_expected_fails(tmp_path):
    (found,) = runner.run([case()], expected=expecting_failure(tmp_path))
    assert found.status == "failed"
    assert "expected to fail with 'must have', but: passed" in found.message


def test_an_expected_failure_may_be_of_some_backends(tmp_path):
    text = FAILING + 'backends = ["torch"]\n'
    assert expecting_failure(tmp_path, text, "jax") == {}
    assert set(expecting_failure(tmp_path, text, "torch")) == {"a"}


@pytest.mark.parametrize(
    ("version", "is_due"), [("3.9.2", True), ("3.13.2", True), ("3.14.0", False), ("3.15.1", False)]
)
def test_an_expected_failure_may_be_of_older_versions_of_keras(tmp_path, version, is_due):
    text = FAILING + 'before = "3.14"\n'
    assert bool(expecting_failure(tmp_path, text, keras_version=version)) == is_due


@pytest.mark.parametrize(
    ("pattern", "inputs", "is_found"),
    [("*", "", True), ("*", "steps = 1", True), ("*", "steps = 2", False), ("b*", "", False)],
)
def test_an_expected_failure_may_be_of_several_cases(tmp_path, pattern, inputs, is_found):
    path = tmp_path / "expected.toml"
    text = FAILING.replace('"a"', f'"{pattern}"') + f"inputs = {{ {inputs} }}\n"
    path.write_text(f"[[failure]]\n{text}")
    some = [dataclasses.replace(case(), inputs={"steps": 1})]
    if is_found:
        assert set(load_expected(path, some, "jax", "3.15.1")) == {"a"}
    else:
        with pytest.raises(BrokenCases, match="not there"):
            load_expected(path, some, "jax", "3.15.1")


@pytest.mark.parametrize(
    "text",
    [
        FAILING.replace('"a"', '"b"'),
        'id = "a"\n',
        'id = "a\n',
        FAILING + "wrong = 1\n",
        FAILING + "score = [1, 2]\n",
        FAILING.replace('message = "must have"', "score = [2, 1]"),
        FAILING.replace('message = "must have"', "score = [2, inf]"),
        FAILING.replace('"must have"', '""'),
        FAILING + 'backends = ["pytorch"]',
    ],
)
def test_an_unmatched_or_broken_expectation_is_broken(tmp_path, text):
    with pytest.raises(BrokenCases):
        expecting_failure(tmp_path, text)


def test_one_case_is_not_expected_to_fail_in_two_ways(tmp_path):
    again = FAILING.replace('id = "a"', 'id = "*"')
    with pytest.raises(BrokenCases, match=r"in two ways: \['a'\]"):
        expecting_failure(tmp_path, f"{FAILING}\n[[failure]]\n{again}")
