"""The cases of the constraints, and what each of them hunts."""

import math

from mpmath import mpf

from conformance.catalogue.build import BITS, case, constraint, exactly, given, numbers, of, whole
from conformance.oracles import constraints, layers

DEFAULT_AXIS = "default axis: one norm per Dense unit, not one for the whole matrix"
PER_FILTER = "per-filter axis: [0, 1, 2] on a Conv2D kernel is one norm per filter"
HIGH_RATE = "bounded under a very high learning rate, together with dropout"


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
