"""Golden cases as tests, so that mutmut runs for each mutant only those that reach it."""

import pathlib

import pytest

from keras_norms.testing import runner
from keras_norms.testing.cases import load_cases
from keras_norms.testing.harness import OURS, Harness
from keras_norms.testing.kinds import SLOW

CASES = load_cases(pathlib.Path(__file__).parents[1] / "cases")
HARNESS = Harness(OURS.classes(), partial=False)


@pytest.mark.parametrize("case", [c for c in CASES if c.kind not in SLOW], ids=lambda c: c.id)
@pytest.mark.filterwarnings("ignore")
def test_golden(case):
    outcome = runner.run_case(case, HARNESS)
    assert outcome.status in ("passed", "not applicable"), outcome.message
