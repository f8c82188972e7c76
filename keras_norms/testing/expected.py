"""Expected failures: cases that only Keras or a backend can mend, each with a reason and a link.

They are strict. A case that passes, or fails in another way than the expected one, has failed. An
expectation that names no case is an error.
"""

import collections
import dataclasses
import fnmatch
import math
import pathlib
import tomllib

from keras_norms.startup import BACKENDS
from keras_norms.testing.manifest import BrokenCases


@dataclasses.dataclass(frozen=True)
class Expected:
    """A failure of cases, on some backends or on all, and the way in which they fail.

    Attributes:
        id: The case, or a pattern for several: `*` stands for anything.
        reason: Why it fails.
        link: Where that can be seen.
        backends: Where it fails.
        before: The first version of Keras that no longer fails, such as "3.14", or None.
        inputs: Inputs that a case must have for the pattern to mean it.
        message: A part of the message, for a promise that has no score.
        score: The least and the largest score of the worst result, in ulp.
    """

    id: str
    reason: str
    link: str
    backends: tuple[str, ...] = BACKENDS
    before: str | None = None
    inputs: dict = dataclasses.field(default_factory=dict)
    message: str | None = None
    score: tuple[float, float] | None = None

    def __post_init__(self):
        if (self.message is None) == (self.score is None) or self.message == "":
            raise ValueError(f"{self.id} must have either a message or a score")
        unknown = sorted(set(self.backends) - set(BACKENDS))
        if unknown:
            raise ValueError(f"{self.id} names {unknown}, which are not of {', '.join(BACKENDS)}")
        if self.score is not None:
            low, high = self.score
            if not 0 < low <= high < math.inf:
                raise ValueError(f"{self.id} must have two finite scores in order")

    @property
    def way(self):
        """The way in which it must fail, in words."""
        if self.score is None:
            return repr(self.message)
        return f"a score from {self.score[0]:g} to {self.score[1]:g}"

    def concerns(self, case):
        """Whether it is about a case."""
        has_inputs = self.inputs.items() <= case.inputs.items()
        return fnmatch.fnmatchcase(case.id, self.id) and has_inputs

    def is_due(self, backend, keras_version):
        """Whether it is about a backend, under a version of Keras such as "3.15.1"."""
        is_old = self.before is None or _numbers(keras_version) < _numbers(self.before)
        return backend in self.backends and is_old

    def explains(self, outcome):
        """Whether a case failed in this way."""
        if self.score is None:
            return not outcome.over and self.message in outcome.message
        low, high = self.score
        return bool(outcome.over) and all(low <= m.score <= high for m in outcome.over)


def _numbers(version):
    """The first two numbers of a version."""
    return tuple(map(int, version.split(".")[:2]))


def load_expected(path, cases, backend, keras_version):
    """The failures that are expected on a backend, by the id of the case.

    Raises:
        BrokenCases: If the file cannot be read, an id matches no case, or two match the same one.
    """
    try:
        data = tomllib.loads(pathlib.Path(path).read_text("utf-8"))["failure"]
        every = [Expected(**entry) for entry in data]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BrokenCases(f"{path} does not list expected failures: {error!r}") from error
    found = [(each, [case for case in cases if each.concerns(case)]) for each in every]
    unknown = sorted(each.id for each, some in found if not some)
    if unknown:
        raise BrokenCases(f"{path} expects failures of cases that are not there: {unknown}")
    due = [(each, some) for each, some in found if each.is_due(backend, keras_version)]
    counts = collections.Counter(case.id for _, some in due for case in some)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise BrokenCases(f"{path} expects these cases to fail in two ways: {twice}")
    return {case.id: each for each, some in due for case in some}
