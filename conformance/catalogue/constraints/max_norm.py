"""The cases of `MaxNorm`."""

import dataclasses

from mpmath import mpf

from conformance.catalogue.build import Subject, exactly, given
from conformance.catalogue.constraints.sums import thresholds
from conformance.catalogue.every import (
    DEFAULT_AXIS,
    EPSILON,
    EVERY_AXIS,
    FILTERS,
    GROUPS,
    IN_FLOAT16,
    KERAS_DEFAULT,
    PER_FILTER,
    SAME_CONSTRAINT,
    WHOLE_MATRIX,
    bad_bounds,
    bit_for_bit,
    breadth,
    manners,
)
from conformance.catalogue.inputs import BITS, CONV, equal, numbers, of, whole
from conformance.oracles import layers
from conformance.oracles.constraints import norms

MAX_NORM = Subject("max_norm", "MaxNorm", norms.max_norm)
# The L1 ball is found by a threshold, which is as exact as the largest entry, no more.
L1_BALL = dataclasses.replace(MAX_NORM, scale="largest", loops=True, slope=False)
BOX = dataclasses.replace(MAX_NORM, rounds=False)

HIGH_RATE = "bounded under a very high learning rate, together with dropout"

REQUIREMENTS = {
    "KN-MAXNORM-001": (
        "by default each Dense unit has one norm, *not* the whole matrix",
        "`keras.constraints.MaxNorm`",
    ),
    "KN-MAXNORM-002": (
        "with `axis=[0, 1, 2]` each Conv2D filter has one norm, under either data_format",
        "`keras.constraints.MaxNorm`",
    ),
    "KN-MAXNORM-003": EVERY_AXIS,
    "KN-MAXNORM-004": (
        "feasible groups come back bit for bit, and zero groups stay zero",
        "nearest point of a closed ball",
    ),
    "KN-MAXNORM-005": (
        "large, tiny and mixed magnitudes are exact in every dtype",
        "float16 overflows at 300**2",
    ),
    "KN-MAXNORM-006": (
        "the constraint holds after the optimizer's step, and biases are left alone",
        "`keras.optimizers.Optimizer.apply`",
    ),
    "KN-MAXNORM-007": (
        "weights stay bounded under a very high learning rate, with max-norm and dropout together",
        "Srivastava et al., JMLR 15, 2014",
    ),
    "KN-MAXNORM-008": (
        "long groups are as exact as short ones",
        "TensorFlow outside XLA sums one term after another",
    ),
    "KN-MAXNORM-009": SAME_CONSTRAINT,
    "KN-MAXNORM-010": (
        "bad bounds and axes raise one exception type, which quotes them",
        "Keras accepts -1, 0 and NaN",
    ),
    "KN-MAXNORM-011": (
        "`ord=1` gives the nearest point of the L1 ball, for every axis and dtype",
        "Duchi et al., ICML 2008",
    ),
    "KN-MAXNORM-012": ('`ord="inf"` clips', "the largest absolute value is a norm"),
    "KN-MAXNORM-013": (
        "the L1 ball is exact for long groups, for ties, and for entries far apart",
        "sums and thresholds round",
    ),
}


def case_files():
    yield MAX_NORM.file("forward", max_norm())
    yield MAX_NORM.file("orders", max_norm_of_other_orders())
    yield MAX_NORM.file("step", max_norm_in_training())


def max_norm():
    for dtype in BITS:
        w = numbers("default-axis", (3, 4), dtype)
        yield MAX_NORM.case("KN-MAXNORM-001", w, DEFAULT_AXIS, WHOLE_MATRIX, dtype=dtype)
        w = numbers("per-filter", CONV, dtype)
        yield MAX_NORM.case("KN-MAXNORM-002", w, PER_FILTER, KERAS_DEFAULT, FILTERS, dtype)
    title = "3-4-5 by hand: [3, 4] becomes [0.6, 0.8]"
    w = of((2, 2), [3, 0.3125, 4, 0.5])
    yield MAX_NORM.case("KN-MAXNORM-001", w, title, "a squared norm", {"max_value": 1.0})
    yield from breadth(MAX_NORM, "KN-MAXNORM-003", {"max_value": 0.75})
    yield from manners(MAX_NORM, "KN-MAXNORM-009", {"max_value": 1.5})
    yield from feasible_stays()
    yield from magnitudes()
    yield from extreme_bounds()
    yield from bad_bounds(MAX_NORM, "KN-MAXNORM-010", "max_value")
    yield MAX_NORM.raises(
        "KN-MAXNORM-010",
        "a subnormal bound is refused",
        {"max_value": 1e-40},
        ["Received: max_value=1e-40"],
    )
    for order in (True, 3):
        title, words = f"ord={order} is refused", [f"Received: ord={order}"]
        yield MAX_NORM.raises("KN-MAXNORM-010", title, {"ord": order}, words)


