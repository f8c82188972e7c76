"""Which laws are asked of a target, and how: with weights that hypothesis draws."""

import inspect
import math
import re
from typing import Any

import hypothesis
import hypothesis.errors
import keras
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_norms.constraints import Constraint
from keras_norms.numerics.groups import axis_of, canonical_axes
from keras_norms.setting import Setting
from keras_norms.testing.laws.common import (
    acts,
    config_survives,
    half_precision,
    jit_equals_eager,
    loads,
    pure,
    right_gradient,
)
from keras_norms.testing.laws.constraints import (
    LARGEST,
    feasible,
    feasible_input_is_identical,
    finite,
    groups_independent,
    idempotent,
    nan_stays_in_its_group,
    nearest,
    non_expansive,
    permuting_axes_commutes,
    shape_and_dtype,
    small_weights_stay,
    step,
)
from keras_norms.testing.laws.penalties import not_negative, scalar
from keras_norms.testing.laws.plain import Plain

# Of these, the first four that a target takes: kernels of Dense and convolutions, and a bias.
SHAPES = [(3, 4), (2, 3, 2), (2, 2, 2, 3), (5,), (1, 3, 1), (2, 1, 1, 2, 3)]
_MOST_SHAPES = 4

# So many entries are drawn one by one. In larger weights, most are one number: hypothesis draws no
# more than some hundreds.
_MOST_DRAWN = 256
# Moderate weights, for promises about distances; and all that a float32 can be, for finiteness.
# A run of few examples draws the same each time, so that what fails is there again. Of a long one,
# as at night, each draws others.
_SAME_EACH_TIME = 100

_MODERATE = st.floats(-8, 8, width=32).map(lambda x: 0.0 if abs(x) < 1e-6 else x)
_ANY = st.floats(-LARGEST, LARGEST, width=32, allow_subnormal=False)

# `pure` comes first, and what compiles comes last: compiled code would leave its own tensors in
# an object that keeps state.
_FOR_BOTH = (half_precision, config_survives, loads, acts, right_gradient, jit_equals_eager)
CONSTRAINT_LAWS = (
    pure,
    feasible,
    idempotent,
    small_weights_stay,
    shape_and_dtype,
    groups_independent,
    permuting_axes_commutes,
    step,
    finite,
    nan_stays_in_its_group,
    *_FOR_BOTH,
)
CONVEX_LAWS = (feasible_input_is_identical, nearest, non_expansive)
PENALTY_LAWS = (pure, scalar, not_negative, *_FOR_BOTH)
# What a constraint of another kind may lack, and the laws that ask for it.
NEEDS: dict[str, tuple[Any, ...]] = {
    "axis": (groups_independent, nan_stays_in_its_group),
    "get_config": (config_survives, loads),
}


class Check:
    """One law, as a function of a target: draws weights, and raises where the law is broken."""

    def __init__(self, law, max_examples=25, shapes=None):
        self.law, self.max_examples, self.shapes = law, max_examples, shapes
        self.__name__ = law.__name__

    def __call__(self, target):
        """Raise an AssertionError where the law does not hold for `target`."""
        entries = _ANY if self.law is finite else _MODERATE
        # A gradient is right or not, whatever the weights, and gradients of eager code are slow.
        count = min(5, self.max_examples) if self.law is right_gradient else self.max_examples
        settings = hypothesis.settings(
            max_examples=count,
            deadline=None,
            derandomize=self.max_examples <= _SAME_EACH_TIME,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=tuple(hypothesis.HealthCheck),  # which say nothing of the target
        )
        law, asked, broken = self.law, constraint_or_penalty(target), []
        # A compiler takes seconds for each shape.
        most = 2 if self.law is jit_equals_eager else _MOST_SHAPES
        shapes = self.shapes or shapes_for(target)[:most]
        is_large = max(map(math.prod, shapes)) > _MOST_DRAWN
        weights = hnp.arrays(
            "float32",
            st.sampled_from(shapes),
            elements=entries,
            fill=entries if is_large else None,
        )

        if law is acts and len(shapes) > 1:
            self._act_on_some(target, [shape for shape in shapes if 1 not in shape])
            return

        @settings
        @hypothesis.given(weights)
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

    def _act_on_some(self, target, shapes):
        """Raise if a target acts on weights of none of the shapes: it may leave biases alone."""
        failed = []
        for shape in shapes:
            try:
                return Check(self.law, self.max_examples, [shape])(target)
            except AssertionError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def __repr__(self):
        return self.law.__name__


def shapes_for(target):
    """The shapes of weights that hypothesis may draw for a target.

    Raises:
        ValueError: If it takes none of those that the laws have.
    """
    found = _fitting(target)
    if not found:
        reason = _why_not(target, SHAPES[0])
        raise ValueError(
            f"The laws need shapes for {name_of(target)}, by `shapes` or by `--shape`: {reason}"
        )
    return found


def _fitting(target):
    """Those of `SHAPES` that a target takes."""
    return [shape for shape in SHAPES if not _why_not(target, shape)]


