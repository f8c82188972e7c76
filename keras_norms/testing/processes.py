"""The suite over several processes: each imports Keras once, and takes the next part in line.

The results do not depend on the number of processes. A process that dies takes the run with it.
"""

import concurrent.futures
import dataclasses
import multiprocessing
from collections import Counter
from concurrent.futures.process import BrokenProcessPool

from keras_norms.testing import runner
from keras_norms.testing.cases import load_cases
from keras_norms.testing.controls import MutantOutcome, load_controls, run_mutant
from keras_norms.testing.harness import KERAS, OURS, Harness, NotApplicable
from keras_norms.testing.kinds import SLOW
from keras_norms.testing.manifest import BrokenCases

PACKAGES = {package.name: package for package in (OURS, KERAS)}


class BrokenRun(Exception):
    """A process did not return what it was asked for."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Cases by their place among all, to be run on a package or on one of the mutants."""

    cases: tuple[int, ...]
    target: str
    mutant: int | None = None


class Suite:
    """Everything that can be run, read from its files, so that every process can make it anew.

    Args:
        packages: The names of the packages under test.
        cases: The folder of cases.
        controls: The folder of controls, or None.
        device: "cpu", "gpu" or "mesh".
        words: What the id, the target or the title of a case must contain. A mutant that concerns
            such a case does not run on these alone, so that its verdict does not depend on the
            words.
        all_kills: Whether a mutant runs on all of its cases, or until one kills it.
    """

    def __init__(self, packages, cases, controls=None, device="cpu", words="", all_kills=False):
        self.arguments = (packages, cases, controls, device, words, all_kills)
        self.device = device
        self.all_kills = all_kills
        self.all_cases = load_cases(cases)
        wanted = words.lower().split()
        self.chosen = [
            i for i, case in enumerate(self.all_cases) if all(word in case.words for word in wanted)
        ]
        every, self.troubles = load_controls(controls) if controls else ([], [])
        self.controls = [control.name for control in (*every, *self.troubles)]
        self.mutants = [m for m in every if not words or any(map(m.concerns, self.cases))]
        self._harnesses = {
            name: Harness(PACKAGES[name].classes(), device, partial=name != OURS.name)
            for name in packages
        }

    @property
    def cases(self):
        """The cases that have the words."""
        return [self.all_cases[i] for i in self.chosen]

    def check_targets(self):
        """Refuse cases of what does not exist: that is no fault of the code under test.

        Raises:
            BrokenCases: If there is no such class or package, or if Keras' own classes would be
                asked about those of a user.
        """
        for target in sorted({case.target for case in self.cases}):
            for harness in self._harnesses.values():
                try:
                    harness.find(target)
                except NotApplicable:
                    continue
                except (Exception, SystemExit) as error:  # whatever the user's module does
                    raise BrokenCases(
                        f"There is no target {target!r}: {type(error).__name__}: {error}"
                    ) from error

        foreign = sorted({c.target for c in self.cases if ":" in c.target})
        if foreign and KERAS.name in self._harnesses:
            raise BrokenCases(
                "Keras' own classes are asked about cases of classes that both have. "
                f"Received: cases of {', '.join(foreign)}"
            )

    def parts(self):
        """The parts of a run; together they hold each case once per package and per mutant.

        Slow cases come first, so that no process ends long after the others. JAX compiles each
        operation for each shape: so cases of the same shape stay together, and a mutant starts with
        the shapes of most cases.
        """
        every = self.all_cases
        slow = [i for i in self.chosen if every[i].kind in SLOW]
        shapes: dict[str, list[int]] = {}
        for i in self.chosen:
            case = every[i]
            if case.kind not in SLOW:
                shapes.setdefault(f"{case.target} {_shape(case)}", []).append(i)
        frequency = Counter(map(_shape, every))
        common_first = sorted(range(len(every)), key=lambda i: -frequency[_shape(every[i])])
        rest = [
            Part(tuple(i for i in common_first if mutant.concerns(every[i])), "", m)
            for m, mutant in enumerate(self.mutants)
        ]
        rest += [Part(tuple(found), name) for found in shapes.values() for name in self._harnesses]
        first = [Part((i,), name) for i in slow for name in self._harnesses]
        return first + sorted(rest, key=lambda part: -len(part.cases))

    def outcomes(self, part):
        """The outcomes of a part, in its order. Those of a mutant may end before it does."""
        cases = [self.all_cases[i] for i in part.cases]
        if part.mutant is None:
            return [runner.run_case(case, self._harnesses[part.target]) for case in cases]
        mutant = self.mutants[part.mutant]
        return run_mutant(mutant, cases, device=self.device, all_kills=self.all_kills).outcomes

    def run(self, jobs=1):
        """The outcomes of the cases by package, and those of the mutants, in the order of reading.

        Raises:
            BrokenRun: If a process dies.
        """
        parts = self.parts()
        done = map(self.outcomes, parts) if jobs == 1 else self._spread(parts, jobs)
        found: dict[str, dict[int, runner.Outcome]] = {name: {} for name in self._harnesses}
        killed = {}
        for part, outcomes in zip(parts, done, strict=True):
            if part.mutant is None:
                found[part.target] |= zip(part.cases, outcomes, strict=True)
            else:
                killed[part.mutant] = MutantOutcome(self.mutants[part.mutant], outcomes)
        ordered = {name: [of[i] for i in self.chosen] for name, of in found.items()}
        return ordered, [killed[m] for m in sorted(killed)]

    def _spread(self, parts, jobs):
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(jobs, context, _prepare, self.arguments)
        with pool:
            try:
                # A case is not sent back: it is known here.
                for part, results in zip(parts, pool.map(_run_part, parts), strict=True):
                    yield [
                        runner.Outcome(self.all_cases[i], *result)
                        for i, result in zip(part.cases, results, strict=part.mutant is None)
                    ]
            except BrokenProcessPool as error:
                raise BrokenRun(f"A process died: {error}") from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _shape(case):
    """The dtype and the shape of the input of a case, for which JAX compiles."""
    return f"{case.dtype} {case.inputs.get('w', {}).get('shape')}"


_suite = None  # of a process that was spawned


def _prepare(*arguments):
    global _suite
    _suite = Suite(*arguments)


def _run_part(part):
    assert _suite is not None  # _prepare ran first
    return [
        (o.status, o.message, o.measures, o.severity, o.exception) for o in _suite.outcomes(part)
    ]
