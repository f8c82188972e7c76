"""Expected failures: cases that only Keras or a backend can mend, each with a reason and a link.

They are strict. A case that passes, or fails in another way than the expected one, has failed. An
expectation that names no case is an error.
"""

import dataclasses
import math
import pathlib
import tomllib

from keras_norms.testing.manifest import BrokenCases


@dataclasses.dataclass(frozen=True)
class Expected:
    """A failure of one case, on some backends or on all, and the way in which it fails.

    Attributes:
        id: The case.
        reason: Why it fails.
        link: Where that can be seen.
        backends: Where it fails.
        message: A part of the message, for a promise that has no score.
        score: The least and the largest score of the worst result, in ulp.
    """

    id: str
    reason: str
    link: str
    backends: tuple[str, ...] = ("tensorflow", "torch", "jax")
    message: str | None = None
    score: tuple[float, float] | None = None

    def __post_init__(self):
        if (self.message is None) == (self.score is None):
            raise ValueError(f"{self.id} must have either a message or a score")
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

    def explains(self, outcome):
        """Whether a case failed in this way."""
        if self.score is None:
            return not outcome.over and self.message in outcome.message
        low, high = self.score
        return bool(outcome.over) and all(low <= m.score <= high for m in outcome.over)


def load_expected(path, cases, backend):
    """The failures that are expected on a backend, by the id of the case.

    Raises:
        BrokenCases: If the file cannot be read, or an id matches no case.
    """
    try:
        data = tomllib.loads(pathlib.Path(path).read_text("utf-8"))["failure"]
        every = [Expected(**entry) for entry in data]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BrokenCases(f"{path} does not list expected failures: {error!r}") from error
    unknown = {each.id for each in every} - {case.id for case in cases}
    if unknown:
        raise BrokenCases(f"{path} expects failures of cases that are not there: {sorted(unknown)}")
    return {each.id: each for each in every if backend in each.backends}
