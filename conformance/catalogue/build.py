"""What a case is made of: its subject, exact inputs, what the oracle says of them, and an id."""

import dataclasses
import functools
import itertools
from collections.abc import Callable

from mpmath import mpf

from conformance.catalogue.inputs import whole
from conformance.oracles.derivatives import gradient, weighted
from conformance.oracles.exact import Tensor, as_double_pair, groups, norm, outside


@dataclasses.dataclass(frozen=True)
class Subject:
    """A class under test, with its oracle and with the traits that its cases depend on.

    Where the traits depend on an argument, as those of MaxNorm on `ord`, each value has a subject.
    """

    name: str  # the folder of its case files, and the first word of their ids
    target: str  # the class
    oracle: Callable  # (tensor, **config) -> a tensor, or a number if it is a penalty
    penalty: bool = False  # whether it returns one number, in float32 at least
    axis: object = 0  # its default axis: the entries along it make one entry of the result
    rounds: bool = True  # whether its results are rounded at all
    scale: str = "entry"  # of an error: see keras_norms/testing/scores.py
    moves: int = 0  # how many ulp a second application may move an entry
    loops: bool = False  # whether it iterates: slow to compile, and no single graph under PyTorch
    slope: bool = True  # whether there are cases about its gradient
    coupled: bool = False  # whether groups depend on one another, and have one excess
    # The subject whose oracle gives the nearest point, where this one's gives another.
    nearest: "Subject | None" = None
    # What iterations may leave beside rounding: (tensor, dtype, **config) -> an absolute error.
    inexact: Callable | None = None

    def file(self, name, cases):
        """What `case_files` yields: the file's path below cases/, the target and the cases."""
        return f"{self.name}/{name}.json", self.target, cases

    def case(
        self,
        requirement,
        w,
        title,
        hunts,
        config=None,
        dtype="float32",
        kind="forward",
        *,
        exact=False,
        expected=None,
        **inputs,
    ):
        """A case about what the subject returns for `w`.

        `exact` allows no error at all, because no rounding is due. `expected` holds what is
        expected beside the result, and `inputs` what the kind of case needs beside `w`.
        """
        config = config or {}
        result = self.oracle(w, **_arguments(config))
        reduced = 0 if exact or not self.rounds else self._reduced(w, config)
        if self.penalty:
            result = Tensor((), (mpf(result),))
            returned = exactly(result, "float64" if dtype == "float64" else "float32", reduced)
        else:
            returned = exactly(result, dtype, reduced, self.scale)
            if not exact:
                returned |= self._inexact(w, dtype, config)
        inputs, expected = {"w": given(w)} | inputs, {"result": returned} | (expected or {})
        return self.about(kind, requirement, title, hunts, config, inputs, expected, dtype)

    def gradient(self, requirement, w, title, hunts, config=None, dtype="float32"):
        """A case about the gradient of a penalty, or of a weighted sum of constrained entries."""
        config, inputs = config or {}, {"w": given(w)}
        function = functools.partial(self.oracle, **_arguments(config))
        if not self.penalty:
            weights = whole(f"slope {title} {dtype}", w.shape)
            function, inputs["weights"] = weighted(function, weights), given(weights)
        reduced = self._reduced(w, config) if self.rounds else 1
        result = exactly(gradient(function, w), dtype, reduced, "largest", passes=2)
        expected = {"result": result}
        return self.about("gradient", requirement, title, hunts, config, inputs, expected, dtype)

    def excess(self, requirement, w, title, hunts, config=None, dtype="float32", distances=None):
        """A case about how far each group is from the set: by default, from its nearest point."""
        config = config or {}
        axis = config.get("axis", self.axis)
        inside = groups(w.shape, axis)
        subject = self.nearest or self
        if distances is None:
            nearest = subject.oracle(w, **_arguments(config))
            inside = [range(len(w.entries))] if self.coupled else inside
            distances = [norm([w.entries[i] - nearest.entries[i] for i in g]) for g in inside]
        shape = () if self.coupled else outside(w.shape, axis)
        result = exactly(
            Tensor(shape, tuple(distances)),
            "float64" if dtype == "float64" else "float32",
            *(self._reduced(w, config), "largest", 2),
        )
        result |= subject._inexact(w, dtype, config)
        inputs, expected = {"w": given(w)}, {"result": result}
        return self.about("excess", requirement, title, hunts, config, inputs, expected, dtype)

    def raises(self, requirement, title, config, words, w=None, error="ValueError"):
        """A case about bad input: the type of the exception, and words of its message."""
        hunts = "a mistake that is accepted, or another exception on each backend"
        inputs = {} if w is None else {"w": given(w)}
        expected = {"error": error, "words": words}
        return self.about("raises", requirement, title, hunts, config, inputs, expected)

    def about(
        self, kind, requirement, title, hunts, config, inputs=None, expected=None, dtype="float32"
    ):
        """A case of any kind, as the schema has it; its id tells kind, dtype and title apart."""
        words = title.lower().replace("=-", " minus ").replace("[-", " minus ")
        slug = "-".join("".join(c if c.isalnum() else " " for c in words).split())
        return {
            "id": f"{self.name}-{kind}-{dtype}-{slug[:90]}",
            "kind": kind,
            "requirement": requirement,
            "title": title,
            "hunts": hunts,
            "dtype": dtype,
            "config": config,
            "inputs": inputs or {},
            "expected": expected or {},
        }

    def spectrum(self, requirement, w, title, hunts, config=None, dtype="float32", **limits):
        """A case about the singular values of the result: `least`, `most` and `within`."""
        about = (title, hunts, config or {}, {"w": given(w)}, limits, dtype)
        return self.about("spectrum", requirement, *about)

    def _inexact(self, w, dtype, config):
        if self.inexact is None:
            return {}
        return {"inexact": float(self.inexact(w, dtype, **_arguments(config))).hex()}

    def _reduced(self, w, config):
        """How many numbers make an entry of the result."""
        axis = None if self.penalty or self.coupled else config.get("axis", self.axis)
        return max(map(len, groups(w.shape, axis)), default=1)


