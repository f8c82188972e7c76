"""The golden cases: which inputs, and what each of them hunts. The oracles fill in the values."""

import math
import random

from mpmath import mpf

from conformance.oracles import constraints, layers, penalties
from conformance.oracles.exact import Tensor, as_double_pair, groups

# Significant bits: inputs are multiples of a power of two that fit into them.
BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}

DEFAULT_AXIS = "default axis: one norm per Dense unit, not one for the whole matrix"
PER_FILTER = "per-filter axis: [0, 1, 2] on a Conv2D kernel is one norm per filter"
LEGACY = "legacy activity bug: the penalty is on the layer's output, not on its input"
SMALL_WEIGHTS = "small weights, large outputs: only the activity penalty is large"
HIGH_RATE = "bounded under a very high learning rate, together with dropout"


def case_files():
    """(path below cases/, target, cases) for each file."""
    for name, target, cases in (
        ("max_norm/forward.json", "MaxNorm", max_norm_forward()),
        ("max_norm/training.json", "MaxNorm", max_norm_training()),
        ("unit_norm/forward.json", "UnitNorm", unit_norm()),
        ("min_max_norm/forward.json", "MinMaxNorm", min_max_norm()),
        ("non_neg/forward.json", "NonNeg", non_neg()),
        ("l1/forward.json", "L1", penalty("l1", penalties.l1, {"l1": 0.5})),
        ("l2/forward.json", "L2", penalty("l2", penalties.l2, {"l2": 0.5})),
        ("l2/activity.json", "L2", l2_activity()),
        ("l1l2/forward.json", "L1L2", penalty("l1l2", penalties.l1l2, {"l1": 0.25, "l2": 0.5})),
        ("orthogonal_regularizer/forward.json", "OrthogonalRegularizer", orthogonal()),
        ("batch_mean/activity.json", "BatchMean", batch_mean()),
    ):
        yield name, target, list(cases)


