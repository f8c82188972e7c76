"""What the laws measure, and how much of it rounding explains."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_norms.constraints import Constraint
from keras_norms.testing.backends import repeated
from keras_norms.testing.harness import float64
from keras_norms.testing.laws.plain import Plain

EPS = 2.0**-23


def tensor(w):
    """An array as a tensor of the backend."""
    return ops.convert_to_tensor(w)


def slack(*arrays):
    """What rounding explains for groups of these weights, in units of their largest norm."""
    largest = max([1.0, *(float(np.sqrt((np.asarray(a, "float64") ** 2).sum())) for a in arrays)])
    return (4 + math.log2(max(2, arrays[0].size))) * EPS * largest


def allowed_gap(target, w, *results):
    """What rounding and iterations explain for what a constraint makes of these weights."""
    norm = float(np.sqrt((w.astype("float64") ** 2).sum()))
    return slack(*(results or (w,))) + getattr(target, "inexactness", 0.0) * norm


def gap_between(target, w, one, two):
    """How far apart two results are; only how much farther one is, where several are nearest."""
    gap = np.abs(one - two).max(initial=0)
    if not isinstance(target, Constraint) or target.convex or gap <= allowed_gap(target, w, one):
        return gap
    return abs(np.linalg.norm(w - one) - np.linalg.norm(w - two))


_FUNCTIONS: dict[Any, Any] = {}


def function_of(target, name, maker=repeated):
    """A method of the target, made fast once per target and not once per example."""
    if isinstance(target, Plain) and maker is repeated:
        # Others' code need not compile: then one law says so, and not all of them.
        return getattr(target, name)
    key = (id(target), name, maker)
    if key not in _FUNCTIONS:  # the target is kept, so that no other takes its id
        _FUNCTIONS[key] = (maker(getattr(target, name)), target)
    return _FUNCTIONS[key][0]


def excess(target, w):
    """How far weights exceed a constraint, as NumPy in float64."""
    return float64(function_of(target, "excess")(tensor(w)))


def project(target, w):
    """What a constraint makes of weights, as NumPy in float64."""
    return float64(function_of(target, "project")(tensor(w)))


def first_line(error):
    """The kind of an error, and the first line of what it says."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
