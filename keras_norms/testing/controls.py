"""Controls: what must fail, so that a run shows that the suite can fail.

Controls are mutants, which are implementations with a known mistake, and troubles of the harness,
such as a missing device. A folder of controls holds Python modules with lists named `MUTANTS` and
`TROUBLES`.
"""

import dataclasses
import importlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from keras_norms.testing.harness import OURS, Harness
from keras_norms.testing.kinds import AROUND, ON_DEMAND
from keras_norms.testing.manifest import BrokenCases
from keras_norms.testing.runner import Outcome, run_case

FAILURES = ("failed", "crashed")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """An implementation with a known mistake, which the cases must tell from a good one.

    Attributes:
        name: What the mistake is.
        classes: The classes that take the place of ours, by the names that the cases use. The
            mutant runs on the cases that use one of them. What fails without the mistake, too,
            tells nothing about it, so the mutant does not die of that, unless it raises another
            exception. Without the mistake, there is ours, or the nearest parent of the class that
            says `is_right = True` of itself.
        kinds: The kinds in `ON_DEMAND` that it runs on; it runs on every other kind.
        config: The arguments that a case must have for the mutant to run on it.
        dies_by: The names of exceptions that are its mistake, as where Python decides by a value
            that is not known yet. Any other exception is a bug in the mutant, and shows nothing.
    """

    name: str
    classes: dict[str, Any]
    kinds: tuple[str, ...] = ()
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    dies_by: tuple[str, ...] = ()

    def concerns(self, case):
        """Whether the mutant is to be run on a case."""
        used = {case.target} | AROUND.get(case.kind, set())
        if not used & set(self.classes) or case.kind in ON_DEMAND - set(self.kinds):
            return False
        return all(case.config.get(name) == value for name, value in self.config.items())

    def dies_of(self, outcome):
        """Whether an outcome is a wrong result, or the exception that is the mutant's mistake."""
        return outcome.status in FAILURES and outcome.exception in (None, *self.dies_by)

    def harness(self, device):
        """The harness in which the classes of the mutant replace ours."""
        return Harness(OURS.classes() | self.classes, device)

    def harness_without_mistake(self, device):
        """The harness of the classes that the mutant breaks: ours, where it names no other."""
        named = {name: _broken_by(made) for name, made in self.classes.items()}
        return Harness(OURS.classes() | {n: c for n, c in named.items() if c}, device)


@dataclasses.dataclass(frozen=True)
class Trouble:
    """A broken harness: `notices(cases, device)` says whether the suite turned red."""

    name: str
    notices: Callable[..., bool]


@dataclasses.dataclass(frozen=True)
class MutantOutcome:
    """The outcomes of the cases that a mutant was run on."""

    mutant: Mutant
    outcomes: list[Outcome]

    @property
    def killers(self):
        """The ids of the cases that the mutant fails, by a wrong result or as it is meant to."""
        return [o.case.id for o in self.outcomes if self.mutant.dies_of(o)]

    @property
    def crashes(self):
        """The outcomes by an exception that is not the mutant's mistake.

        Where an exception is due, another one shows nothing for or against the mutant.
        """
        others = [o for o in self.outcomes if o.exception and o.case.kind != "raises"]
        return [o for o in others if not self.mutant.dies_of(o)]

    @property
    def dead(self):
        """Whether the mutant failed a case, and crashed in none."""
        return bool(self.killers) and not self.crashes


def run_mutant(mutant, cases, *, device="cpu", all_kills=False):
    """The outcome of a mutant on those of the cases that concern it.

    It stops at the first case that kills the mutant, or goes on to find all that do.
    """
    harness, right = mutant.harness(device), mutant.harness_without_mistake(device)
    outcomes = []
    for case in filter(mutant.concerns, cases):
        outcome = run_case(case, harness)
        if outcome.status in FAILURES and _fails_so(run_case(case, right), outcome):
            outcome = Outcome(case, "not applicable", "what the mutant breaks fails, too")
        outcomes.append(outcome)
        if mutant.dies_of(outcome) and not all_kills:
            break
    return MutantOutcome(mutant, outcomes)


def _fails_so(outcome, other):
    """Whether a case does not pass, and another outcome's exception does not set that apart."""
    return outcome.status != "passed" and other.exception in (None, outcome.exception)


def _broken_by(made):
    """The nearest parent of a class that says of itself that it is right, or None."""
    parents = made.__mro__[1:] if isinstance(made, type) else ()
    return next((parent for parent in parents if vars(parent).get("is_right")), None)


def load_controls(folder):
    """The mutants and the troubles of every module below `folder`.

    The modules are imported under their full names, `conformance.mutants.norms` say, because
    TorchDynamo looks for the module of what it compiles.

    Raises:
        BrokenCases: If there are none.
    """
    folder = pathlib.Path(folder).resolve()
    root = _root(folder)
    if str(root) not in sys.path:
        sys.path.append(str(root))
    mutants: list[Mutant] = []
    troubles: list[Trouble] = []
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever the module does
            raise BrokenCases(f"{path} cannot be imported: {error!r}") from error
        found = pathlib.Path(str(module.__file__)).resolve()
        if found != path:
            raise BrokenCases(f"{name} must be {path}. Received: {found}")
        # A package that imports the lists of its modules holds the same ones.
        mutants += [m for m in getattr(module, "MUTANTS", []) if m not in mutants]
        troubles += [t for t in getattr(module, "TROUBLES", []) if t not in troubles]
    if not mutants + troubles:
        raise BrokenCases(f"No MUTANTS and no TROUBLES in {folder}")
    names = [mutant.name for mutant in mutants] + [trouble.name for trouble in troubles]
    if len(set(names)) < len(names):
        raise BrokenCases(f"Names of controls must be unique: {sorted(names)}")
    return mutants, troubles


def _root(folder):
    """The folder above all packages that the folder lies in."""
    root = folder.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    return root
