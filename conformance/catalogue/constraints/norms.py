"""The cases of the constraints on the norm of each group."""

import dataclasses

from mpmath import mpf

from conformance.catalogue.build import Subject, exactly, given
from conformance.catalogue.constraints.sums import thresholds
from conformance.catalogue.every import EVERY_AXIS, SAME_CONSTRAINT, bad_bounds, breadth, manners
from conformance.catalogue.inputs import BITS, CONV, equal, numbers, of, whole
from conformance.oracles import layers
from conformance.oracles.constraints import norms

MAX_NORM = Subject("max_norm", "MaxNorm", norms.max_norm)
# The L1 ball is found by a threshold, which is as exact as the largest entry, no more.
L1_BALL = dataclasses.replace(MAX_NORM, scale="largest", loops=True, slope=False)
BOX = dataclasses.replace(MAX_NORM, rounds=False)
# A second application divides by a norm that is 1 but for rounding.
UNIT_NORM = Subject("unit_norm", "UnitNorm", norms.unit_norm, moves=4)
MIN_MAX_NORM = Subject("min_max_norm", "MinMaxNorm", norms.min_max_norm, moves=4)

DEFAULT_AXIS = "default axis: one norm per Dense unit, not one for the whole matrix"
PER_FILTER = "per-filter axis: [0, 1, 2] on a Conv2D kernel is one norm per filter"
WHOLE_MATRIX, KERAS_DEFAULT = "a norm of the whole matrix", "axis=0, Keras' default"
IN_FLOAT16, EPSILON = "4096 entries of 8 in float16", "an epsilon in the denominator"
FILTERS = {"axis": [0, 1, 2]}
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
    "KN-UNITNORM-001": ("each Dense unit has one norm", "`keras.constraints.UnitNorm`"),
    "KN-UNITNORM-002": ("each filter has one norm", "`keras.constraints.UnitNorm`"),
    "KN-UNITNORM-003": ("a zero group stays zero", "every direction is equally near"),
    "KN-UNITNORM-004": ("tiny and large groups reach norm 1", "Keras divides by norm + 1e-7"),
    "KN-UNITNORM-005": EVERY_AXIS,
    "KN-UNITNORM-006": SAME_CONSTRAINT,
    "KN-UNITNORM-007": (
        "a wrong axis raises one exception type, which quotes it",
        "it is another one on each backend",
    ),
    "KN-MINMAXNORM-001": (
        "norms move by `rate` of the way into [min_value, max_value]",
        "`keras.constraints.MinMaxNorm`",
    ),
    "KN-MINMAXNORM-002": (
        "weights within the bounds come back bit for bit, at any rate",
        "nearest point of a closed set",
    ),
    "KN-MINMAXNORM-003": ("each filter has one norm", "`keras.constraints.MinMaxNorm`"),
    "KN-MINMAXNORM-004": ("norms far above the bound are exact", "1 + rate * (q - 1) cancels"),
    "KN-MINMAXNORM-005": EVERY_AXIS,
    "KN-MINMAXNORM-006": SAME_CONSTRAINT,
    "KN-MINMAXNORM-007": (
        "bad bounds and rates raise ValueError, which quotes them",
        "Keras accepts them",
    ),
}


def case_files():
    yield MAX_NORM.file("forward", max_norm())
    yield MAX_NORM.file("orders", max_norm_of_other_orders())
    yield MAX_NORM.file("step", max_norm_in_training())
    yield UNIT_NORM.file("forward", unit_norm())
    yield MIN_MAX_NORM.file("forward", min_max_norm())


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
        w = numbers(f"rounded {bound}", (3, 4), scale=0.25)
        yield from _eager_and_compiled(
            MAX_NORM, "KN-MAXNORM-004", w, title, hunts, {"max_value": bound}
        )


def _eager_and_compiled(subject, requirement, w, title, hunts, config):
    """Weights that come back bit for bit, also in compiled code, which divides in another way."""
    yield subject.case(requirement, w, title, hunts, config, exact=True)
    title, hunts = f"{title}, compiled", f"{hunts}, compiled"
    more = {"kind": "jit", "one_graph": True}
    yield subject.case(requirement, w, title, hunts, config, exact=True, **more)


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