def member(subject, config):
    """A subject as a part of something else, in JSON."""
    return {"class_name": subject.target, "config": config}


def members(*pairs):
    """The config of something that is made of several, each a subject and its config."""
    return {"members": [member(*pair) for pair in pairs]}


def oracles(*pairs):
    """The oracles of several, each a subject and its config: (function, arguments) for each."""
    return [(subject.oracle, config) for subject, config in pairs]


def _arguments(config):
    """The oracle's arguments. The oracle of something that has members knows them already."""
    return {name: _plain(value) for name, value in config.items() if name != "members"}


def _plain(value):
    """A number that JSON cannot hold is marked in a config: {"float": "inf"}, {"numpy": 0.5}."""
    marked = isinstance(value, dict) and len(value) == 1
    return float(*value.values()) if marked else value


def given(tensor):
    """An input in JSON: doubles, which must hold it exactly."""
    return {"shape": list(tensor.shape), **_runs(tensor, _as_double)}


def _as_double(x):
    """The hex double that an entry of an input is."""
    value = float(x)
    if value != x:
        raise ValueError("An input is not exact in float64")
    return value.hex()


def exactly(tensor, dtype, reduced, scale="entry", passes=1):
    """An expected value in JSON; `reduced` numbers make each entry, 0 where no rounding is due.

    `scale` is where its error is measured. `passes` is how many such reductions follow on one
    another: a gradient goes through that of its function and through one of its own.
    """
    return {
        "shape": list(tensor.shape),
        "dtype": dtype,
        "reduced": reduced,
        "scale": scale,
        "passes": passes,
        **_runs(tensor, as_double_pair),
    }


def _runs(tensor, in_json):
    """Equal entries that follow one another are written once, with their number."""
    runs = [(in_json(x), len(list(same))) for x, same in itertools.groupby(tensor.entries)]
    values = [value for value, _ in runs]
    if len(values) == len(tensor.entries):
        return {"values": values}
    return {"values": values, "repeats": [count for _, count in runs]}
