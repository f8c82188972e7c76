"""Laws of constraints and penalties alike."""

import copy
import dataclasses
import itertools
import json
import warnings

import keras
import numpy as np
from keras import ops

from keras_norms.config import Configured, arguments_of
from keras_norms.constraints import Constraint
from keras_norms.testing.backends import compiled, gradient
from keras_norms.testing.harness import float64
from keras_norms.testing.laws.measures import (
    allowed_gap,
    first_line,
    function_of,
    gap_between,
    slack,
    tensor,
)
from keras_norms.testing.laws.plain import Plain

if not __debug__:  # every law would hold
    raise RuntimeError("The laws are assertions: run Python without -O and PYTHONOPTIMIZE")

HALF_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def pure(target, w):
    """The argument is not changed, and calls with other weights in between change nothing."""
    given = tensor(w)
    one = float64(target(given))
    target(tensor(2 * w + 1))
    # Twice, because state may be another with each second call.
    for two in (float64(target(given)), float64(target(given))):
        assert np.array_equal(one, two), (
            "a call must not depend on the calls before. Received: "
            f"{np.abs(one - two).max()} apart for the same weights"
        )
    variable = keras.Variable(w, dtype="float32")  # which is what Keras passes in training
    three = float64(target(variable))
    for argument in (given, variable.value):
        assert np.array_equal(float64(argument), w), "the argument must not change"
    assert np.array_equal(one, three), (
        "a `keras.Variable` must give what its value gives. Received: "
        f"{np.abs(one - three).max()} apart"
    )


def half_precision(target, w):
    """Weights in float16 and bfloat16 give what they give in float32, rounded."""
    # The squares of 512 overflow float16, and so does a sum of some 32768. A constraint may scale
    # by a number of that dtype, which loses digits where weights are so large.
    scales = (2.0**6,) if isinstance(target, Constraint | Plain) else (2.0**6, 2.0**12)
    for (dtype, eps), scale in itertools.product(HALF_EPS.items(), scales):
        given = ops.cast(tensor(w * np.float32(scale)), dtype)
        call = function_of(target, "__call__")
        half, full = float64(call(given)), float64(call(ops.cast(given, "float32")))
        largest = np.abs(full).max(initial=0)
        if largest > 65504:  # what float16 cannot hold
            continue
        gap = np.abs(half - full).max(initial=0)
        if isinstance(target, Constraint):
            gap = gap_between(target, float64(given), half, full)
        allowed = eps * largest + allowed_gap(target, float64(given), full)
        assert gap <= allowed, (
            f"{dtype} must give what float32 gives, to its last place: sums need float32. "
            f"Received: {gap:.3g} apart"
        )


def config_survives(target, w):
    """The config goes through JSON and gives an equal object."""
    given = target.given if isinstance(target, Plain) else target
    for one in (given, *_moved(given, w)):
        _check_config(one, w)


def _moved(given, w):
    """The target with several axes, which JSON holds as a list; none if it cannot have them."""
    if w.ndim < 2:
        return []
    try:
        return [given.along((0, 1))] if getattr(given, "has_groups", False) else []
    except (TypeError, ValueError):
        return []


def _check_config(given, w):
    config = json.loads(json.dumps(given.get_config()))
    # `Configured` makes the config of its fields, and a class may have a reader of its own.
    reader = getattr(type(given).from_config, "__func__", None)
    is_made_of_fields = isinstance(given, Configured) and dataclasses.is_dataclass(given)
    if not is_made_of_fields and getattr(reader, "__module__", "").startswith("keras."):
        lost = [name for name in arguments_of(type(given)) if name not in config]
        assert not lost, (
            f"the config must hold each argument of `__init__`. Received: no {', '.join(lost)}"
        )
    restored = type(given).from_config(copy.deepcopy(config))  # which may take parts out of it
    if type(given).__eq__ is not object.__eq__:
        assert restored == given, f"must be {given!r}. Received: {restored!r}"
    else:  # objects of Keras' classes equal none but themselves
        again = json.loads(json.dumps(restored.get_config()))
        assert again == config, f"the config must be {config}. Received: {again}"
    # Equality may compare the configs, which both lack what one of them lacks.
    one, two = float64(given(tensor(w))), float64(restored(tensor(w)))
    assert np.array_equal(one, two), (
        f"an object made from the config {config} must do the same. Received: "
        f"{np.abs(one - two).max()} apart"
    )