def unit_norm():
    for dtype in BITS:
        w = numbers("unit", (3, 4), dtype)
        yield UNIT_NORM.case("KN-UNITNORM-001", w, DEFAULT_AXIS, WHOLE_MATRIX, dtype=dtype)
        w, title = of((2, 2), [0, 3, 0, 4]), "a zero group stays zero"
        yield UNIT_NORM.case("KN-UNITNORM-003", w, title, "0/0", dtype=dtype)
        w, title = equal((4, 2), 2.0**-13), "tiny groups reach norm 1"
        yield UNIT_NORM.case("KN-UNITNORM-004", w, title, EPSILON, dtype=dtype)
    for exponent in (-50, -54, -58):
        w = of((2, 2), [mpf(n) * mpf(2) ** exponent for n in (3, 0, 4, 1)])
        title = f"groups of norm 5 * 2**{exponent} reach norm 1"
        yield UNIT_NORM.case(
            "KN-UNITNORM-004", w, title, f"a norm of 2**{exponent} that counts as 0"
        )
    for shape in ((4, 1), (1, 1)):
        title = f"zeros of shape {shape} in float16"
        hunts = f"1e-7 underflows in float16, and 0/0 follows, on {shape} by a path of its own"
        yield UNIT_NORM.case("KN-UNITNORM-003", equal(shape, 0), title, hunts, dtype="float16")
    w = numbers("unit-filter", CONV)
    yield UNIT_NORM.case("KN-UNITNORM-002", w, PER_FILTER, KERAS_DEFAULT, FILTERS)
    w, hunts = equal((4096, 1), 8), "a sum of squares in float16"
    yield UNIT_NORM.case("KN-UNITNORM-004", w, IN_FLOAT16, hunts, dtype="float16")
    w, title = of((2, 2), [0, 3, 0, 4]), "the excess of a zero group is 1"
    hunts = "0, because a zero group does not move"
    yield UNIT_NORM.excess("KN-UNITNORM-003", w, title, hunts, distances=[mpf(1), mpf(4)])
    w, title = numbers("bad axis", (3, 4)), "axis=2 is refused on rank 2"
    yield UNIT_NORM.raises("KN-UNITNORM-007", title, {"axis": 2}, ["Received: axis=2"], w)
    yield from breadth(UNIT_NORM, "KN-UNITNORM-005", {})
    yield from manners(UNIT_NORM, "KN-UNITNORM-006", {})


