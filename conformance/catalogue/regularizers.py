"""The cases of the regularizers, and what each of them hunts."""

import functools

from conformance.catalogue.build import (
    BITS,
    SHAPES,
    activity,
    numbers,
    of,
    raises,
    scalar,
    thing,
    whole,
)
from conformance.oracles import penalties

LEGACY = "legacy activity bug: the penalty is on the layer's output, not on its input"
SMALL_WEIGHTS = "small weights, large outputs: only the activity penalty is large"


def penalty(name, oracle, config):
    requirement = f"KN-{name.upper()}-001"
    for dtype in BITS:
        for shape in ((), *SHAPES.values()):
            yield scalar(
                name,
                requirement,
                oracle,
                numbers(f"{name} {shape}", shape, dtype, 1),
                dtype,
                f"negative and positive entries, rank {len(shape)}",
                "a missing abs or square; a mean, or a sum over one axis only",
                config,
            )
        yield scalar(
            name,
            requirement,
            oracle,
            of((2, 2), [0] * 4),
            dtype,
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
    yield from manners(name, f"KN-{name.upper()}-002", oracle, config)


def manners(name, requirement, oracle, config, oracle_config=None):
    """What must hold for every penalty: compiled, saved, copied, differentiated."""
    more = {} if oracle_config is None else {"oracle_config": oracle_config}
    words = " ".join(f"{k} {v}" for k, v in config.items() if k != "members")
    w = numbers(f"manners of {name}", (3, 4), "bfloat16", 1)
    for dtype in ("float16", "float32"):
        yield scalar(
            name,
            requirement,
            oracle,
            w,
            dtype,
            f"compiled {words}",
            "a detour through NumPy or Python",
            config,
            kind="jit",
            one_graph=True,
            **more,
        )
    for dtype in BITS:
        yield scalar(
            name,
            requirement,
            oracle,
            w,
            dtype,
            f"the gradient {words}",
            "a stopped or wrong gradient",
            config,
            kind="gradient",
            **more,
        )
    yield scalar(
        name,
        requirement,
        oracle,
        of((2, 2), [0, 0.5, 0, -1]),
        "float32",
        f"the gradient with zero entries {words}",
        "1 for 0 at a zero entry; NaN at a zero vector",
        config,
        kind="gradient",
        **more,
    )
    for kind, title, hunts in (
        (
            "config_roundtrip",
            "the config gives the same penalty",
            "a missing or rounded config key",
        ),
        (
            "save_load",
            "saved with a model, and loaded in safe mode",
            "a class that is not registered",
        ),
    ):
        yield scalar(
            name,
            requirement,
            oracle,
            w,
            "float32",
            f"{title} {words}",
            hunts,
            config,
            kind=kind,
            config_of_result=config,
            **more,
        )
    yield thing(
        name,
        requirement,
        "equality",
        f"equal, with one hash, and a repr that says what it is {words}",
        "equality by identity",
        config,
    )
    yield scalar(
        name,
        requirement,
        oracle,
        w,
        "float32",
        f"made inside a compiled function, and used again outside {words}",
        "a backend tensor kept in a field: a leaked tracer",
        config,
        kind="traced",
        **more,
    )


def exactness(name):
    """Factors as they are given, and sums that half precision cannot hold."""
    oracle, requirement = getattr(penalties, name), f"KN-{name.upper()}-003"
    w = numbers(f"exactness of {name}", (3, 4), "float32", 1)
    yield scalar(
        name,
        requirement,
        oracle,
        w,
        "float32",
        "a factor of 0.1 is 0.1 in the config",
        "a factor rounded to float32: 0.10000000149",
        {name: 0.1},
        kind="config_roundtrip",
        config_of_result={name: 0.1},
    )
    yield scalar(
        name,
        requirement,
        oracle,
        w,
        "float32",
        "a NumPy number is a factor",
        "ValueError for np.float32(0.5)",
        {name: {"numpy": 0.5}},
        oracle_config={name: 0.5},
    )
    rows, value = (20000, 8) if name == "l1" else (4096, 8)
    yield scalar(
        name,
        requirement,
        oracle,
        of((rows, 1), [value] * rows),
        "float16",
        f"a penalty of 1e-4 on {rows} entries of 8 in float16",
        "a sum in float16: inf",
        {name: 1e-4},
    )
    for value in (-1, {"float": "nan"}):
        word = "-1" if value == -1 else "nan"
        yield raises(
            name,
            requirement,
            f"a factor of {word} is refused",
            {name: value},
            "ValueError",
            [f"Received: {name}={word}"],
        )


def names():
    """What Keras documents for "l1_l2", and does not find."""
    yield thing(
        "l1l2",
        "KN-L1L2-003",
        "by_name",
        "l1_l2 is found by its name, with both factors at 0.01",
        "ValueError",
        {},
        {"config": {"l1": 0.01, "l2": 0.01}},
        {"name": "l1_l2"},
    )


def sums():
    config = {
        "members": [
            {"class_name": "L1", "config": {"l1": 0.25}},
            {"class_name": "L2", "config": {"l2": 0.5}},
        ]
    }
    terms = functools.partial(penalties.l1l2, l1=0.25, l2=0.5)
    for dtype in BITS:
        yield scalar(
            "sum",
            "KN-SUM-001",
            terms,
            numbers("sum", (3, 4), dtype, 1),
            dtype,
            "L1 + L2 is the sum of both",
            "a term that is dropped",
            config,
            oracle_config={},
        )
    yield from manners("sum", "KN-SUM-002", terms, config, oracle_config={})


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
        for title, w in (
            (f"{mode} of a Conv2D kernel", numbers("orth-conv", (2, 2, 3, 4), "float32", 1)),
            (f"{mode} of a Conv1D kernel", numbers("orth-conv-1", (2, 3, 4), "float32", 1)),
            (f"{mode} of a vector", numbers("orth-vector", (4,), "float32", 1)),
        ):
            yield scalar(
                "orthogonal_regularizer",
                "KN-ORTHOGONAL-002",
                oracle,
                w,
                "float32",
                title,
                "rank 2 only",
                config,
            )
        for title, hunts, w in (
            (f"{mode} with a zero column", "0/0", of((2, 3), [3, 0, 1, 4, 0, 2])),
            (f"{mode} of a single row", "a mean over no pairs", of((1, 3), [3, 0, 1])),
            (f"{mode} without rows", "an empty weight", of((0, 3), [])),
        ):
            yield scalar(
                "orthogonal_regularizer",
                "KN-ORTHOGONAL-003",
                oracle,
                w,
                "float32",
                title,
                hunts,
                config,
            )
        yield scalar(
            "orthogonal_regularizer",
            "KN-ORTHOGONAL-003",
            oracle,
            of((3, 3), [3, 0, 1, 4, 0, 2, 1, 0, -1]),
            "float32",
            f"the gradient of {mode} with a zero column",
            "NaN from the root of 0",
            config,
            kind="gradient",
        )
        yield from manners("orthogonal_regularizer", "KN-ORTHOGONAL-004", oracle, config)
