"""Laws: what must hold for every constraint and every penalty, whatever it computes.

    from keras_norms.testing.laws import parametrize_with_checks

    @parametrize_with_checks([MyConstraint(2.0)])
    def test_mine(target, check):
        check(target)

A check draws weights with hypothesis and raises an AssertionError that says what was promised and
what was found. `keras-norms conformance --target package:name` runs the same checks. Tolerances are
those of the design: `(4 + log2(n)) * eps * size` for groups of n entries, and what a constraint
says of its `inexactness`.
"""

import importlib
import inspect
import json
import math
import os
import sys
from typing import Any

import hypothesis
import keras
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_norms.constraints import Constraint
from keras_norms.setting import Setting
from keras_norms.testing.backends import compiled, repeated
from keras_norms.testing.harness import float64

EPS = 2.0**-23

# Moderate weights, for promises about distances; and all that a float32 can be, for finiteness.
_SHAPES = st.sampled_from([(3, 4), (2, 3, 2)])
_ENTRIES = st.floats(-8, 8, width=32).map(lambda x: 0.0 if abs(x) < 1e-6 else x)
WEIGHTS = hnp.arrays("float32", _SHAPES, elements=_ENTRIES)
FINITE = hnp.arrays(
    "float32", _SHAPES, elements=st.floats(-(2.0**127), 2.0**127, width=32, allow_subnormal=False)
)


def _tensor(w):
    return ops.convert_to_tensor(w)


def _slack(*arrays):
    """What rounding explains for groups of these weights, in units of their largest norm."""
    largest = max([1.0, *(float(np.sqrt((np.asarray(a, "float64") ** 2).sum())) for a in arrays)])
    return (4 + math.log2(max(2, arrays[0].size))) * EPS * largest


def _allowed(target, w, *results):
    """What rounding and iterations explain for what a constraint makes of these weights."""
    norm = float(np.sqrt((w.astype("float64") ** 2).sum()))
    return _slack(*(results or (w,))) + getattr(target, "inexactness", 0.0) * norm


def _same_or_as_near(target, w, one, two):
    """How far apart two results are; only how much farther one is, where several are nearest."""
    gap = np.abs(one - two).max(initial=0)
    if target.convex or gap <= _allowed(target, w, one):
        return gap
    return abs(np.linalg.norm(w - one) - np.linalg.norm(w - two))


_FUNCTIONS: dict[Any, Any] = {}


def _function(target, name, maker=repeated):
    """A method of the target, made fast once per target and not once per example."""
    key = (id(target), name, maker)
    if key not in _FUNCTIONS:  # the target is kept, so that no other takes its id
        _FUNCTIONS[key] = (maker(getattr(target, name)), target)
    return _FUNCTIONS[key][0]


def _excess(target, w):
    return float64(_function(target, "excess")(_tensor(w)))


def _project(target, w):
    return float64(_function(target, "project")(_tensor(w)))


def feasible(target, w):
    """What `project` returns has no excess but rounding."""
    once = _project(target, w).astype("float32")
    found = _excess(target, once)
    if target.keeps_zero_groups:  # a zero group has no nearest point, and its excess says so
        found = found[np.abs(once).sum(axis=target.group_axes(w.ndim)) != 0]
    allowed = _allowed(target, w, once)
    assert (found <= allowed).all(), f"excess must be at most {allowed}. Received: {found.max()}"


def idempotent(target, w):
    """A second projection moves nothing but rounding."""
    once = _project(target, w).astype("float32")
    moved = np.abs(_project(target, once) - once).max(initial=0)
    assert moved <= _allowed(target, w, once), (
        f"a second projection must not move. Received: {moved}"
    )


def feasible_input_is_identical(target, w):
    """Weights without excess are unchanged, where a set has an inside."""
    once = _project(target, w).astype("float32")
    if _excess(target, once).max(initial=0) == 0:
        again = _project(target, once)
        assert np.array_equal(again, once), f"feasible weights must stay. Received: {again - once}"


def shape_and_dtype(target, w):
    """Shape and dtype are kept, in half precision too."""
    for dtype in ("float16", "bfloat16", "float32"):
        given = ops.cast(_tensor(w), dtype)
        got = _function(target, "__call__")(given)
        found = (tuple(got.shape), keras.backend.standardize_dtype(got.dtype))
        assert found == (w.shape, dtype), f"must be {(w.shape, dtype)}. Received: {found}"