def loads(target, w):
    """A model that is saved with it can be loaded, so its class is registered."""
    given = target.given if isinstance(target, Plain) else target
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(given)))
    try:
        restored = keras.saving.deserialize_keras_object(saved)
    except Exception as error:
        raise AssertionError(
            "`load_model` must find the class; decorate it with "
            f"`keras.saving.register_keras_serializable(...)`. Received: {type(error).__name__}"
        ) from error
    assert type(restored) is type(given), f"must be {given!r}. Received: {restored!r}"


# Up to the largest that have squares in float32: a bound may be large.
_SCALES = (2.0**-10, 2.0**10, -(2.0**10), 2.0**40, -(2.0**40))


def acts(target, w):
    """It changes some weights, or penalises some: what does nothing holds every other law."""
    if 1 in w.shape:  # a group of one entry may have one place to go
        return
    slope = np.linspace(-1, 1, w.size, dtype="float32").reshape(w.shape) + np.float32(0.125)
    given = [np.float32(scale) * (w + slope) for scale in _SCALES]
    found = [np.asarray(float64(target(tensor(each)))) for each in given]
    if not isinstance(target, Constraint | Plain):
        assert any(np.any(each != 0) for each in found), "must not be 0 for all weights"
        return
    assert not all(map(np.array_equal, found, given)), "must change some weights. Received: none"
    assert not all(np.array_equal(each, found[0]) for each in found), (
        f"must depend on the weights. Received: {found[0]} for all"
    )


def right_gradient(target, w):
    """The gradient is that of the function: what NumPy or Python computes has none."""
    w = np.where(w == 0, np.float32(0.375), w)  # at zero a norm has no gradient
    # Where the function has a kink, one of these is away from it.
    found = [_slopes(target, w * _ramp(w, scale)) for scale in (1.0, 0.9, 1.1)]
    assert any(abs(one - two) <= allowed for one, two, allowed in found), (
        "the gradient must be that of the function, and has none of what NumPy computes. "
        f"Received: a slope of {found[0][0]:.3g}, but differences of {found[0][1]:.3g}"
    )
    if not isinstance(target, Constraint | Plain):  # Keras follows the gradient of no other
        at_zero = gradient(target, tensor(np.zeros_like(w)))
        assert at_zero is None or np.isfinite(float64(at_zero)).all(), (
            "the gradient at zero, where biases start and pruned weights are, must be finite. "
            f"Received: {float64(at_zero).flat[0]}"
        )


def _ramp(w, middle):
    """A factor for each entry, no two of which are the same: what is equal is then told apart."""
    factors = middle + np.linspace(-0.25, 0.25, w.size, dtype="float32")
    return np.float32(factors).reshape(w.shape)


def _slopes(target, w):
    """How fast a result grows as each weight grows at a pace of its own.

    Two slopes are compared, by gradient and by differences. If all weights grew alike, what
    depends on their direction only, such as a cosine, would have no slope at all.

    Returns:
        The two slopes, and how far they may be apart: a twentieth of the larger, which a step that
        is not small may cost, and the rounding of the results, which the step magnifies.
    """
    direction = w * _ramp(w, 0.75)[..., ::-1]
    weights = tensor(_ramp(w, 1.0))

    def value(x):
        got = target(x)
        return ops.sum(got * weights) if isinstance(target, Constraint | Plain) else got

    try:
        slope = gradient(value, tensor(w))
    except Exception as error:
        raise AssertionError(f"must have a gradient. Received: {first_line(error)}") from error
    # None is TensorFlow's zero.
    slope = 0.0 if slope is None else float((float64(slope) * direction).sum())
    step = 2.0**-7
    moved = [np.float32(w + s * direction) for s in (step, -step)]
    up, down = (float(float64(value(tensor(each)))) for each in moved)
    differences = (up - down) / (2 * step)
    return slope, differences, 0.05 * max(abs(slope), abs(differences)) + 1e-3 * abs(up)


def jit_equals_eager(target, w):
    """A compiled function gives what eager code gives, but for rounding."""
    one = np.asarray(float64(target(tensor(w))))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchDynamo has some about Keras' own code
            two = np.asarray(float64(function_of(target, "__call__", _as_graphs)(tensor(w))))
    except Exception as error:
        raise AssertionError(
            f"must run where it is compiled. Received: {first_line(error)}"
        ) from error
    if isinstance(target, Constraint | Plain):
        gap, allowed = gap_between(target, w, one, two), allowed_gap(target, w, w, one)
    else:  # a penalty sums squares: its size is that of the largest of them
        gap = abs(one - two)
        allowed = slack(w, one) * max(1.0, float(np.abs(w).max(initial=0)))
    assert gap <= allowed, f"compiled and eager must agree. Received: {gap}"


def _as_graphs(function):
    return compiled(function, one_graph=False)
