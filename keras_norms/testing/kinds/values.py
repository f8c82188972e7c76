"""Cases about values: what a target returns, compiled or not, once or many times.

Each function is a kind of case. It takes a case and a harness and returns the measures.
"""

from keras import ops

from keras_norms.testing import backends
from keras_norms.testing.cases import input_array
from keras_norms.testing.harness import Measure, Mismatch, float64
from keras_norms.testing.scores import score


def forward(case, harness):
    """The target called on one tensor: a constraint on weights, a penalty on anything."""
    got = harness.target(case)(harness.tensor(case.inputs["w"], case.dtype))
    return [harness.compare("result", got, case.expected["result"])]


def gradient(case, harness):
    """The gradient of a penalty, or of the weighted sum of what a constraint returns."""
    target = harness.target(case)
    w = harness.tensor(case.inputs["w"], case.dtype)
    if "weights" in case.inputs:
        weights = harness.tensor(case.inputs["weights"], case.dtype)

        def weighted(x):
            result = target(x)
            if result.dtype != x.dtype:
                raise Mismatch(f"It must have {x.dtype}. Received: {result.dtype}")
            return ops.sum(weights * result)

        got = backends.gradient(weighted, w)
    else:
        got = backends.gradient(target, w)
    if got is None:
        raise Mismatch("There must be a gradient. Received: None")
    return [harness.compare("gradient", got, case.expected["result"])]


def jit(case, harness):
    """The target in a compiled function. One that cannot be compiled fails."""
    target = harness.target(case)
    w = harness.tensor(case.inputs["w"], case.dtype)
    try:
        got = backends.compiled(target, case.inputs["one_graph"])(w)
    except Exception as error:
        raise Mismatch(f"It must compile. Received: {type(error).__name__}") from error
    return [harness.compare("compiled", got, case.expected["result"])]


def idempotent(case, harness):
    """The target once and again, each against its golden value, and what the others moved."""
    target = harness.target(case)
    expected = case.expected["result"]
    once = again = target(harness.tensor(case.inputs["w"], case.dtype))
    for _ in range(case.inputs["times"]):
        again = target(again)
    pairs = float64(once)[..., None] * [1.0, 0.0]
    moved = score(float64(again), pairs, case.dtype, expected["scale"])
    return [
        harness.compare("first", once, expected),
        harness.compare("last", again, expected),
        Measure("moved", moved, float(case.expected["moves"])),
    ]


def traced(case, harness):
    """A target that is made inside a compiled function, and used again outside of it."""
    made = []

    def make(w):
        made.append(harness.target(case))
        return made[-1](w)

    w = harness.tensor(case.inputs["w"], case.dtype)
    inside = backends.compiled(make, one_graph=False)(w)
    try:
        outside = made[0](w)
        ops.convert_to_numpy(outside)
    except Exception as error:
        raise Mismatch(f"It must work outside too. Received: {type(error).__name__}") from error
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
            kernel_constraint=harness.target(case),
        )
        channels = kernel.shape[2]
        layer.build(
            (None, 8, 8, channels) if data_format == "channels_last" else (None, channels, 8, 8)
        )
        layer.kernel.assign(kernel)
        got = layer.kernel.constraint(layer.kernel)
        measures.append(harness.compare(data_format, got, case.expected["result"]))
    return measures


KINDS = {f.__name__: f for f in (forward, gradient, jit, idempotent, traced, conv_layout)}
