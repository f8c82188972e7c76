"""Laws: what must hold for every constraint and every penalty, whatever it computes.

    from keras_norms.testing.laws import parametrize_with_checks

    @parametrize_with_checks([MyConstraint(2.0)])
    def test_mine(target, check):
        check(target)

A check draws weights with hypothesis and raises an AssertionError that says what was promised and
what was found. `keras-norms laws package:name` runs the same checks. Tolerances are those of the
design: `(4 + log2(n)) * eps * size` for groups of n entries, and what a constraint says of its
`inexactness`.

Targets are constraints and penalties of ours; those that derive from Keras' own base classes; and
functions of weights, which are taken for constraints. A law that needs what a target does not have
is not asked of it, and `left_out` says which and why.
"""

import importlib
import inspect
import json
import math
import os
import sys
import warnings
from typing import Any

import hypothesis
import hypothesis.errors
import keras
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_norms.constraints import Constraint
from keras_norms.setting import Setting
from keras_norms.testing.backends import compiled, gradient, repeated
from keras_norms.testing.harness import float64
from keras_norms.testing.plain import Plain

EPS = 2.0**-23
SHAPES = [(3, 4), (2, 3, 2), (2, 1, 2, 3), (2, 1, 1, 2, 3)]
HALF_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}

# Moderate weights, for promises about distances; and all that a float32 can be, for finiteness.
_MODERATE = st.floats(-8, 8, width=32).map(lambda x: 0.0 if abs(x) < 1e-6 else x)
_ANY = st.floats(-(2.0**127), 2.0**127, width=32, allow_subnormal=False)


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
    if not isinstance(target, Constraint) or target.convex or gap <= _allowed(target, w, one):
        return gap
    return abs(np.linalg.norm(w - one) - np.linalg.norm(w - two))


_FUNCTIONS: dict[Any, Any] = {}


def _function(target, name, maker=repeated):
    """A method of the target, made fast once per target and not once per example."""
    if isinstance(target, Plain) and maker is repeated:
        # Others' code need not compile: then one law says so, and not all of them.
        return getattr(target, name)
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
        f"a second call must not move weights. Received: {moved}"
    )