def feasible_stays():
    kernel = numbers("kernel", (3, 4), scale=0.25)
    for scale, hunts in ((1.0, EPSILON), (2.0**-50, "an epsilon that dwarfs the weights")):
        w = of((3, 4), [x * mpf(scale) for x in kernel.entries])
        title = f"feasible weights times {scale:.0e} come back bit for bit"
        yield MAX_NORM.case("KN-MAXNORM-004", w, title, hunts, exact=True)
    for size, end in ((1, "0.99988"), (2.0**-10, "9e-4"), (2.0**-16, "0")):
        yield MAX_NORM.case(
            "KN-MAXNORM-004",
            equal((4, 1), size / 2),
            f"a column of norm {size:.0e}, a thousand times",
            f"{EPSILON}: the norm shrinks to {end}",
            kind="idempotent",
            times=1000,
            exact=True,
            expected={"moves": 0},
        )
    # Nine steps of float32 beyond the bound, where six are rounding.
    w = equal((4, 1), (1 + 9 * mpf(2) ** -23) / 2)
    title, hunts = "a group beyond the bound by more than rounding", "a bound that is too wide"
    yield MAX_NORM.case("KN-MAXNORM-004", w, title, hunts, {"max_value": 1.0})
    w = equal((4, 1), (1 + 9 * mpf(2) ** -23) * 2.0**59)
    title, hunts = f"{title}, under 2**60", "a huge bound that is too wide"
    yield MAX_NORM.case("KN-MAXNORM-004", w, title, hunts, {"max_value": 2.0**60})
    w = equal((4, 1), (1 + mpf(2) ** -32) / 2)
    title, hunts = "a group 2e-10 beyond the bound in float64", "the rounding of float32 in float64"
    yield MAX_NORM.case("KN-MAXNORM-004", w, title, hunts, {"max_value": 1.0}, "float64")
    zero_group = of((2, 2), [0, 3, 0, 4])
    for dtype in BITS:
        title = "a zero group stays zero"
        yield MAX_NORM.case("KN-MAXNORM-004", zero_group, title, "0/0", dtype=dtype)
    title, hunts = "the gradient at a zero group", "NaN from the root of 0"
    yield MAX_NORM.gradient("KN-MAXNORM-004", zero_group, title, hunts)


def magnitudes():
    for dtype, big in (("float16", 60000), ("bfloat16", 2.0**60), ("float32", 2.0**60)):
        w = of((2, 2), [big, 1, -big, 2.0**-14])
        title, hunts = f"entries of {big:.0e} in {dtype}", "an overflow of the squares"
        yield MAX_NORM.case("KN-MAXNORM-005", w, title, hunts, dtype=dtype)
    w, hunts = equal((4096, 1), 8), "a sum of squares in float16: all zeros"
    yield MAX_NORM.case("KN-MAXNORM-005", w, IN_FLOAT16, hunts, dtype="float16")
    # The nearest float16 is 7 % above the bound: its steps there are 6e-8, and none is nearer.
    w, hunts = equal((36, 1), 1), "entries below 6e-5 that become zero in float16"
    title, config = "a bound of 1e-6 in float16", {"max_value": 1e-6}
    yield MAX_NORM.case("KN-MAXNORM-005", w, title, hunts, config, dtype="float16")
    w = of((4, 2), [2.0**-40, 5, 2.0**-41, 1, 3, 2.0**-30, 2.0**-60, 7])
    yield MAX_NORM.case("KN-MAXNORM-005", w, "mixed magnitudes in a group", "a lost small entry")
    for axis, shape in ((0, (4096, 2)), ([0, 2], (64, 3, 64)), ([0, 1, 3], (3, 3, 2, 128))):
        w, hunts = equal(shape, mpf(9018) / 8192), "a sum of one term after another"
        title = f"a long group of equal entries, axis={axis} on shape {shape}"
        yield MAX_NORM.case("KN-MAXNORM-008", w, title, hunts, {"axis": axis})
    # Lengths with few divisors, compiled too: XLA may undo what keeps a sum accurate.
    for axis, shape in (
        *((0, (length, 2)) for length in (257, 521, 4099, 8191, 10007, 65536)),
        *((1, (2, length)) for length in (8191, 65536)),
        *((1, (2, length, 2)) for length in (521, 4099)),
    ):
        w = equal(shape, mpf(9018) / 8192)
        for kind, more in (("forward", {}), ("jit", {"one_graph": True})):
            title = f"a long group of equal entries, axis={axis} on shape {shape}"
            hunts = (
                f"a sum in runs that {'a compiler merges' if more else 'leaves a rest'}: {shape}"
            )
            config = {"axis": axis}
            yield MAX_NORM.case("KN-MAXNORM-008", w, title, hunts, config, kind=kind, **more)