def max_norm_forward():
    kernel = numbers("kernel", (3, 4), "float32", 0.25)
    for dtype in BITS:
        w = numbers("default-axis", (3, 4), dtype, 1)
        yield constraint(
            "max_norm", "KN-MAXNORM-001", w, dtype, DEFAULT_AXIS, "a norm of the whole matrix", {}
        )
        w = numbers("per-filter", (2, 3, 4, 5), dtype, 1)
        yield constraint(
            "max_norm",
            "KN-MAXNORM-002",
            w,
            dtype,
            PER_FILTER,
            "axis=0, Keras' default",
            {"axis": [0, 1, 2]},
        )
    yield constraint(
        "max_norm",
        "KN-MAXNORM-001",
        of((2, 2), [3, 0.3125, 4, 0.5]),
        "float32",
        "3-4-5 by hand: [3, 4] becomes [0.6, 0.8]",
        "a squared norm",
        {"max_value": 1.0},
    )
    for axis, shape in (
        (-1, (3, 4)),
        (1, (2, 3, 4)),
        (None, (3, 4)),
        (0, (5,)),
        ([0, 2], (2, 3, 4)),
        ([-1, 0], (2, 3, 4)),
        ([0, 1, 2, 3], (2, 2, 3, 2, 3)),
        (None, (1, 1)),
    ):
        w = numbers(f"axis-{axis}-{shape}", shape, "float32", 1)
        yield constraint(
            "max_norm",
            "KN-MAXNORM-003",
            w,
            "float32",
            f"axis={axis} on shape {shape}",
            "a wrong or ignored axis",
            {"max_value": 0.75, "axis": axis},
        )
    for scale in (1.0, 2.0**-20, 2.0**-50):
        w = of((3, 4), [x * mpf(scale) for x in kernel.entries])
        yield constraint(
            "max_norm",
            "KN-MAXNORM-004",
            w,
            "float32",
            f"feasible weights times {scale:.0e} come back bit for bit",
            "an epsilon in the denominator",
            {},
            exact=True,
        )
    yield constraint(
        "max_norm",
        "KN-MAXNORM-004",
        of((2, 2), [0, 3, 0, 4]),
        "float32",
        "a zero group stays zero",
        "a division by zero",
        {},
    )
    for dtype, big in (("float16", 60000), ("bfloat16", 2.0**60), ("float32", 2.0**60)):
        yield constraint(
            "max_norm",
            "KN-MAXNORM-005",
            of((2, 2), [big, 1, -big, 2.0**-14]),
            dtype,
            f"entries of {big:.0e} in {dtype}",
            "an overflow of the squares",
            {},
        )
    yield constraint(
        "max_norm",
        "KN-MAXNORM-005",
        of((64, 2), [8] * 128),
        "float16",
        "64 entries of 8 in float16",
        "a sum of squares in float16",
        {},
    )
    yield constraint(
        "max_norm",
        "KN-MAXNORM-005",
        of((4, 2), [2.0**-40, 5, 2.0**-41, 1, 3, 2.0**-30, 2.0**-60, 7]),
        "float32",
        "mixed magnitudes in a group",
        "a lost small entry",
        {},
    )
    for axis, shape in ((0, (4096, 2)), ([0, 2], (64, 3, 64)), ([0, 1, 3], (3, 3, 2, 128))):
        yield constraint(
            "max_norm",
            "KN-MAXNORM-008",
            of(shape, [mpf(9018) / 8192] * math.prod(shape)),
            "float32",
            f"a long group of equal entries, axis={axis} on shape {shape}",
            "a sum of one term after another",
            {"axis": axis},
        )
    small = of((2, 2), [0.125, 2.0**-90, 0.25, 2.0**-100])
    for bound in (2.0**60, 3e38):
        yield constraint(
            "max_norm",
            "KN-MAXNORM-004",
            small,
            "float32",
            f"feasible weights under a bound of {bound:.0e} come back bit for bit",
            "weights lost in the units of the bound",
            {"max_value": bound},
            exact=True,
        )
    yield constraint(
        "max_norm",
        "KN-MAXNORM-005",
        of((2, 2), [3 * 2.0**-40, 2.0**-80, 2.0**-38, 0]),
        "float32",
        "a bound of 1e-20",
        "squares that underflow",
        {"max_value": 1e-20},
    )


def max_norm_training():
    w = numbers("per-filter", (2, 3, 4, 5), "float32", 1)
    config = {"max_value": 2.0, "axis": [0, 1, 2]}
    yield constraint(
        "max_norm",
        "KN-MAXNORM-002",
        w,
        "float32",
        "per-filter axis: the kernel has one layout under either data_format",
        "another axis for channels_first",
        config,
        kind="conv_layout",
    )
    for rate in (0.5, 1024.0):
        # Small multiples of a power of two: the step before the constraint is exact in float32.
        x, y = whole(f"x-{rate}", (4, 3)), whole(f"y-{rate}", (4, 2))
        kernel = whole("kernel", (3, 2))
        stepped, bias = layers.descend(x, y, kernel, mpf(rate))
        yield case(
            "max_norm",
            "KN-MAXNORM-006",
            "fit_step",
            "float32",
            f"the constraint holds after the step, learning rate {rate}",
            "a constraint applied before the step, or not at all; a constrained bias",
            {},
            {"x": given(x), "y": given(y), "kernel": given(kernel), "learning_rate": rate},
            {
                "kernel": exactly(constraints.max_norm(stepped), "float32", 3),
                "bias": exactly(bias, "float32", 0),
            },
        )
    yield case(
        "max_norm",
        "KN-MAXNORM-007",
        "bounded",
        "float32",
        HIGH_RATE,
        "a constraint that is not applied after every step",
        {"max_value": 3.0},
        {"seed": 7, "learning_rate": 10000.0, "epochs": 3},
        # 4 + log2(16) ulp, for the larger group: what `project` promises.
        {"bound": 3.0, "budget": 8},
    )


