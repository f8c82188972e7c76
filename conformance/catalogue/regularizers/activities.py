"""The cases of the penalties on activations, which are the output of a layer."""

import functools

from mpmath import mpf

from conformance.catalogue.build import Subject, exactly, given, member
from conformance.catalogue.inputs import equal, of, whole
from conformance.catalogue.regularizers.norms import L1, L2
from conformance.oracles import layers
from conformance.oracles.exact import Tensor
from conformance.oracles.regularizers import activities

BATCH_MEAN = Subject("batch_mean", "BatchMean", activities.batch_mean, penalty=True)

LEGACY = "legacy activity bug: the penalty is on the layer's output, not on its input"
SMALL_WEIGHTS = "small weights, large outputs: only the activity penalty is large"

REQUIREMENTS = {
    "KN-ACTIVITY-001": (
        "legacy activity bug: the penalty is on a layer's output, *not* on its input; it is "
        "divided by the batch size where this version of Keras does so",
        "Keras before 2.1.4; Keras 3.14",
    ),
    "KN-ACTIVITY-002": (
        "with small weights and large outputs the kernel penalty is small, and the activity "
        "penalty is not",
        "definitions",
    ),
    "KN-ACTIVITY-003": (
        "0.25 + 5 = 5.25",
        "the documentation of `keras.regularizers.Regularizer`",
    ),
    "KN-ACTIVITY-004": (
        "BatchMean divides by the batch size once, under every Keras",
        "its definition",
    ),
}


def case_files():
    yield L2.file("activity", l2())
    yield BATCH_MEAN.file("activity", batch_mean())


def l2():
    x, kernel = whole("legacy-x", (5, 3)), whole("legacy-kernel", (3, 2))
    hunts = "a penalty on the layer's input"
    yield of_dense(L2, "KN-ACTIVITY-001", LEGACY, hunts, x, kernel, {"l2": 0.5})
    x = of((4, 3), [4096 * v for v in whole("large-x", (4, 3)).entries])
    kernel = of((3, 2), [v * 2.0**-10 for v in whole("small-kernel", (3, 2)).entries])
    hunts, both = "a kernel penalty taken for an activity penalty", {"l2": 1.0}
    yield of_dense(
        L2, "KN-ACTIVITY-002", SMALL_WEIGHTS, hunts, x, kernel, both, on_kernel=(L2, both)
    )
    yield of_dense(
        L2,
        "KN-ACTIVITY-003",
        "the example of the Keras documentation: 0.25 + 5 = 5.25",
        "a wrong batch division",
        equal((5, 5), 2),
        equal((5, 5), 1),
        {"l2": 0.01},
        on_kernel=(L1, {"l1": 0.01}),
    )


def batch_mean():
    x, kernel = whole("mean-x", (5, 3)), whole("mean-kernel", (3, 2))
    title = "BatchMean divides by the batch size once, under every Keras"
    inner = L2, {"l2": 0.5}
    config = {"regularizer": member(*inner)}
    hunts = "no division, or two"
    yield of_dense(BATCH_MEAN, "KN-ACTIVITY-004", title, hunts, x, kernel, config, averages=inner)


def of_dense(
    subject, requirement, title, hunts, x, kernel, config, *, averages=None, on_kernel=None
):
    """A case about the penalties of a Dense layer, whose output is exact in float32.

    The subject is its activity penalty. "sum" is what enters the loss where Keras does not divide
    by the batch size, and "mean" where it does. `averages` is the penalty, with its config, of
    which the subject is the mean under both; `on_kernel` is the penalty of the kernel.
    """
    penalty, arguments = averages or (subject, config)
    outputs = layers.dense(x, kernel)
    regularizers = {"activity_regularizer": (subject.target, config)}
    total = functools.partial(penalty.oracle, **arguments)
    mean = _number(activities.batch_mean(outputs, total), outputs)
    expected = {"sum": mean if averages else _number(total(outputs), outputs), "mean": mean}
    if on_kernel:
        penalty, arguments = on_kernel
        regularizers = {"kernel_regularizer": (penalty.target, arguments)} | regularizers
        expected["kernel"] = _number(penalty.oracle(kernel, **arguments), kernel)
    inputs = {"x": given(x), "kernel": given(kernel), "regularizers": regularizers}
    return subject.about("activity", requirement, title, hunts, config, inputs, expected)


def _number(value, tensor):
    """A penalty of a tensor, as an expected value."""
    return exactly(Tensor((), (mpf(value),)), "float32", len(tensor.entries))
