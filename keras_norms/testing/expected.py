"""Expected failures: cases that only Keras or a backend can mend, each with a reason and a link.

They are strict. One that passes, and one that names no case, is an error.
"""

import dataclasses
import pathlib
import tomllib

from keras_norms.testing.cases import BrokenCases


@dataclasses.dataclass(frozen=True)
class Expected:
    """A failure of one case, on some backends or on all."""

    id: str
    reason: str
    link: str
    backends: tuple[str, ...]


def load_expected(path, cases, backend):
    """The failures that are expected on a backend, by the id of the case.

    Raises:
        BrokenCases: If the file cannot be read, or an id matches no case.
    """
    try:
        data = tomllib.loads(pathlib.Path(path).read_text("utf-8"))["failure"]
        every = [Expected(**{"backends": ("tensorflow", "torch", "jax")} | entry) for entry in data]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BrokenCases(f"{path} does not list expected failures: {error!r}") from error
    unknown = {each.id for each in every} - {case.id for case in cases}
    if unknown:
        raise BrokenCases(f"{path} expects failures of cases that are not there: {sorted(unknown)}")
    return {each.id: each for each in every if backend in each.backends}