def unit_norm():
    for dtype in BITS:
        w = numbers("unit", (3, 4), dtype, 1)
        yield constraint(
            "unit_norm", "KN-UNITNORM-001", w, dtype, DEFAULT_AXIS, "a norm of the whole matrix", {}
        )
    w = numbers("unit-filter", (2, 3, 4, 5), "float32", 1)
    yield constraint(
        "unit_norm",
        "KN-UNITNORM-002",
        w,
        "float32",
        PER_FILTER,
        "axis=0, Keras' default",
        {"axis": [0, 1, 2]},
    )
    for dtype in ("float16", "bfloat16", "float32"):
        yield constraint(
            "unit_norm",
            "KN-UNITNORM-003",
            of((2, 2), [0, 3, 0, 4]),
            dtype,
            "a zero group stays zero",
            "0/0",
            {},
        )
        yield constraint(
            "unit_norm",
            "KN-UNITNORM-004",
            of((4, 2), [2.0**-13] * 8),
            dtype,
            "tiny groups reach norm 1",
            "an epsilon in the denominator",
            {},
        )
    yield constraint(
        "unit_norm",
        "KN-UNITNORM-004",
        of((64, 2), [8] * 128),
        "float16",
        "64 entries of 8 in float16",
        "a sum of squares in float16",
        {},
    )


def min_max_norm():
    for dtype in BITS:
        # Units of norm below, inside and above [1, 2], and a zero one.
        w = of((2, 4), [0.375, 0.75, 3, 0, 0.5, 1, 4, 0])
        for config in (
            {"min_value": 1.0, "max_value": 2.0},
            {"min_value": 1.0, "max_value": 2.0, "rate": 0.25},
        ):
            words = "all" if "rate" not in config else "a quarter"
            yield constraint(
                "min_max_norm",
                "KN-MINMAXNORM-001",
                w,
                dtype,
                f"{words} of the way into [1, 2]",
                "min and max swapped; a wrong rate",
                config,
            )
    for dtype in ("float32", "float64"):
        config = {"min_value": 0.1, "max_value": 0.3}
        yield constraint(
            "min_max_norm",
            "KN-MINMAXNORM-001",
            of((2, 2), [3, 2.0**-7, 4, 2.0**-8]),
            dtype,
            "bounds that are not exact in float32",
            "bounds rounded to float32",
            config,
        )
    w = numbers("inside", (3, 4), "float32", 0.5)
    yield constraint(
        "min_max_norm",
        "KN-MINMAXNORM-002",
        w,
        "float32",
        "weights inside come back bit for bit",
        "an epsilon in the denominator",
        {"max_value": 4.0, "rate": 0.3},
        exact=True,
    )
    w = numbers("minmax-filter", (2, 3, 4, 5), "float32", 1)
    yield constraint(
        "min_max_norm",
        "KN-MINMAXNORM-003",
        w,
        "float32",
        PER_FILTER,
        "axis=0, Keras' default",
        {"axis": [0, 1, 2]},
    )
    w = of((2, 1), [3 * 2.0**40, 2.0**42])
    yield constraint(
        "min_max_norm",
        "KN-MINMAXNORM-004",
        w,
        "float32",
        "a norm far above the bound",
        "cancellation in 1 + rate * (q - 1)",
        {},
    )


def non_neg():
    for dtype in BITS:
        w = numbers("non-neg", (3, 4), dtype, 1)
        yield constraint(
            "non_neg",
            "KN-NONNEG-001",
            w,
            dtype,
            "negative entries become 0, others stay",
            "abs instead of max",
            {},
            exact=True,
        )


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


def constraint(name, requirement, w, dtype, title, hunts, config, exact=False, kind="forward"):
    """A case for weights; `exact` leaves no ulp, because no rounding is due."""
    result = getattr(constraints, name)(w, **config)
    reduced = max(map(len, groups(w.shape, config.get("axis", 0))), default=1)
    expected = {"result": exactly(result, dtype, 0 if exact else reduced)}
    return case(name, requirement, kind, dtype, title, hunts, config, {"w": given(w)}, expected)