def _why_not(target, shape):
    """Why a target does not take weights of a shape, which may lack an axis; None if it does."""
    try:
        if isinstance(target, Setting):
            target.axes_for(np.empty(shape, "float32"))
        else:
            canonical_axes(axis_of("axis", getattr(target, "axis", None)), len(shape))
    except ValueError as error:
        return str(error)
    return None


def constraint_or_penalty(target):
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


def check_is_map(target, shape):
    """Refuse a function that does not return weights for weights, as one that makes a constraint.

    Raises:
        TypeError: If it returns something else.
    """
    if isinstance(target, keras.constraints.Constraint | keras.regularizers.Regularizer):
        return
    try:
        result = target(keras.ops.ones(shape))
    except (Exception, SystemExit):  # what becomes of it in a law is clearer
        return
    if not hasattr(result, "dtype"):
        raise TypeError(
            "A function must map weights to weights; give the object that it makes. "
            f"Received: {name_of(target)}, which returns {type(result).__name__}"
        )


def left_out(target, shapes=None):
    """The laws that are not asked of a target, by the reason. `shapes` is as for `checks`."""
    asked = constraint_or_penalty(target)
    found: dict[str, tuple[Any, ...]] = {}
    drawn = shapes or _fitting(target)[:_MOST_SHAPES]
    if drawn and all(1 in shape for shape in drawn):  # a group of one entry may have one place
        found["all its shapes have an axis of length 1"] = (acts,)
    if type(target).__module__.startswith("keras_norms."):  # `FixedMask(True)` does nothing
        found["it is one of keras_norms"] = (acts,)
    if isinstance(asked, Constraint):
        if not asked.convex:
            found["`convex` is False"] = CONVEX_LAWS
        if not asked.has_groups:
            found["it has no groups, so it may look at places"] = (permuting_axes_commutes,)
        elif any(_why_not(target, shape[::-1]) for shape in drawn):
            found["it takes no weights with axes in another order"] = (permuting_axes_commutes,)
        if len(asked.members) > 1 and asked.step_rate < 1:
            found["each of its members goes a part of the way"] = (step,)
        if asked.has_coupled_groups:
            found["its groups are coupled"] = (groups_independent, nan_stays_in_its_group)
        return found
    if not isinstance(asked, Plain):
        return found
    found |= {f"it has no `{n}`": laws for n, laws in NEEDS.items() if not hasattr(target, n)}
    found["it is no constraint of keras_norms"] = (
        feasible,
        permuting_axes_commutes,
        step,
        feasible_input_is_identical,
    )
    if not getattr(target, "convex", False) or not hasattr(target, "axis"):
        found["it does not say `convex = True`, with an `axis`"] = (nearest, non_expansive)
    if isinstance(getattr(target, "rate", None), float) and target.rate < 1:  # as in MinMaxNorm
        found["its `rate` is below 1"] = (idempotent, small_weights_stay)
    return found


def checks(target, max_examples=25, shapes=None):
    """The checks for a constraint, a regularizer or a function of weights, without `left_out`.

    Args:
        target: What the laws are asked of.
        max_examples: How many weights each check draws.
        shapes: The shapes of these weights, a list of tuples; by default, up to four
            that it takes.

    Raises:
        TypeError: If `target` is none of these.
        ValueError: If it takes no weights of one of the shapes.
    """
    for shape in shapes or ():
        reason = _why_not(target, shape)
        if reason:
            raise ValueError(f"{name_of(target)} takes no weights of shape {shape}: {reason}")
    is_penalty = isinstance(target, keras.regularizers.Regularizer)
    laws = PENALTY_LAWS if is_penalty else CONSTRAINT_LAWS + CONVEX_LAWS
    without = {law for laws in left_out(target, shapes).values() for law in laws}
    return [Check(law, max_examples, shapes) for law in laws if law not in without]


def parametrize_with_checks(targets, max_examples=25, shapes=None):
    """A pytest decorator for `def test(target, check): check(target)`, as in scikit-learn.

    Args:
        targets: Constraints and regularizers, which are objects and not classes, and functions.
        max_examples: How many weights each check draws.
        shapes: The shapes of these weights, as for `checks`.

    Raises:
        ValueError: If there are no targets, so that no test would run.
    """
    import pytest

    targets = list(targets)
    if not targets:
        raise ValueError("`targets` must hold at least one. Received: targets=[]")
    every = [(target, checks(target, max_examples, shapes)) for target in targets]
    pairs = [(target, check) for target, some in every for check in some]
    ids = [f"{name_of(target)}-{check!r}" for target, check in pairs]
    return pytest.mark.parametrize(("target", "check"), pairs, ids=ids)


def name_of(target):
    """A name that is the same in every run: the repr of an object may show its address."""
    if type(target).__repr__ is object.__repr__:
        return type(target).__name__
    return getattr(target, "__name__", re.sub(r" at 0x[0-9a-f]+", "", repr(target)))


def examples(package):
    """What every class that a package exports gives as its `examples()`.

    Raises:
        TypeError: If a class cannot be made without arguments and has no `examples` of its own.
    """
    members = [getattr(package, name) for name in package.__all__]
    classes = [m for m in members if inspect.isclass(m) and issubclass(m, Setting)]
    return [example for cls in classes for example in cls.examples()]