def groups_independent(target, w):
    """What is outside of a group does not change it."""
    axes = target.group_axes(w.ndim)
    outside = [a for a in range(w.ndim) if a not in axes]
    if not outside or target.has_coupled_groups:
        return
    other = w.copy()
    first = [slice(None)] * w.ndim
    first[outside[0]] = slice(0, 1)
    rest = [slice(None)] * w.ndim
    rest[outside[0]] = slice(1, None)
    other[tuple(rest)] = 1 - other[tuple(rest)]
    one, two = _project(target, w)[tuple(first)], _project(target, other)[tuple(first)]
    gap = np.abs(one - two).max(initial=0)
    assert gap <= _allowed(target, w, one), f"other groups must not matter. Received: {gap}"


def permuting_axes_commutes(target, w):
    """Axes in another order, and `axis` with them, give the same entries."""
    axes = target.group_axes(w.ndim)
    moved = tuple(w.ndim - 1 - a for a in axes)
    other = target.along(moved) if axes and len(axes) < w.ndim else target
    one = _project(target, w)
    two = _project(other, np.ascontiguousarray(w.transpose())).transpose()
    gap = _same_or_as_near(target, w, one, two)
    assert gap <= _allowed(target, w, one), f"axes must commute. Received: {gap}"


def jit_equals_eager(target, w):
    """A compiled function gives what eager code gives, but for rounding."""
    one = np.asarray(float64(target(_tensor(w))))
    two = np.asarray(float64(_function(target, "__call__", _as_graphs)(_tensor(w))))
    if isinstance(target, Constraint):
        gap, allowed = _same_or_as_near(target, w, one, two), _allowed(target, w, w, one)
    else:  # a penalty sums squares: its size is that of the largest of them
        gap = abs(one - two)
        allowed = _slack(w, one) * max(1.0, float(np.abs(w).max(initial=0)))
    assert gap <= allowed, f"compiled and eager must agree. Received: {gap}"


def _as_graphs(function):
    return compiled(function, one_graph=False)


def pure(target, w):
    """The argument is not changed, and a second call returns the same."""
    given = _tensor(w)
    one, two = float64(target(given)), float64(target(given))
    assert np.array_equal(float64(given), w), "the argument must not change"
    assert np.array_equal(one, two), f"two calls must agree. Received: {one} and {two}"


def config_survives(target, w):
    """The config goes through JSON and gives an equal object."""
    config = json.loads(json.dumps(target.get_config()))
    restored = type(target).from_config(config)
    assert restored == target, f"must be {target!r}. Received: {restored!r}"


def finite(target, w):
    """Finite weights stay finite."""
    got = _project(target, w)
    assert np.isfinite(got).all(), f"must be finite. Received: {got}"


def nearest(target, w):
    """No feasible point is nearer, in a convex set: <w - p, z - p> <= 0 for its points z."""
    axes = target.group_axes(w.ndim)
    largest = np.abs(w) == np.abs(w).max(axis=axes, keepdims=True)
    p = _project(target, w)
    # Another point, and one from the corner that the largest entry points to.
    for other in (w[::-1] * np.float32(0.75) + np.float32(0.25), 4 * w * largest):
        z = _project(target, other.astype("float32"))
        product = ((w - p) * (z - p)).sum(axis=None if target.has_coupled_groups else axes).max()
        size = float(np.linalg.norm(w - p) + np.linalg.norm(z - p) + 1)
        assert product <= _allowed(target, w, w, z) * size, (
            f"p must be nearest. Received: {product}"
        )


def nan_stays_in_its_group(target, w):
    """NaN in one entry makes its group NaN, or that entry alone; no other group sees it."""
    if target.has_coupled_groups:
        return
    axes = target.group_axes(w.ndim)
    spoiled = w.copy()
    spoiled.flat[0] = np.nan
    hit = np.zeros(w.shape, bool)
    hit[tuple(slice(None) if a in axes else 0 for a in range(w.ndim))] = True
    got, without = _project(target, spoiled), _project(target, w)
    assert np.array_equal(got[~hit], without[~hit]), "NaN must not reach another group"
    is_elementwise = np.array_equal(got.flat[1:], without.flat[1:]) and np.isnan(got.flat[0])
    assert is_elementwise or np.isnan(got[hit]).all(), f"must be NaN. Received: {got[hit]}"