def min_max_norm():
    interval = {"min_value": 1.0, "max_value": 2.0}
    for dtype in BITS:
        # Units of norm below, inside and above [1, 2], and a zero one.
        w = of((2, 4), [0.375, 0.75, 3, 0, 0.5, 1, 4, 0])
        for words, hunts, config in (
            ("all", "min and max swapped", interval),
            ("a quarter", "a wrong rate", interval | {"rate": 0.25}),
        ):
            title = f"{words} of the way into [1, 2]"
            yield MIN_MAX_NORM.case("KN-MINMAXNORM-001", w, title, hunts, config, dtype)
    for dtype in ("float32", "float64"):
        yield MIN_MAX_NORM.case(
            "KN-MINMAXNORM-001",
            of((2, 2), [3, 2.0**-7, 4, 2.0**-8]),
            "bounds that are not exact in float32",
            "bounds rounded to float32",
            {"min_value": 0.1, "max_value": 0.3},
            dtype,
        )
    whole = dataclasses.replace(
        MIN_MAX_NORM, oracle=lambda w, rate, **c: norms.min_max_norm(w, **c)
    )
    w, config = of((2, 4), [0.375, 0.75, 3, 0, 0.5, 1, 4, 0]), interval | {"rate": 0.25}
    title, hunts = "project goes all of the way, whatever the rate", "a step in place of it"
    yield whole.case("KN-MINMAXNORM-001", w, title, hunts, config, kind="projection")
    title, hunts = "the excess of norms below, inside and above, and of a zero group", "a sign"
    distances = [mpf("0.375"), mpf(0), mpf(3), mpf(1)]
    yield whole.excess("KN-MINMAXNORM-001", w, title, hunts, config, distances=distances)
    w, title = numbers("inside", (3, 4), scale=0.5), "weights inside come back bit for bit"
    config = {"max_value": 4.0, "rate": 0.3}
    yield MIN_MAX_NORM.case("KN-MINMAXNORM-002", w, title, EPSILON, config, exact=True)
    w = numbers("minmax-filter", CONV)
    yield MIN_MAX_NORM.case("KN-MINMAXNORM-003", w, PER_FILTER, KERAS_DEFAULT, FILTERS)
    w, title = of((2, 1), [3 * 2.0**40, 2.0**42]), "a norm far above the bound"
    yield MIN_MAX_NORM.case("KN-MINMAXNORM-004", w, title, "cancellation in 1 + rate * (q - 1)")
    yield MIN_MAX_NORM.case(
        "KN-MINMAXNORM-004",
        equal((4096, 1), 8),
        f"{IN_FLOAT16}, into [1, 500]",
        "a sum of squares in float16: NaN",
        {"min_value": 1.0, "max_value": 500.0},
        "float16",
    )
    for config, size in (
        ({"max_value": 0.5}, 2.0**-77),
        ({"max_value": 1e30}, 2.0**66),
        ({"min_value": 1e-25, "max_value": 1e-20}, 2.0**-80),
    ):
        bounds = f"{config.get('min_value', 0):.0e} to {config['max_value']:.0e}"
        yield MIN_MAX_NORM.case(
            "KN-MINMAXNORM-002",
            equal((2, 1), size),
            f"a norm of {size * 2**0.5:.0e} within {bounds} comes back bit for bit",
            f"squares that leave float32, at {size:.0e}",
            config,
            exact=True,
        )
    for low, high, rate in ((0.3, 1.7, 1.0), (0.3, 2.9, 0.3), (0.7, 3.7, 0.7)):
        config = {"min_value": low, "max_value": high, "rate": rate}
        w = equal((4, 3), mpf(9018) / 16384)  # a norm of 1.1
        title = f"feasible weights between {low} and {high}, rate {rate}, come back bit for bit"
        hunts = f"a factor that is not exactly 1 between {low} and {high}"
        yield from _eager_and_compiled(MIN_MAX_NORM, "KN-MINMAXNORM-002", w, title, hunts, config)
    w = of((2, 1), [3 * 2.0**100, 2.0**102])
    config = {"min_value": 1e20, "max_value": 1e25, "rate": 0.5}
    hunts = "squares that overflow"
    yield MIN_MAX_NORM.case("KN-MINMAXNORM-004", w, "a norm far above 1e25", hunts, config)
    w = of((2, 3), [3 * 2.0**100, 3 * 2.0**20, 0, 2.0**102, 2.0**22, 0])
    title = "norms far above 1e25 and far below 1e20, beside a zero group"
    hunts = "the largest entry of all groups in place of each group's own, between bounds"
    yield MIN_MAX_NORM.case("KN-MINMAXNORM-004", w, title, hunts, config)
    w = of((2, 2), [0.75 * 2.0**60, 2.0**61, 0.75 * 2.0**60, 2.0**61])
    title = "norms of 1.06 and 2.83 times 2**60 between bounds of 1 and 2 times it"
    hunts = "the largest entry for the norm of a group"
    config = {"min_value": 2.0**60, "max_value": 2.0**61}
    yield MIN_MAX_NORM.case("KN-MINMAXNORM-004", w, title, hunts, config)
    w, title = of((2, 1), [3 * 2.0**-26, 2.0**-24]), "a norm of 1e-7 is raised to 1"
    yield MIN_MAX_NORM.case("KN-MINMAXNORM-004", w, title, f"{EPSILON}: 0.5", interval)
    yield from breadth(MIN_MAX_NORM, "KN-MINMAXNORM-005", {"min_value": 0.25, "max_value": 0.75})
    yield from manners(MIN_MAX_NORM, "KN-MINMAXNORM-006", {"min_value": 0.5, "max_value": 1.5})
    for title, config, word in (
        ("min_value above max_value", {"min_value": 5, "max_value": 1}, "min_value=5, max_value=1"),
        ("rate=1.5", {"rate": 1.5}, "rate=1.5"),
        ("rate=nan", {"rate": {"float": "nan"}}, "rate=nan"),
        ("min_value=-1", {"min_value": -1}, "min_value=-1"),
    ):
        words = [f"Received: {word}"]
        yield MIN_MAX_NORM.raises("KN-MINMAXNORM-007", f"{title} is refused", config, words)