def scalar(name, requirement, oracle, w, dtype, title, hunts, config):
    """A case for a penalty, which is returned in float32 at least."""
    result = Tensor((), (mpf(oracle(w, **config)),))
    expected = {"result": exactly(result, _at_least_float32(dtype), len(w.entries))}
    return case(
        name, requirement, "forward", dtype, title, hunts, config, {"w": given(w)}, expected
    )


def activity(name, requirement, title, hunts, x, kernel, regularizers):
    """A case for the penalties of a Dense layer, whose output is exact in float32."""
    oracles = {"L1": penalties.l1, "L2": penalties.l2}
    outputs = layers.dense(x, kernel)
    argument, config = regularizers["activity_regularizer"]
    inner, inner_config = argument, config
    if argument == "BatchMean":
        inner, inner_config = config["regularizer"]["class_name"], config["regularizer"]["config"]
    total = mpf(oracles[inner](outputs, **inner_config))
    values = {"sum": total, "mean": total / x.shape[0]}
    if "kernel_regularizer" in regularizers:
        kernel_class, kernel_config = regularizers["kernel_regularizer"]
        values["kernel"] = mpf(oracles[kernel_class](kernel, **kernel_config))
    sizes = {
        "sum": len(outputs.entries),
        "mean": len(outputs.entries),
        "kernel": len(kernel.entries),
    }
    expected = {k: exactly(Tensor((), (v,)), "float32", sizes[k]) for k, v in values.items()}
    inputs = {"x": given(x), "kernel": given(kernel), "regularizers": regularizers}
    yield case(name, requirement, "activity", "float32", title, hunts, config, inputs, expected)


def case(name, requirement, kind, dtype, title, hunts, config, inputs, expected):
    """A case as the schema has it; its id tells target, kind, dtype and title apart."""
    slug = "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())
    return {
        "id": f"{name}-{kind}-{dtype}-{slug[:60]}",
        "kind": kind,
        "requirement": requirement,
        "title": title,
        "hunts": hunts,
        "dtype": dtype,
        "config": config,
        "inputs": inputs,
        "expected": expected,
    }


def numbers(name, shape, dtype, scale):
    """Numbers in (-2, 2) * scale that use every bit of dtype; the name is the seed."""
    bits, source = BITS[dtype], random.Random(name)
    top = 2 ** (bits - 1)
    return of(
        shape,
        [mpf(2 * source.randint(-top, top - 1)) / top * scale for _ in range(math.prod(shape))],
    )


def whole(name, shape):
    """Small non-zero integers over four."""
    source = random.Random(name)
    return of(
        shape,
        [mpf(source.choice((-1, 1)) * source.randint(1, 8)) / 4 for _ in range(math.prod(shape))],
    )


def of(shape, entries):
    return Tensor.of(shape, entries)


def given(tensor):
    """An input: doubles, which must hold it exactly."""
    values = [float(x) for x in tensor.entries]
    if any(mpf(v) != x for v, x in zip(values, tensor.entries, strict=True)):
        raise ValueError("An input is not exact in float64")
    return {"shape": list(tensor.shape), "values": _once([v.hex() for v in values])}


def exactly(tensor, dtype, reduced):
    """An expected value; `reduced` numbers make each entry, 0 where no rounding is due."""
    return {
        "shape": list(tensor.shape),
        "dtype": dtype,
        "reduced": reduced,
        "values": _once([as_double_pair(x) for x in tensor.entries]),
    }


def _once(values):
    """A single value where all are equal: long groups stay short files."""
    return values[:1] if values and all(v == values[0] for v in values) else values


def _at_least_float32(dtype):
    return dtype if dtype == "float64" else "float32"
