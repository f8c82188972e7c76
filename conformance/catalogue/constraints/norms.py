"""The cases of `UnitNorm` and `MinMaxNorm`."""

import dataclasses

from mpmath import mpf

from conformance.catalogue.build import Subject
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
    bit_for_bit,
    breadth,
    manners,
)
from conformance.catalogue.inputs import BITS, CONV, equal, numbers, of
from conformance.oracles.constraints import norms

# A second application divides by a norm that is 1 but for rounding.
UNIT_NORM = Subject("unit_norm", "UnitNorm", norms.unit_norm, moves=4)
MIN_MAX_NORM = Subject("min_max_norm", "MinMaxNorm", norms.min_max_norm, moves=4)

REQUIREMENTS = {
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
    yield UNIT_NORM.file("forward", unit_norm())
    yield MIN_MAX_NORM.file("forward", min_max_norm())


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
        w = equal((4, GROUPS), mpf(9018) / 16384)  # a norm of 1.1
        title = f"feasible weights between {low} and {high}, rate {rate}, come back bit for bit"
        hunts = f"a factor that is not exactly 1 between {low} and {high}"
        yield from bit_for_bit(MIN_MAX_NORM, "KN-MINMAXNORM-002", w, title, hunts, config)
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
