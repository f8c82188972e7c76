"""The runner: what becomes of a case under a harness, and whether that was expected."""

import dataclasses

import keras

from keras_norms.testing import severity
from keras_norms.testing.cases import Case
from keras_norms.testing.harness import OURS, Harness, Measure, Mismatch, NotApplicable
from keras_norms.testing.kinds import AROUND, KINDS, SLOW, runs_on_a_mesh


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one case, and why.

    Attributes:
        case: The case.
        status: "passed", "failed", "crashed", "expected failure" or "not applicable". A case fails
            by a wrong result; it crashes by an exception of the code under test.
        message: What was wrong, or why the case is not applicable.
        measures: The scores of its results.
        severity: How bad it is that the case failed or crashed, else None.
        exception: The name of the exception that the code under test raised, else None.
    """

    case: Case
    status: str
    message: str = ""
    measures: tuple[Measure, ...] = ()
    severity: str | None = None
    exception: str | None = None

    @property
    def over(self):
        """The measures that are over their budgets."""
        return [m for m in self.measures if not m.score <= m.budget]


def run_case(case, harness):
    """The outcome of one case under a harness."""
    # Whatever a layer draws must not depend on the cases that ran before in this process. Other
    # cases draw nothing, and TensorFlow is slow after each seed, because it forgets its kernels.
    if case.kind in AROUND or case.kind in SLOW:
        keras.utils.set_random_seed(0)
    try:
        if harness.device == "mesh" and not runs_on_a_mesh(case):
            raise NotApplicable("it tells nothing about several devices")
        measures = tuple(KINDS[case.kind](case, harness))
    except NotApplicable as reason:
        return Outcome(case, "not applicable", str(reason))
    except Mismatch as error:
        return Outcome(case, "failed", str(error), error.measures, error.severity, error.exception)
    except Exception as error:
        name = type(error).__name__
        grade = severity.of_exception(error)
        return Outcome(case, "crashed", f"{name}: {error}", severity=grade, exception=name)
    outcome = Outcome(case, "passed", "", measures)
    if outcome.over:
        text = "; ".join(
            f"{m.what} is {m.score:.3g} ulp off, allowed {m.budget:.3g}" for m in outcome.over
        )
        return Outcome(case, "failed", text, measures, severity.of_measures(outcome.over))
    return outcome


def run(cases, *, package=OURS, expected=None, device="cpu"):
    """The outcomes of all cases for the classes of a package on `device`, in this process."""
    harness = Harness(package.classes(), device, partial=package is not OURS)
    return as_expected([run_case(case, harness) for case in cases], expected or {})


def as_expected(outcomes, expected):
    """The outcomes after comparison with the expected failures, which are given by case id.

    A case that fails as expected is an expected failure. One that is expected to fail and does not,
    or fails in another way, has failed.
    """
    return [
        _as_expected(outcome, expected[outcome.case.id]) if outcome.case.id in expected else outcome
        for outcome in outcomes
    ]


def _as_expected(outcome, expected):
    if outcome.status == "crashed":
        return outcome
    if outcome.status == "failed" and expected.explains(outcome):
        return dataclasses.replace(outcome, status="expected failure", message=expected.reason)
    found = outcome.message if outcome.status == "failed" else outcome.status
    message = f"expected to fail with {expected.way}, but: {found} ({expected.reason})"
    return dataclasses.replace(outcome, status="failed", message=message, severity=severity.WRONG)
