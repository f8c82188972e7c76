"""Cases about values: what a target returns, compiled or not, once or many times.

Each function is a kind of case. It takes a case and a harness and returns the measures.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_norms.testing import backends, severity
from keras_norms.testing.cases import exact_array, input_array
from keras_norms.testing.harness import Measure, Mismatch, NotApplicable, float64
from keras_norms.testing.scores import error_in_ulp, relative_error, score


def forward(case, harness):
    """The target called on one tensor: a constraint on weights, a penalty on anything."""
    got = harness.apply(harness.make(case), harness.tensor(case.inputs["w"], case.dtype))
    return [harness.compare("result", got, case.expected["result"])]


def projection(case, harness):
    """`project` of the target, which goes all of the way."""
    project = _method(harness, harness.make(case), "project")
    got = harness.apply(project, harness.tensor(case.inputs["w"], case.dtype))
    return [harness.compare("projection", got, case.expected["result"])]


def excess(case, harness):
    """How far each group is from the set."""
    distance = _method(harness, harness.make(case), "excess")
    got = harness.apply(distance, harness.tensor(case.inputs["w"], case.dtype))
    return [harness.compare("excess", got, case.expected["result"])]


def spectrum(case, harness):
    """The singular values of what the target returns, by NumPy in float64: groups are the rows.

    How far the worst of them is outside of its limits counts in ulp of the limit in float32,
    whatever dtype the weights have.
    """
    target = harness.make(case)
    got = float64(target(harness.tensor(case.inputs["w"], case.dtype)))
    inside = _method(harness, target, "group_axes")(got.ndim)
    outside = [a for a in range(got.ndim) if a not in inside]
    rows = got.transpose([*outside, *inside])
    rows = rows.reshape(int(np.prod(rows.shape[: len(outside)])), -1)
    if not np.isfinite(rows).all():
        raise Mismatch(f"Weights must be finite. Received: {rows}")
    values = np.linalg.svd(rows, compute_uv=False)
    least, most, within = (case.expected[name] for name in ("least", "most", "within"))
    excess = float(max(values.max() - most, least - values.min(), 0.0)) / most
    return [Measure("singular value", excess * 2.0**23, within * 2.0**23, excess)]


def _method(harness, target, name):
    """A method that only what is partial may lack, as Keras' own classes do."""
    if harness.partial and not hasattr(target, name):
        raise NotApplicable(f"there is no `{name}`")
    return getattr(target, name)


def gradient(case, harness):
    """The gradient of a penalty, or of the weighted sum of what a constraint returns."""
    target = harness.make(case)
    function, others = target, []
    if "weights" in case.inputs:
        weights = harness.tensor(case.inputs["weights"], case.dtype)

        def function(x):
            result = target(x)
            if result.dtype != x.dtype:
                others.append(result.dtype)
            return ops.sum(weights * ops.cast(result, case.dtype))

    got = backends.gradient(function, harness.tensor(case.inputs["w"], case.dtype))
    if got is None:
        raise Mismatch("There must be a gradient. Received: None")
    measure = harness.compare("gradient", got, case.expected["result"])
    if others:
        dtype = keras.backend.standardize_dtype(others[0])
        grade = severity.of_measures([measure]) or severity.of_dtype(dtype, case.dtype)
        text = f"What a constraint returns must have {case.dtype}. Received: {dtype}"
        raise Mismatch(text, grade, [measure])
    if not measure.score <= measure.budget and _only_at_kinks(case, function, got, measure.budget):
        measure = dataclasses.replace(measure, kink=True)
    return [measure]


def _only_at_kinks(case, function, got, budget):
    """Whether a gradient differs only at zeros of the input, and is a slope of the function there.

    The function has a kink where its gradients on the two sides of a zero differ; every value
    between them is a slope of it.
    """
    expected = case.expected["result"]
    exact = exact_array(expected)
    got = float64(got)
    off = error_in_ulp(got, exact, expected["dtype"], expected["scale"]) > budget
    w = input_array(case.inputs["w"])
    if np.any(w[off] != 0):
        return False
    sides = []
    for side in (2.0**-10, -(2.0**-10)):
        moved = ops.cast(ops.convert_to_tensor(np.where(w == 0, side, w)), case.dtype)
        sides.append(float64(backends.gradient(function, moved))[off])
    least, largest = np.minimum(*sides), np.maximum(*sides)
    return bool(np.all((least < largest) & (least <= got[off]) & (got[off] <= largest)))


def jit(case, harness):
    """The target in a function compiled in every way; it fails if it cannot be compiled."""
    target = harness.make(case)
    w = harness.tensor(case.inputs["w"], case.dtype)
    measures = []
    for way, arguments in backends.compilers().items():
        try:
            got = backends.compiled(target, case.inputs["one_graph"], **arguments)(w)
        except Exception as error:
            text = f"It must compile. Received: {type(error).__name__}"
            raise Mismatch(text, exception=error) from error
        measures.append(harness.compare(way, got, case.expected["result"]))
    return measures


def idempotent(case, harness):
    """The target once and again, each against its golden value, and how far the last moved."""
    target = harness.make(case)
    expected = case.expected["result"]
    once = target(harness.tensor(case.inputs["w"], case.dtype))
    again = target(once)
    # What depends on its argument alone, and has not moved it, will not move it the next time.
    if not np.array_equal(float64(once), float64(again)):
        for _ in range(case.inputs["times"] - 1):
            again = target(again)
    pairs = float64(once)[..., None] * [1.0, 0.0]
    moved = (float64(again), pairs, case.dtype, expected["scale"])
    return [
        harness.compare("first", once, expected),
        harness.compare("last", again, expected),
        Measure(
            "moved",
            score(*moved),
            float(case.expected["moves"]),
            relative_error(*moved),
            dtype=case.dtype,
        ),
    ]


def traced(case, harness):
    """A target that is made inside a compiled function, and then used outside of it."""
    made = []

    def make(w):
        made.append(harness.make(case))
        return made[-1](w)

    w = harness.tensor(case.inputs["w"], case.dtype)
    inside = backends.compiled(make, one_graph=False)(w)
    try:
        outside = made[0](w)
        ops.convert_to_numpy(outside)
    except Exception as error:
        text = f"It must work outside too. Received: {type(error).__name__}"
        raise Mismatch(text, exception=error) from error
    expected = case.expected["result"]
    return [
        harness.compare("inside", inside, expected),
        harness.compare("outside", outside, expected),
    ]


def conv_layout(case, harness):
    """A Conv2D kernel under either data_format: one shape, and the constraint set on it."""
    measures = []
    kernel = input_array(case.inputs["w"])
    for data_format in ("channels_last", "channels_first"):
        layer = harness.classes["Conv2D"](
            kernel.shape[-1],
            kernel.shape[:2],
            data_format=data_format,
            kernel_constraint=harness.make(case),
        )
        channels = kernel.shape[2]
        layer.build(
            (None, 8, 8, channels) if data_format == "channels_last" else (None, channels, 8, 8)
        )
        layer.kernel.assign(kernel)
        got = layer.kernel.constraint(layer.kernel)
        measures.append(harness.compare(data_format, got, case.expected["result"]))
    return measures


KINDS = {
    f.__name__: f
    for f in (
        forward,
        projection,
        excess,
        spectrum,
        gradient,
        jit,
        idempotent,
        traced,
        conv_layout,
    )
}