def extreme_bounds():
    small = of((2, 2), [0.125, 2.0**-90, 0.25, 2.0**-100])
    for bound, hunts in (
        (2.0**60, "squares that underflow in the units of the bound"),
        (3e38, "a limit that overflows"),
    ):
        title = f"feasible weights under a bound of {bound:.0e} come back bit for bit"
        yield MAX_NORM.case("KN-MAXNORM-004", small, title, hunts, {"max_value": bound}, exact=True)
    w = of((2, 2), [3 * 2.0**-40, 2.0**-80, 2.0**-38, 0])
    config = {"max_value": 1e-20}
    yield MAX_NORM.case("KN-MAXNORM-005", w, "a bound of 1e-20", "squares that underflow", config)
    for bound, entries in (
        (3e-15, [2.0**17, 2.0**16]),
        (3e14, [1.5 * 2.0**127, 1.25 * 2.0**126]),
        (1e-3, [2.0**56, -3 * 2.0**54]),
        (1e-20, [0.125, 0.25]),
    ):
        title = (
            f"a bound of {bound:.0e} far below the entries, {entries[0]:.0e} and {entries[1]:.0e}"
        )
        hunts = f"a direction that is lost under a bound of {bound:.0e}"
        w = of((2, 1), entries)
        yield MAX_NORM.case("KN-MAXNORM-005", w, title, hunts, {"max_value": bound})
    w = of((2, 3), [1.5 * 2.0**127, 3 * 2.0**47, 0, 1.25 * 2.0**126, 2.0**49, 0])
    title = "a huge group, one of 7e14 and a zero group under a bound of 3e14"
    hunts = "the largest entry of all groups in place of each group's own"
    yield MAX_NORM.case("KN-MAXNORM-005", w, title, hunts, {"max_value": 3e14})
    w = of((3, 2), [w.entries[i] for i in (0, 3, 1, 4, 2, 5)])
    title, hunts = f"{title}, axis=-1", "the largest entry along another axis, which broadcasts"
    yield MAX_NORM.case("KN-MAXNORM-005", w, title, hunts, {"max_value": 3e14, "axis": -1})
    # Of the first, float32 rounds the square; the others, times their inverse, are not 1.
    for bound in (1.3, 5.7, 2.9, 1.7, 3.7):
        title = f"feasible weights under a bound of {bound} come back bit for bit"
        hunts = f"a factor that is not exactly 1 under {bound}"
        w = numbers(f"rounded {bound}", (3, GROUPS), scale=0.25)
        yield from bit_for_bit(MAX_NORM, "KN-MAXNORM-004", w, title, hunts, {"max_value": bound})


def max_norm_of_other_orders():
    for subject, order, requirement in (
        (L1_BALL, 1, "KN-MAXNORM-011"),
        (BOX, "inf", "KN-MAXNORM-012"),
    ):
        yield from breadth(subject, requirement, {"max_value": 0.75, "ord": order})
        yield from manners(subject, requirement, {"max_value": 1.5, "ord": order})
        w, hunts = numbers("inside", (3, 4), scale=0.125), "a threshold below zero"
        if order == "inf":
            config, words = {"ord": {"float": "inf"}}, "ord=inf as a float is the same order"
            yield subject.case(requirement, numbers("float", (3, 4)), words, "another norm", config)
        title = f"weights inside come back bit for bit, ord {order}"
        yield subject.case(requirement, w, title, hunts, {"ord": order}, exact=True)
        w, title = numbers("per-filter", CONV), f"{PER_FILTER}, ord {order}"
        yield subject.case(requirement, w, title, KERAS_DEFAULT, FILTERS | {"ord": order})
    yield L1_BALL.case(
        "KN-MAXNORM-011",
        of((3, 1), [0.5, 2.125, -3.5]),
        "by hand: [0.5, 2.125, -3.5] in the L1 ball of radius 2",
        "a rescaling, which is not the nearest point",
        {"max_value": 2.0, "ord": 1},
    )
    yield from thresholds(L1_BALL, "KN-MAXNORM-013", {"max_value": 1.0, "ord": 1})


def max_norm_in_training():
    w, config = numbers("per-filter", CONV), {"max_value": 2.0} | FILTERS
    title = "per-filter axis: the kernel has one layout under either data_format"
    hunts = "another axis for channels_first"
    yield MAX_NORM.case("KN-MAXNORM-002", w, title, hunts, config, kind="conv_layout")
    for rate in (0.5, 1024.0):
        # Small multiples of a power of two: the step before the constraint is exact in float32.
        x, y = whole(f"x-{rate}", (4, 3)), whole(f"y-{rate}", (4, 2))
        kernel = whole("kernel", (3, 2))
        stepped, bias = layers.descend(x, y, kernel, mpf(rate))
        yield MAX_NORM.about(
            "fit_step",
            "KN-MAXNORM-006",
            f"the constraint holds after the step, learning rate {rate}",
            f"a constraint before the step, or a constrained bias, at a rate of {rate}",
            {},
            {"x": given(x), "y": given(y), "kernel": given(kernel), "learning_rate": rate},
            {
                "kernel": exactly(norms.max_norm(stepped), "float32", 3),
                "bias": exactly(bias, "float32", 0),
            },
        )
    yield MAX_NORM.about(
        "bounded",
        "KN-MAXNORM-007",
        HIGH_RATE,
        "a constraint that is not applied after every step",
        {"max_value": 3.0},
        {"seed": 7, "learning_rate": 10000.0, "epochs": 3},
        # 4 + log2(16) ulp, for the larger group: what `project` promises.
        {"bound": 3.0, "budget": 8},
    )