def non_expansive(target, w):
    """Two projections are no further apart than their arguments, in a convex set."""
    other = (w * np.float32(0.5) + np.float32(0.125)).astype("float32")
    apart = np.linalg.norm(_project(target, w) - _project(target, other))
    allowed = np.linalg.norm(w.astype("float64") - other) + _allowed(target, w, w, other)
    assert apart <= allowed, f"must be at most {allowed} apart. Received: {apart}"


def scalar(target, w):
    """A penalty is one number, in float32 at least."""
    for dtype in ("float16", "bfloat16", "float32"):
        got = _function(target, "__call__")(ops.cast(_tensor(w), dtype))
        found = (tuple(got.shape), keras.backend.standardize_dtype(got.dtype))
        assert found == ((), "float32"), f"must be ((), 'float32'). Received: {found}"


def not_negative(target, w):
    """A penalty is finite and not negative for moderate weights."""
    got = float(float64(_function(target, "__call__")(_tensor(w))))
    assert 0 <= got < math.inf, f"must be finite and not negative. Received: {got}"


_FOR_BOTH = (pure, jit_equals_eager, config_survives)
CONSTRAINT_LAWS = (
    *(feasible, idempotent, shape_and_dtype, groups_independent),
    *(permuting_axes_commutes, finite, nan_stays_in_its_group, *_FOR_BOTH),
)
CONVEX_LAWS = (feasible_input_is_identical, nearest, non_expansive)
PENALTY_LAWS = (scalar, not_negative, *_FOR_BOTH)


class Check:
    """One law, as a function of a target: draws weights, and raises where the law is broken."""

    def __init__(self, law, max_examples=25):
        self.law, self.max_examples = law, max_examples
        self.__name__ = law.__name__

    def __call__(self, target):
        """Raise an AssertionError where the law does not hold for `target`."""
        weights = FINITE if self.law is finite else WEIGHTS
        settings = hypothesis.settings(
            max_examples=self.max_examples, deadline=None, derandomize=True, database=None
        )
        law = self.law

        @settings
        @hypothesis.given(weights)
        def holds(w):
            law(target, w)

        holds()

    def __repr__(self):
        return self.law.__name__


def checks(target, max_examples=25):
    """The checks for a constraint or a regularizer; more for a constraint that is `convex`.

    Raises:
        TypeError: If `target` is neither.
    """
    if isinstance(target, Constraint):
        laws = CONSTRAINT_LAWS + (CONVEX_LAWS if target.convex else ())
        return [Check(law, max_examples) for law in laws]
    if isinstance(target, keras.regularizers.Regularizer):
        return [Check(law, max_examples) for law in PENALTY_LAWS]
    raise TypeError(
        "The laws are for subclasses of keras_norms.constraints.Constraint, and for "
        f"regularizers. Received: {target!r}"
    )


def parametrize_with_checks(targets, max_examples=25):
    """A pytest decorator for `def test(target, check): check(target)`, as in scikit-learn.

    Args:
        targets: Constraints and regularizers: objects, not classes.
        max_examples: How many weights each check draws.
    """
    import pytest

    pairs = [(target, check) for target in targets for check in checks(target, max_examples)]
    ids = [f"{target!r}-{check!r}" for target, check in pairs]
    return pytest.mark.parametrize(("target", "check"), pairs, ids=ids)


def examples(package):
    """What every class that a package exports gives as its `examples()`.

    Raises:
        TypeError: If a class cannot be made without arguments and has no `examples` of its own.
    """
    members = [getattr(package, name) for name in package.__all__]
    classes = [m for m in members if inspect.isclass(m) and issubclass(m, Setting)]
    return [example for cls in classes for example in cls.examples()]


def run(name, console):
    """The exit code of the laws on `package:name`, an object or a class without arguments."""
    package, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(package), attribute)
        target = found() if inspect.isclass(found) else found
        todo = checks(target)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        console.print(f"Cannot check {name}: {error}", markup=False)
        return 2
    broken = 0
    for check in todo:
        try:
            check(target)
        except Exception as error:
            broken += 1
            reason = str(error).splitlines() or [type(error).__name__]
            console.print(f"FAILED {check!r}: {reason[0]}", markup=False)
        else:
            console.print(f"passed {check!r}")
    if isinstance(target, Constraint) and not target.convex:
        names = ", ".join(law.__name__ for law in CONVEX_LAWS)
        console.print(f"Not asked, because `convex` is False: {names}")
    console.print(f"{target!r}: {len(todo) - broken} of {len(todo)} laws hold", markup=False)
    return 1 if broken else 0
