"""The cases of the regularizers, and what each of them hunts."""

from conformance.catalogue.build import BITS, activity, numbers, of, scalar, whole
from conformance.oracles import penalties

LEGACY = "legacy activity bug: the penalty is on the layer's output, not on its input"
SMALL_WEIGHTS = "small weights, large outputs: only the activity penalty is large"


def penalty(name, oracle, config):
    requirement = f"KN-{name.upper()}-001"
    for dtype in BITS:
        yield scalar(
            name,
            requirement,
            oracle,
            numbers(name, (3, 4), dtype, 1),
            dtype,
            "negative and positive entries",
            "a missing abs or square",
            config,
        )
    for shape in ((5,), (2, 2, 2, 3), ()):
        yield scalar(
            name,
            requirement,
            oracle,
            numbers(f"{name}-{shape}", shape, "float32", 1),
            "float32",
            f"shape {shape}",
            "a mean, or a sum over one axis only",
            config,
        )
    yield scalar(
        name,
        requirement,
        oracle,
        of((2, 2), [0] * 4),
        "float32",
        "all zero",
        "a NaN at zero",
        config,
    )
    yield scalar(
        name,
        requirement,
        oracle,
        of((32, 32), [300] * 1024),
        "float16",
        "1024 entries of 300 in float16",
        "an overflow of float16",
        config,
    )


def l2_activity():
    x, kernel = whole("legacy-x", (5, 3)), whole("legacy-kernel", (3, 2))
    yield from activity(
        "l2",
        "KN-ACTIVITY-001",
        LEGACY,
        "a penalty on the layer's input",
        x,
        kernel,
        {"activity_regularizer": ("L2", {"l2": 0.5})},
    )
    x = of((4, 3), [4096 * v for v in whole("large-x", (4, 3)).entries])
    kernel = of((3, 2), [v * 2.0**-10 for v in whole("small-kernel", (3, 2)).entries])
    both = {"kernel_regularizer": ("L2", {"l2": 1.0}), "activity_regularizer": ("L2", {"l2": 1.0})}
    yield from activity(
        "l2",
        "KN-ACTIVITY-002",
        SMALL_WEIGHTS,
        "a kernel penalty taken for an activity penalty",
        x,
        kernel,
        both,
    )
    ones, twos = of((5, 5), [1] * 25), of((5, 5), [2] * 25)
    both = {
        "kernel_regularizer": ("L1", {"l1": 0.01}),
        "activity_regularizer": ("L2", {"l2": 0.01}),
    }
    yield from activity(
        "l2",
        "KN-ACTIVITY-003",
        "the example of the Keras documentation: 0.25 + 5 = 5.25",
        "a wrong batch division",
        twos,
        ones,
        both,
    )


def batch_mean():
    x, kernel = whole("mean-x", (5, 3)), whole("mean-kernel", (3, 2))
    inner = {"class_name": "L2", "config": {"l2": 0.5}}
    regularizers = {"activity_regularizer": ("BatchMean", {"regularizer": inner})}
    yield from activity(
        "batch_mean",
        "KN-ACTIVITY-004",
        "BatchMean divides by the batch size once, under every Keras",
        "no division, or two",
        x,
        kernel,
        regularizers,
    )


def orthogonal():
    oracle = penalties.orthogonal_regularizer
    for dtype in BITS:
        for mode in ("rows", "columns"):
            yield scalar(
                "orthogonal_regularizer",
                "KN-ORTHOGONAL-001",
                oracle,
                numbers(f"orth-{mode}", (3, 4), dtype, 1),
                dtype,
                f"{mode} of a matrix",
                "rows and columns swapped; the diagonal counted",
                {"factor": 0.5, "mode": mode},
            )
    for mode in ("rows", "columns"):
        config = {"factor": 0.5, "mode": mode}
        yield scalar(
            "orthogonal_regularizer",
            "KN-ORTHOGONAL-002",
            oracle,
            numbers("orth-conv", (2, 2, 3, 4), "float32", 1),
            "float32",
            f"{mode} of a Conv2D kernel",
            "rank 2 only",
            config,
        )
        yield scalar(
            "orthogonal_regularizer",
            "KN-ORTHOGONAL-003",
            oracle,
            of((2, 3), [3, 0, 1, 4, 0, 2]),
            "float32",
            f"{mode} with a zero column",
            "0/0",
            config,
        )
        yield scalar(
            "orthogonal_regularizer",
            "KN-ORTHOGONAL-003",
            oracle,
            of((1, 3), [3, 0, 1]),
            "float32",
            f"{mode} of a single row",
            "a mean over no pairs",
            config,
        )
