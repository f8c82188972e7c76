"""The runner: every case against a target, counted exactly, and the controls that must fail."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_norms.testing import kinds, objects, training
from keras_norms.testing.cases import Case
from keras_norms.testing.harness import OURS, Harness, Measure, Mismatch, NotApplicable

KINDS = kinds.KINDS | objects.KINDS | training.KINDS
# Kinds that compile, train or save: seconds, not milliseconds.
SLOW = {"jit", "traced", "training", "bounded", "save_load"}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one case, and why.

    The status is "passed", "failed", "crashed", "expected failure" or "not applicable". A case
    fails by a wrong result; it crashes by an exception of the code under test.
    """

    case: Case
    status: str
    message: str = ""
    measures: tuple[Measure, ...] = ()


@dataclasses.dataclass(frozen=True)
class Control:
    """A known-bad implementation of some classes, which the cases must tell from a good one.

    It is run on the cases that use one of the classes, with `config` in theirs; on those of a kind
    in `SLOW` only if that is among its own `kinds`.
    """

    name: str
    classes: dict[str, Any]
    kinds: tuple[str, ...] = ()
    config: dict[str, Any] = dataclasses.field(default_factory=dict)

    def concerns(self, case):
        """Whether the control is to be run on a case."""
        if not uses(case) & set(self.classes) or (
            case.kind in SLOW and case.kind not in self.kinds
        ):
            return False
        return all(case.config.get(name) == value for name, value in self.config.items())


@dataclasses.dataclass(frozen=True)
class Situation:
    """A harness in trouble: `notices(cases, device)` says whether the suite turned red."""

    name: str
    notices: Callable[..., bool]


@dataclasses.dataclass(frozen=True)
class ControlOutcome:
    """Which cases a control fails, of those that it was run on. A crash shows nothing."""

    control: Control
    outcomes: list[Outcome]

    @property
    def killers(self):
        """The ids of the cases that tell the control from a good implementation."""
        return [o.case.id for o in self.outcomes if o.status == "failed"]

    @property
    def dead(self):
        """Whether the control failed by a wrong result, and only so."""
        return bool(self.killers) and all(o.status != "crashed" for o in self.outcomes)


def run_case(case, harness):
    """The outcome of one case under a harness."""
    try:
        measures = tuple(KINDS[case.kind](case, harness))
    except NotApplicable as reason:
        return Outcome(case, "not applicable", str(reason))
    except Mismatch as error:
        return Outcome(case, "failed", str(error))
    except Exception as error:
        return Outcome(case, "crashed", f"{type(error).__name__}: {error}")
    over = [m for m in measures if not m.score <= m.budget]
    if over:
        text = "; ".join(f"{m.what} is {m.score:.3g} ulp off, allowed {m.budget:.3g}" for m in over)
        return Outcome(case, "failed", text, measures)
    return Outcome(case, "passed", "", measures)


def run(cases, *, target=OURS, expected=None, device="cpu", on_case=lambda outcome: None):
    """The outcomes of all cases for a target on `device`; `on_case` is told each.

    `expected` holds the expected failures by case id. A case that fails as expected is one; a case
    that passes against what is expected has failed.
    """
    harness = Harness(target.classes(), device, partial=target is not OURS)
    outcomes = []
    for case in cases:
        outcome = run_case(case, harness)
        if expected and case.id in expected:
            outcome = _as_expected(outcome, expected[case.id])
        outcomes.append(outcome)
        on_case(outcome)
    return outcomes


def _as_expected(outcome, expected):
    if outcome.status == "failed":
        return dataclasses.replace(outcome, status="expected failure", message=expected.reason)
    if outcome.status in ("passed", "not applicable"):
        message = f"expected to fail, but {outcome.status}: {expected.reason}"
        return dataclasses.replace(outcome, status="failed", message=message)
    return outcome


def run_control(control, cases, *, device="cpu"):
    """Which of the cases that name a replaced class fail under a control."""
    harness = Harness(OURS.classes() | control.classes, device)
    tried = [case for case in cases if control.concerns(case)]
    return ControlOutcome(control, [run_case(case, harness) for case in tried])


def uses(case):
    """The names of the classes that a case touches."""
    around = {
        "conv_layout": {"Conv2D"},
        "activity": {"Dense"},
        **{kind: {"Dense", "SGD"} for kind in ("fit_step", "bounded", "training")},
    }
    return {case.target} | around.get(case.kind, set())
