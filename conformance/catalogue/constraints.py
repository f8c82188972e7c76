"""The cases of the constraints on Euclidean norms, and what each of them hunts."""

import math

from mpmath import mpf

from conformance.catalogue.build import (
    BITS,
    case,
    constraint,
    exactly,
    given,
    numbers,
    of,
    raises,
    slope,
    whole,
)
from conformance.catalogue.every import bad_bounds, breadth, manners
from conformance.oracles import constraints, layers

DEFAULT_AXIS = "default axis: one norm per Dense unit, not one for the whole matrix"
PER_FILTER = "per-filter axis: [0, 1, 2] on a Conv2D kernel is one norm per filter"
HIGH_RATE = "bounded under a very high learning rate, together with dropout"
CONV = (2, 3, 4, 5)


def max_norm_forward():
    kernel = numbers("kernel", (3, 4), "float32", 0.25)
    for dtype in BITS:
        w = numbers("default-axis", (3, 4), dtype, 1)
        yield constraint(
            "max_norm", "KN-MAXNORM-001", w, dtype, DEFAULT_AXIS, "a norm of the whole matrix", {}
        )
        w = numbers("per-filter", CONV, dtype, 1)
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
    yield from breadth("max_norm", "KN-MAXNORM-003", {"max_value": 0.75})
    yield from manners("max_norm", "KN-MAXNORM-009", {"max_value": 1.5})
    for scale, hunts in (
        (1.0, "an epsilon in the denominator"),
        (2.0**-50, "an epsilon that dwarfs the weights"),
    ):
        w = of((3, 4), [x * mpf(scale) for x in kernel.entries])
        yield constraint(
            "max_norm",
            "KN-MAXNORM-004",
            w,
            "float32",
            f"feasible weights times {scale:.0e} come back bit for bit",
            hunts,
            {},
            exact=True,
        )
    for size, end in ((1, "0.99988"), (2.0**-10, "9e-4"), (2.0**-16, "0")):
        yield constraint(
            "max_norm",
            "KN-MAXNORM-004",
            of((4, 1), [mpf(size) / 2] * 4),
            "float32",
            f"a column of norm {size:.0e}, a thousand times",
            f"an epsilon in the denominator: the norm shrinks to {end}",
            {},
            kind="idempotent",
            exact=True,
            moves=0,
            times=1000,
        )
    for dtype in BITS:
        yield constraint(
            "max_norm",
            "KN-MAXNORM-004",
            of((2, 2), [0, 3, 0, 4]),
            dtype,
            "a zero group stays zero",
            "0/0",
            {},
        )
    yield slope(
        "max_norm",
        "KN-MAXNORM-004",
        of((2, 2), [0, 3, 0, 4]),
        "float32",
        "the gradient at a zero group",
        "NaN from the root of 0",
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
        of((4096, 1), [8] * 4096),
        "float16",
        "4096 entries of 8 in float16",
        "a sum of squares in float16: all zeros",
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
    for bound, hunts in (
        (2.0**60, "squares that underflow in the units of the bound"),
        (3e38, "a limit that overflows"),
    ):
        yield constraint(
            "max_norm",
            "KN-MAXNORM-004",
            small,
            "float32",
            f"feasible weights under a bound of {bound:.0e} come back bit for bit",
            hunts,
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
    yield from bad_bounds("max_norm", "KN-MAXNORM-010", "max_value")


def max_norm_training():
    w = numbers("per-filter", CONV, "float32", 1)
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
            f"a constraint before the step, or a constrained bias, at a rate of {rate}",
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
    for shape in ((4, 1), (1, 1)):
        yield constraint(
            "unit_norm",
            "KN-UNITNORM-003",
            of(shape, [0] * math.prod(shape)),
            "float16",
            f"zeros of shape {shape} in float16",
            f"1e-7 underflows in float16, and 0/0 follows, on {shape} by a path of its own",
            {},
        )
    w = numbers("unit-filter", CONV, "float32", 1)
    yield constraint(
        "unit_norm",
        "KN-UNITNORM-002",
        w,
        "float32",
        PER_FILTER,
        "axis=0, Keras' default",
        {"axis": [0, 1, 2]},
    )
    yield constraint(
        "unit_norm",
        "KN-UNITNORM-004",
        of((4096, 1), [8] * 4096),
        "float16",
        "4096 entries of 8 in float16",
        "a sum of squares in float16",
        {},
    )
    yield raises(
        "unit_norm",
        "KN-UNITNORM-007",
        "axis=2 is refused on rank 2",
        {"axis": 2},
        "ValueError",
        ["Received: axis=2"],
        numbers("bad axis", (3, 4), "float32", 1),
    )
    yield from breadth("unit_norm", "KN-UNITNORM-005", {})
    # A second application divides by a norm that is 1 but for rounding.
    yield from manners("unit_norm", "KN-UNITNORM-006", {}, moves=4)


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
                "min and max swapped" if "rate" not in config else "a wrong rate",
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
    w = numbers("minmax-filter", CONV, "float32", 1)
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
    yield constraint(
        "min_max_norm",
        "KN-MINMAXNORM-004",
        of((4096, 1), [8] * 4096),
        "float16",
        "4096 entries of 8 in float16, into [1, 500]",
        "a sum of squares in float16: NaN",
        {"min_value": 1.0, "max_value": 500.0},
    )
    yield constraint(
        "min_max_norm",
        "KN-MINMAXNORM-004",
        of((2, 1), [mpf(3) * 2.0**-26, mpf(2.0**-24)]),
        "float32",
        "a norm of 1e-7 is raised to 1",
        "an epsilon in the denominator: 0.5",
        {"min_value": 1.0, "max_value": 2.0},
    )
    yield from breadth("min_max_norm", "KN-MINMAXNORM-005", {"min_value": 0.25, "max_value": 0.75})
    yield from manners(
        "min_max_norm", "KN-MINMAXNORM-006", {"min_value": 0.5, "max_value": 1.5}, moves=4
    )
    for title, config, word in (
        ("min_value above max_value", {"min_value": 5, "max_value": 1}, "min_value=5, max_value=1"),
        ("rate=7", {"rate": 7}, "rate=7"),
        ("rate=nan", {"rate": {"float": "nan"}}, "rate=nan"),
        ("min_value=-1", {"min_value": -1}, "min_value=-1"),
    ):
        yield raises(
            "min_max_norm",
            "KN-MINMAXNORM-007",
            f"{title} is refused",
            config,
            "ValueError",
            [f"Received: {word}"],
        )
