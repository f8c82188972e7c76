"""The report of a run is what its schema says, which other programs read it by."""

import argparse
import dataclasses
import json

import jsonschema
import numpy as np
import pytest
from one_case import case, expecting, outcome

from keras_norms.testing import severity
from keras_norms.testing.cases import packaged_cases
from keras_norms.testing.controls import Mutant, MutantOutcome
from keras_norms.testing.report import make_report

SCHEMA = json.loads((packaged_cases().parent / "schema" / "report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def reported():
    """A report with a case of each status, and with scores that JSON has no numbers for."""
    passed = outcome(case())
    infinite = outcome(case(id="b"), MaxNorm=lambda **config: lambda w: w * np.float32(np.inf))
    crashed = outcome(case(id="c"), MaxNorm=lambda **config: 1 / 0)
    off = outcome(expecting(values=[["0x1p+0", "0x0p+0"], ["0x1p+0", "0x0p+0"]]))
    expected = dataclasses.replace(off, status="expected failure", message="known")
    left_out = dataclasses.replace(passed, status="not applicable", measures=())
    killed = MutantOutcome(Mutant("infinite", {"MaxNorm": lambda **config: None}), [infinite])
    options = argparse.Namespace(device="cpu", cases=None, words="max_norm", all_kills=True)
    outcomes = [passed, infinite, crashed, expected, left_out]
    report = make_report(options, "keras_norms", None, outcomes, [killed], {"none": True})
    return json.loads(json.dumps(report, allow_nan=False))


def test_a_report_with_each_status_is_as_the_schema_has_it():
    VALIDATOR.check_schema(SCHEMA)
    report = reported()
    statuses = [each["status"] for each in report["cases"]]
    assert statuses == ["passed", "failed", "failed", "expected failure", "not applicable"]
    assert report["cases"][1]["measures"][0]["score"] == "inf"
    VALIDATOR.validate(report)


def test_the_schema_knows_the_statuses_and_severities_and_no_others():
    case = SCHEMA["$defs"]["case"]["properties"]
    assert case["severity"]["enum"] == [None, *severity.SEVERITIES]
    counts = set(SCHEMA["properties"]["counts"]["properties"])
    assert counts == set(reported()["counts"])
    assert len(case["status"]["enum"]) == len(counts - {"planned"})


PARTS = {
    "report": lambda report: report,
    "counts": lambda report: report["counts"],
    "worst": lambda report: report["worst"][0],
    "control": lambda report: report["controls"]["infinite"],
    "case": lambda report: report["cases"][0],
    "measure": lambda report: report["cases"][0]["measures"][0],
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_field_too_many_or_too_few_is_an_error(part):
    for name in part(reported()):
        report = reported()
        del part(report)[name]
        assert not VALIDATOR.is_valid(report), name
    report = reported()
    part(report)["new"] = 1
    assert not VALIDATOR.is_valid(report)


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report.update(commit="main"),
        lambda report: report.update(date="yesterday"),
        lambda report: report.update(backend="numpy"),
        lambda report: report["cases"][0].update(status="crashed"),
        lambda report: report["cases"][1].update(severity="bad"),
        lambda report: report["cases"][1]["measures"][0].update(score="large"),
        lambda report: report["cases"][1]["measures"][0].update(score=-1),
        lambda report: report["counts"].update(passed=-1),
    ],
)
def test_a_wrong_value_is_an_error(change):
    report = reported()
    change(report)
    assert not VALIDATOR.is_valid(report)
