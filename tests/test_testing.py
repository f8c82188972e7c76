"""The suite itself: it must be able to fail."""

import dataclasses
import json
import re

import numpy as np
import pytest
from rich.console import Console

import keras_norms as kn
from keras_norms.testing import controls, runner
from keras_norms.testing.cases import (
    BrokenCases,
    Case,
    exact_array,
    input_array,
    load_cases,
    packaged_cases,
)
from keras_norms.testing.coverage import redundant
from keras_norms.testing.expected import load_expected
from keras_norms.testing.harness import KERAS, OURS, Harness
from keras_norms.testing.kinds import KINDS
from keras_norms.testing.kinds.parallel import PARALLEL
from keras_norms.testing.kinds.ways import WAYS
from keras_norms.testing.scores import budget, score, ulp
from keras_norms.testing.tables import print_run


def case(**changes):
    """Max-norm 1 on [3, 4]."""
    values = {
        "id": "a",
        "target": "MaxNorm",
        "kind": "forward",
        "requirement": "KN-MAXNORM-001",
        "title": "3-4-5",
        "hunts": "nothing",
        "dtype": "float32",
        "config": {"max_value": 1.0},
        "inputs": {"w": {"shape": [2, 1], "values": ["0x1.8p+1", "0x1.0p+2"]}},
        "expected": {
            "result": {
                "shape": [2, 1],
                "dtype": "float32",
                "reduced": 2,
                "scale": "entry",
                "passes": 1,
                "values": [
                    ["0x1.3333333333333p-1", "0x1.9p-56"],
                    ["0x1.999999999999ap-1", "-0x1p-56"],
                ],
            }
        },
    }
    return Case(**values | changes)


def outcome(given, **classes):
    return runner.run_case(given, Harness(OURS.classes() | classes))


def expecting(**changes):
    given = case()
    result = given.expected["result"] | changes
    return dataclasses.replace(given, expected={"result": result})


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


def test_a_mutant_may_be_meant_to_crash():
    def broken(**config):
        raise RuntimeError("as it must")

    meant = controls.Mutant("broken", {"MaxNorm": broken}, dies_by=("RuntimeError",))
    assert controls.run_mutant(meant, [case()]).dead
    bad_input = case(kind="raises", expected={"error": "ValueError", "words": []}, inputs={})
    assert controls.run_mutant(meant, [bad_input]).dead
    other = dataclasses.replace(meant, dies_by=("ValueError",))
    assert not controls.run_mutant(other, [case()]).dead
    assert not controls.run_mutant(other, [bad_input]).dead


def test_a_correct_mutant_is_alive():
    found = controls.run_mutant(controls.Mutant("correct", {"MaxNorm": kn.MaxNorm}), [case()])
    assert not found.dead


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


def write(folder, **changes):
    data = {"target": "MaxNorm", "count": 1, "cases": [vars(case()) | {}]}
    del data["cases"][0]["target"]
    (folder / "max_norm").mkdir()
    (folder / "max_norm" / "cases.json").write_text(json.dumps(data | changes))


def test_the_schema_knows_every_kind_once_and_all_that_it_holds():
    """What the schema did not know would be passed over without a word."""
    path = packaged_cases().parent / "schema" / "cases.schema.json"
    of_case = json.loads(path.read_text("utf-8"))["$defs"]["case"]
    listed = [k for rule in of_case["allOf"] for k in rule["if"]["properties"]["kind"]["enum"]]
    assert sorted(listed) == sorted(KINDS) == sorted(of_case["properties"]["kind"]["enum"])
    parts = [
        rule["then"]["properties"][p] for rule in of_case["allOf"] for p in ("inputs", "expected")
    ]
    assert not any(part["additionalProperties"] for part in parts)


def test_the_schema_lists_the_ways_of_training():
    path = packaged_cases().parent / "schema" / "cases.schema.json"
    rules = json.loads(path.read_text("utf-8"))["$defs"]["case"]["allOf"]
    (rule,) = (r for r in rules if "training" in r["if"]["properties"]["kind"]["enum"])
    inputs = rule["then"]["properties"]["inputs"]["properties"]
    assert sorted(inputs["path"]["enum"]) == sorted(WAYS | PARALLEL)


def test_cases_are_read_as_they_are_written(tmp_path):
    deeper = tmp_path / "deeper"
    deeper.mkdir()
    write(deeper)
    for folder in (tmp_path, deeper, deeper / "max_norm"):
        assert load_cases(folder) == [case()], "files lie at any depth"


def test_a_truncated_file_is_broken(tmp_path):
    write(tmp_path, count=2)
    with pytest.raises(BrokenCases, match=r"must hold 2 cases\. Received: 1"):
        load_cases(tmp_path)


@pytest.mark.parametrize("size", [0, 10, 100])
def test_a_file_that_is_cut_off_is_broken(tmp_path, size):
    write(tmp_path)
    path = tmp_path / "max_norm" / "cases.json"
    path.write_text(path.read_text()[:size])
    with pytest.raises(BrokenCases, match="is not a case file"):
        load_cases(tmp_path)


