"""The pages say what is so today."""

import json
import pathlib
import re

from keras_norms.testing.cases import load_cases, packaged_cases

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
REQUIREMENTS = {case.requirement for case in load_cases(packaged_cases())}


def test_the_matrix_and_the_badge_stand_for_all_cases():
    rows = re.findall(r"^\| (KN-\S+) \| (\d+) of (\d+) \| (\d+) of (\d+) \|", README, re.MULTILINE)
    assert {row[0] for row in rows} == REQUIREMENTS
    totals = [sum(int(row[i]) for row in rows) for i in (1, 2, 3, 4)]
    assert totals == [len(load_cases(packaged_cases()))] * 4
    badge = json.loads((ROOT / "docs" / "badge.json").read_text("utf-8"))
    assert badge["message"].startswith(f"tensorflow {totals[0]}, torch {totals[2]}, ")


def test_every_requirement_is_explained():
    page = (ROOT / "conformance" / "README.md").read_text("utf-8")
    assert set(re.findall(r"KN-[A-Z0-9]+-[0-9]{3}", page)) == REQUIREMENTS


def test_the_test_command_is_the_one_that_ci_runs():
    assert "\npip install nox && nox\n" in README
    assert "\npip install nox && nox\n" in (ROOT / ".ci" / "run").read_text("utf-8")
