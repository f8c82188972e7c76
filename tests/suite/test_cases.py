"""Case files: what the schema holds, files that are broken, and cases that must be there."""

import json

import numpy as np
import pytest
from one_case import case

from keras_norms.testing import controls, runner
from keras_norms.testing.cases import (
    BrokenCases,
    check_schema,
    exact_array,
    input_array,
    load_cases,
    packaged_cases,
)
from keras_norms.testing.coverage import redundant
from keras_norms.testing.harness import OURS, Harness
from keras_norms.testing.kinds import KINDS
from keras_norms.testing.kinds.parallel import PARALLEL
from keras_norms.testing.kinds.ways import WAYS


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


def test_only_what_is_partial_may_lack_a_class_or_an_argument():
    lacks = {name: c for name, c in OURS.classes().items() if name != "MaxNorm"}
    assert runner.run_case(case(), Harness(lacks)).status == "not applicable"
    assert runner.run_case(case(), Harness(lacks, partial=False)).status == "crashed"
    unknown = case(config={"nothing": 1})
    assert runner.run_case(unknown, Harness(OURS.classes(), partial=False)).status == "crashed"


def test_the_weights_of_a_gradient_are_not_broadcast(tmp_path):
    data = json.loads((packaged_cases() / "clip" / "forward.json").read_text("utf-8"))
    first = next(c for c in data["cases"] if c["kind"] == "gradient")
    first["inputs"]["weights"] = {"shape": [1], "values": ["0x1.0p+0"]}
    (tmp_path / "cases.json").write_text(json.dumps(data | {"count": 1, "cases": [first]}))
    with pytest.raises(BrokenCases, match="The weights of the gradient"):
        check_schema(tmp_path)