def small_weights_stay(target, w):
    """A second projection moves no small weights either, as an epsilon beside a norm would."""
    once = _project(target, w * np.float32(2.0**-20)).astype("float32")
    moved = np.abs(_project(target, once) - once).max(initial=0)
    size = float(np.linalg.norm(once.astype("float64")))
    allowed = ((4 + math.log2(w.size)) * EPS + getattr(target, "inexactness", 0.0)) * size
    assert moved <= allowed, (
        "a second call must not move small weights, as an epsilon beside their norm does. "
        f"Received: {moved:.3g} for weights of norm {size:.3g}"
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


def half_precision(target, w):
    """Weights in float16 and bfloat16 give what they give in float32, rounded."""
    for dtype, eps in HALF_EPS.items():
        given = ops.cast(_tensor(w * np.float32(64)), dtype)  # 512**2 overflows float16
        call = _function(target, "__call__")
        half, full = float64(call(given)), float64(call(ops.cast(given, "float32")))
        largest = np.abs(full).max(initial=0)
        if largest > 65504:  # what float16 cannot hold
            continue
        gap = np.abs(half - full).max(initial=0)
        if isinstance(target, Constraint):
            gap = _same_or_as_near(target, float64(given), half, full)
        allowed = eps * largest + _allowed(target, float64(given), full)
        assert gap <= allowed, (
            f"{dtype} must give what float32 gives, to its last place: sums of squares need "
            f"float32. Received: {gap:.3g} apart"
        )


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
    assert gap <= _allowed(target, w, one), (
        f"what is outside of a group along axis {axes} must not change it. Received: {gap}"
    )


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchDynamo has some about Keras' own code
            two = np.asarray(float64(_function(target, "__call__", _as_graphs)(_tensor(w))))
    except Exception as error:
        raise AssertionError(
            f"must run where it is compiled. Received: {_first_line(error)}"
        ) from error
    if isinstance(target, Constraint | Plain):
        gap, allowed = _same_or_as_near(target, w, one, two), _allowed(target, w, w, one)
    else:  # a penalty sums squares: its size is that of the largest of them
        gap = abs(one - two)
        allowed = _slack(w, one) * max(1.0, float(np.abs(w).max(initial=0)))
    assert gap <= allowed, f"compiled and eager must agree. Received: {gap}"


def _as_graphs(function):
    return compiled(function, one_graph=False)


def _first_line(error):
    """The kind of an error, and the first line of what it says."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def pure(target, w):
    """The argument is not changed, and calls with other weights in between change nothing."""
    given = _tensor(w)
    one = float64(target(given))
    target(_tensor(2 * w + 1))
    two = float64(target(given))
    assert np.array_equal(float64(given), w), "the argument must not change"
    assert np.array_equal(one, two), (
        "a call must not depend on the calls before. Received: "
        f"{np.abs(one - two).max()} apart for the same weights"
    )


def right_gradient(target, w):
    """The gradient is that of the function: what NumPy or Python computes has none."""
    w = np.where(w == 0, np.float32(0.375), w)  # at zero a norm has no gradient
    # Where the function has a kink, one of these is away from it.
    found = [_slopes(target, w * np.float32(scale)) for scale in (1.0, 0.9, 1.1)]
    assert any(abs(one - two) <= 0.05 * size for one, two, size in found), (
        "the gradient must be that of the function, and has none of what NumPy computes. "
        f"Received: a slope of {found[0][0]:.3g}, but differences of {found[0][1]:.3g}"
    )


def _slopes(target, w):
    """How fast a result grows with the scale of the weights, by gradient and by differences.

    Returns:
        The two slopes, and a size to compare their difference with.
    """
    direction = _tensor(w)

    def value(x):
        got = target(x)
        return ops.sum(got * direction) if isinstance(target, Constraint | Plain) else got

    try:
        slope = gradient(value, _tensor(w))
    except Exception as error:
        raise AssertionError(f"must have a gradient. Received: {_first_line(error)}") from error
    slope = 0.0 if slope is None else float((float64(slope) * w).sum())  # TensorFlow's zero
    step = 2.0**-7
    up, down = (float(float64(value(_tensor(w * np.float32(1 + s))))) for s in (step, -step))
    differences = (up - down) / (2 * step)
    return slope, differences, abs(up) + abs(slope) + abs(differences)


def config_survives(target, w):
    """The config goes through JSON and gives an equal object."""
    given = target.given if isinstance(target, Plain) else target
    config = json.loads(json.dumps(given.get_config()))
    restored = type(given).from_config(config)
    if type(given).__eq__ is not object.__eq__:
        assert restored == given, f"must be {given!r}. Received: {restored!r}"
        return
    # Objects of Keras' classes equal none but themselves: what they do is compared.
    again = restored.get_config()
    assert again == config, f"the config must be {config}. Received: {again}"
    one, two = float64(given(_tensor(w))), float64(restored(_tensor(w)))
    assert np.array_equal(one, two), (
        f"an object made from the config {config} must do the same. Received: "
        f"{np.abs(one - two).max()} apart"
    )


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


# `pure` comes first, and what compiles comes last: compiled code would leave its own tensors in
# an object that keeps state.
_FOR_BOTH = (half_precision, config_survives, right_gradient, jit_equals_eager)
CONSTRAINT_LAWS = (
    *(pure, feasible, idempotent, small_weights_stay, shape_and_dtype, groups_independent),
    *(permuting_axes_commutes, finite, nan_stays_in_its_group, *_FOR_BOTH),
)
CONVEX_LAWS = (feasible_input_is_identical, nearest, non_expansive)
PENALTY_LAWS = (pure, scalar, not_negative, *_FOR_BOTH)
# What a constraint of another kind may lack, and the laws that ask for it.
NEEDS = {
    "project": (feasible, *CONVEX_LAWS),
    "along": (permuting_axes_commutes,),
    "axis": (groups_independent, nan_stays_in_its_group),
    "get_config": (config_survives,),
}


class Check:
    """One law, as a function of a target: draws weights, and raises where the law is broken."""

    def __init__(self, law, max_examples=25):
        self.law, self.max_examples = law, max_examples
        self.__name__ = law.__name__

    def __call__(self, target):
        """Raise an AssertionError where the law does not hold for `target`."""
        entries = _ANY if self.law is finite else _MODERATE
        # A gradient is right or not, whatever the weights, and gradients of eager code are slow.
        count = min(5, self.max_examples) if self.law is right_gradient else self.max_examples
        settings = hypothesis.settings(
            max_examples=count,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
        )
        law, asked, broken = self.law, _asked(target), []

        @settings
        @hypothesis.given(hnp.arrays("float32", st.sampled_from(_shapes(target)), elements=entries))
        def holds(w):
            try:
                law(asked, w)
            except Exception as error:
                broken.append(error)
                raise

        try:
            holds()
        except hypothesis.errors.Flaky:  # it keeps state, and what it did once it did not do again
            raise broken[0] from None

    def __repr__(self):
        return self.law.__name__


def _shapes(target):
    """Shapes of weights that have all the axes that a target names."""
    axis = getattr(target, "axis", None)
    axes = [axis] if isinstance(axis, int) else axis or ()
    ranks = max((a + 1 if a >= 0 else -a for a in axes), default=0)
    return [shape for shape in SHAPES if len(shape) >= ranks][:2]


def _asked(target):
    """What the laws are asked of: the target, or what makes a constraint of a map.

    Raises:
        TypeError: If `target` is neither a constraint nor a regularizer nor a function.
    """
    if isinstance(target, Constraint | keras.regularizers.Regularizer):
        return target
    if callable(target) and not inspect.isclass(target):
        return Plain(target)
    raise TypeError(
        "The laws are for constraints, regularizers, and functions that map weights to weights. "
        f"Received: {target!r}"
    )


def left_out(target):
    """The laws that are not asked of a target, by the reason."""
    asked = _asked(target)
    if isinstance(asked, Constraint):
        return {} if asked.convex else {"`convex` is False": CONVEX_LAWS}
    if not isinstance(asked, Plain):
        return {}
    found = {f"it has no `{n}`": laws for n, laws in NEEDS.items() if not hasattr(target, n)}
    if getattr(target, "rate", 1) < 1:  # a part of the way, as in MinMaxNorm
        found["its `rate` is below 1"] = (idempotent, small_weights_stay)
    return found


def checks(target, max_examples=25):
    """The checks for a constraint, a regularizer or a function of weights, without `left_out`.

    Raises:
        TypeError: If `target` is none of these.
    """
    is_penalty = isinstance(target, keras.regularizers.Regularizer)
    laws = PENALTY_LAWS if is_penalty else CONSTRAINT_LAWS + CONVEX_LAWS
    without = {law for laws in left_out(target).values() for law in laws}
    return [Check(law, max_examples) for law in laws if law not in without]


def parametrize_with_checks(targets, max_examples=25):
    """A pytest decorator for `def test(target, check): check(target)`, as in scikit-learn.

    Args:
        targets: Constraints and regularizers, which are objects and not classes, and functions.
        max_examples: How many weights each check draws.
    """
    import pytest

    pairs = [(target, check) for target in targets for check in checks(target, max_examples)]
    ids = [f"{_name(target)}-{check!r}" for target, check in pairs]
    return pytest.mark.parametrize(("target", "check"), pairs, ids=ids)


def _name(target):
    """A name that is the same in every run: an object of Keras' kind shows its address."""
    if type(target).__repr__ is object.__repr__:
        return type(target).__name__
    return getattr(target, "__name__", repr(target))  # a function has one


def examples(package):
    """What every class that a package exports gives as its `examples()`.

    Raises:
        TypeError: If a class cannot be made without arguments and has no `examples` of its own.
    """
    members = [getattr(package, name) for name in package.__all__]
    classes = [m for m in members if inspect.isclass(m) and issubclass(m, Setting)]
    return [example for cls in classes for example in cls.examples()]


def run(name, console, words=""):
    """The exit code of the laws on `package:name`: an object, a function, or a class.

    A class is made without arguments.

    Args:
        name: Where the target is.
        console: Where each verdict is printed.
        words: What the name of a law must contain, to be asked.
    """
    package, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(package), attribute)
        target = found() if inspect.isclass(found) else found
        todo = [check for check in checks(target) if words in repr(check)]
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        console.print(f"Cannot check {name}: {error}", markup=False)
        return 2
    if not todo:
        console.print(f"No law for {_name(target)} has {words!r} in its name.", markup=False)
        return 5
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
    for reason, laws in left_out(target).items():
        names = ", ".join(law.__name__ for law in laws)
        console.print(f"Not asked, because {reason}: {names}", markup=False)
    console.print(f"{_name(target)}: {len(todo) - broken} of {len(todo)} laws hold", markup=False)
    return 1 if broken else 0