def test_equal_values_are_written_once_with_their_number():
    data = {"shape": [2, 3], "values": ["0x1.8p+0", "0x1.0p+0"], "repeats": [5, 1]}
    assert input_array(data).tolist() == [[1.5, 1.5, 1.5], [1.5, 1.5, 1.0]]
    data = {"shape": [2], "values": [["0x1.0p+0", "0x1.0p-60"]], "repeats": [2]}
    assert exact_array(data).shape == (2, 2)
    with pytest.raises(ValueError, match="cannot reshape"):
        input_array({"shape": [2, 3], "values": ["0x1.8p+0"]})


def test_an_empty_folder_is_broken(tmp_path):
    with pytest.raises(BrokenCases, match="No case files"):
        load_cases(tmp_path)


def test_an_id_twice_is_broken(tmp_path):
    write(tmp_path, count=2, cases=[json.loads(json.dumps(vars(case()) | {})) for _ in range(2)])
    data = json.loads((tmp_path / "max_norm" / "cases.json").read_text())
    for each in data["cases"]:
        del each["target"]
    (tmp_path / "max_norm" / "cases.json").write_text(json.dumps(data))
    with pytest.raises(BrokenCases, match="unique"):
        load_cases(tmp_path)


def test_the_missions_own_cases_are_there_in_its_words():
    titles = " ".join(c.title for c in load_cases(packaged_cases()))
    for words in (
        "default axis: one norm per Dense unit, not one for the whole matrix",
        "per-filter axis: [0, 1, 2] on a Conv2D kernel",
        "legacy activity bug: the penalty is on the layer's output, not on its input",
        "small weights, large outputs: only the activity penalty is large",
        "bounded under a very high learning rate, together with dropout",
    ):
        assert words in titles


def test_the_legacy_case_could_not_pass_on_the_input():
    """Its kernel is not square, and the two penalties differ by far."""
    legacy = next(c for c in load_cases(packaged_cases()) if c.requirement == "KN-ACTIVITY-001")
    rows, columns = legacy.inputs["kernel"]["shape"]
    assert rows != columns
    assert legacy.inputs["x"]["shape"][0] > 1
    x = np.array([float.fromhex(v) for v in legacy.inputs["x"]["values"]])
    on_input = 0.5 * (x**2).sum()
    on_output = float.fromhex(legacy.expected["sum"]["values"][0][0])
    assert abs(on_output / on_input - 1) > 0.5


def test_small_weights_and_large_outputs_are_what_the_case_says():
    both = next(c for c in load_cases(packaged_cases()) if c.requirement == "KN-ACTIVITY-002")
    kernel, mean = (float.fromhex(both.expected[k]["values"][0][0]) for k in ("kernel", "mean"))
    assert kernel < 1e-4
    assert mean > 100


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


def test_keras_own_classes_are_a_target():
    (found,) = runner.run([case()], package=KERAS)
    assert found.case.target == "MaxNorm"
    assert found.status == "passed"
    (found,) = runner.run([case(config={"max_value": 1.0, "ord": 2})], package=KERAS)
    assert found.status == "not applicable"
    (found,) = runner.run([case(target="Simplex", config={})], package=KERAS)
    assert (found.status, found.message) == ("not applicable", "there is no Simplex")


def test_a_case_that_covers_and_kills_nothing_alone_is_redundant():
    twin = case(id="b")
    assert redundant([case(), twin], []) == ["b"]
    assert redundant([case(), case(id="b", dtype="float16")], []) == []
    killed = controls.MutantOutcome(
        controls.Mutant("c", {}), [runner.Outcome(case(), "passed"), runner.Outcome(twin, "failed")]
    )
    assert redundant([case(), twin], [killed]) == ["a"]


@pytest.mark.parametrize("axis", [[], ["x"], [0, "x"]])
def test_a_case_may_name_axes_that_no_weight_has(axis):
    cases = [case(config={"axis": axis}), case(id="b", config={"axis": 0})]
    assert redundant(cases, []) == []


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


def test_only_what_is_partial_may_lack_a_class_or_an_argument():
    lacks = {name: c for name, c in OURS.classes().items() if name != "MaxNorm"}
    assert runner.run_case(case(), Harness(lacks)).status == "not applicable"
    assert runner.run_case(case(), Harness(lacks, partial=False)).status == "crashed"
    unknown = case(config={"nothing": 1})
    assert runner.run_case(unknown, Harness(OURS.classes(), partial=False)).status == "crashed"


def test_a_result_that_is_not_finite_is_printed():
    found = outcome(case(), MaxNorm=lambda **config: lambda w: w * float("nan"))
    console = Console(record=True, width=200)
    print_run(console, [found], [], {}, {"reproduce": "keras-norms conformance", "redundant": []})
    assert re.search(r"MaxNorm +float32 +1 +0 +(inf|nan)", console.export_text())
