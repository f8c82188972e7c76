"""The runner: every case against a target, counted exactly, and the controls that must fail."""

import dataclasses
from typing import Any

from keras_norms.testing.cases import Case
from keras_norms.testing.harness import (
    Harness,
    Measure,
    Mismatch,
    NotApplicable,
    classes_under_test,
)
from keras_norms.testing.kinds import KINDS


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one case: "passed", "failed", "crashed" or "not applicable", and why.

    A case fails by a wrong result; it crashes by an exception of the code under test.
    """

    case: Case
    status: str
    message: str = ""
    measures: tuple[Measure, ...] = ()


@dataclasses.dataclass(frozen=True)
class Control:
    """A known-bad implementation of some classes, which the cases must tell from a good one."""

    name: str
    classes: dict[str, Any]


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


def run(cases, *, device="cpu", on_case=lambda outcome: None):
    """The outcomes of all cases for keras_norms on `device`; `on_case` is told each."""
    harness = Harness(classes_under_test(), device)
    outcomes = []
    for case in cases:
        outcomes.append(run_case(case, harness))
        on_case(outcomes[-1])
    return outcomes


def run_control(control, cases, *, device="cpu"):
    """Which of the cases that name a replaced class fail under a control."""
    harness = Harness(classes_under_test() | control.classes, device)
    tried = [case for case in cases if uses(case) & set(control.classes)]
    return ControlOutcome(control, [run_case(case, harness) for case in tried])


def uses(case):
    """The names of the classes that a case touches."""
    around = {"conv_layout": {"Conv2D"}, "activity": {"Dense"}, "fit_step": {"Dense", "SGD"}}
    around["bounded"] = around["fit_step"]
    return {case.target} | around.get(case.kind, set())
