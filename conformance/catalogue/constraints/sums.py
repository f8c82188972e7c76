"""The cases of the constraints on the sum of each group, which are found by a threshold."""

import dataclasses

from mpmath import mpf

from conformance.catalogue.build import Subject
from conformance.catalogue.every import (
    EVERY_AXIS,
    SAME_CONSTRAINT,
    SAME_WITHOUT_SLOPE,
    bad_bounds,
    breadth,
    manners,
    named,
)
from conformance.catalogue.inputs import numbers, of
from conformance.oracles.constraints import sums

# A threshold is as exact as the largest entry, no more.
SIMPLEX = Subject("simplex", "Simplex", sums.simplex, scale="largest", loops=True, slope=False)
ZERO_MEAN = Subject("zero_mean", "ZeroMean", sums.zero_mean, scale="largest", moves=1)

REQUIREMENTS = {
    "KN-SIMPLEX-001": (
        "the result is the nearest point whose entries are not negative and sum to `total`; points "
        "of the set stay bit for bit",
        "Michelot, JOTA 50, 1986",
    ),
    "KN-SIMPLEX-002": ("every form of axis works, in every dtype", "NumPy's meaning of `axis`"),
    "KN-SIMPLEX-003": SAME_WITHOUT_SLOPE,
    "KN-SIMPLEX-004": (
        "it is exact for long groups, for ties, and for entries far apart",
        "sums and thresholds round",
    ),
    "KN-SIMPLEX-005": (
        "a bad total or axis raises one exception type, which quotes it",
        "the set would be empty",
    ),
    "KN-ZEROMEAN-001": (
        "the result is the nearest point whose entries sum to 0; a group that sums to 0 stays bit "
        "for bit",
        "Huang et al., ICCV 2017",
    ),
    "KN-ZEROMEAN-002": EVERY_AXIS,
    "KN-ZEROMEAN-003": SAME_CONSTRAINT,
    "KN-ZEROMEAN-004": (
        "it is exact for long groups, for a mean that is large beside what is left, and for the "
        "largest and the smallest weights",
        "sums round, and overflow",
    ),
    "KN-ZEROMEAN-005": ("a bad axis raises ValueError, which quotes it", "Keras' voice"),
}


def case_files():
    yield SIMPLEX.file("forward", simplex())
    yield ZERO_MEAN.file("forward", zero_mean())


def simplex():
    yield SIMPLEX.case(
        "KN-SIMPLEX-001",
        of((3, 1), [0.5, 2.125, -3.5]),
        "by hand: [0.5, 2.125, -3.5] becomes [0, 1, 0]",
        "a softmax or a rescaling",
    )
    yield SIMPLEX.case(
        "KN-SIMPLEX-001",
        of((4, 2), [0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0, 0.25]),
        "points of the simplex come back bit for bit",
        "a threshold that is zero but for rounding",
        exact=True,
    )
    yield SIMPLEX.case(
        "KN-SIMPLEX-001",
        of((3, 1), [-(2.0**-12), 0.5 + 2.0**-12, 0.5]),
        "a small negative entry, although the sum is right, is moved to zero",
        "a set that its sum alone decides",
    )
    yield from breadth(SIMPLEX, "KN-SIMPLEX-002", {"total": 1.5})
    yield from manners(SIMPLEX, "KN-SIMPLEX-003", {"total": 1.5})
    yield from thresholds(SIMPLEX, "KN-SIMPLEX-004", {"total": 1.0})
    yield from bad_bounds(SIMPLEX, "KN-SIMPLEX-005", "total")


def zero_mean():
    yield ZERO_MEAN.case(
        "KN-ZEROMEAN-001",
        of((3, 1), [0.5, 2, -1]),
        "by hand: [0.5, 2, -1] becomes [0, 1.5, -1.5]",
        "a median, or a mean over n - 1",
        exact=True,
    )
    yield ZERO_MEAN.case(
        "KN-ZEROMEAN-001",
        of((3, 3), [0.5, 0, 3, 0.25, 0, -4, -0.75, 0, 1]),
        "groups that sum to 0 come back bit for bit",
        "a mean that is rounding",
        exact=True,
    )
    w = numbers("the mean of each filter", (2, 2, 3, 4))
    title, hunts = "one mean per filter of a convolution", "a mean over rows only"
    yield ZERO_MEAN.case("KN-ZEROMEAN-002", w, title, hunts, {"axis": [0, 1, 2]})
    yield from breadth(ZERO_MEAN, "KN-ZEROMEAN-002", {})
    yield from manners(ZERO_MEAN, "KN-ZEROMEAN-003", {})
    pattern = [mpf(n) for n in (3, -1, 2, -4, 1, 5, -2, -3)]
    n = 2**16
    for title, hunts, entries, dtype in (
        ("a mean of a million", "one pass", [10**6 + x / 16 for x in pattern] * 17, "float32"),
        ("a mean of 2**40 in float64", "float32", [mpf(2) ** 40 + x for x in pattern], "float64"),
        (
            "many entries",
            "one term after another",
            [mpf(27033) / 8192, mpf(1)] * (n // 2),
            "float32",
        ),
        ("one entry beside many", "a lost entry", [mpf(4096)] + [mpf(-0.125)] * (n - 1), "float32"),
        ("a prime number of entries", "a wrong count", (pattern * 126)[:1009], "float32"),
        (
            "the largest weights",
            "a sum that overflows",
            [x * 2**125 for x in pattern[:4]],
            "float32",
        ),
        ("tiny weights", "an epsilon", [x * mpf(2) ** -100 for x in pattern[:5]], "float32"),
        ("a single entry", "a mean over n - 1", [mpf(0.375)], "float32"),
        ("4096 entries of 16 in float16", "a sum in float16", [mpf(16), mpf(17)] * 2048, "float16"),
    ):
        w = of((len(entries), 1), entries)
        yield ZERO_MEAN.case("KN-ZEROMEAN-004", w, title, hunts, dtype=dtype)
    yield ZERO_MEAN.case(
        "KN-ZEROMEAN-004",
        numbers("again zero_mean", (33, 60)),
        "a second application moves none of 60 groups",
        "a mean without room for rounding",
        kind="idempotent",
        times=3,
        expected={"moves": 0},
    )
    w = numbers("bad axis", (3, 4))
    for axis in (2, [0, 0]):
        title = f"axis={axis} is refused on rank 2"
        yield ZERO_MEAN.raises("KN-ZEROMEAN-005", title, {"axis": axis}, ["Received: axis="], w)


def thresholds(subject, requirement, config):
    """What breaks sums, sorts and thresholds. The unit tests go on to a million entries."""
    n = 2**16
    ties = list(map(mpf, (1, 0.5, 0.5, 0.5, 0.25, 0)))
    large_and_many = [mpf(0.875)] + [mpf(2.0**-18)] * (n - 1)
    for title, hunts, entries in (
        ("many equal entries", "a sum of one term after another", [mpf(27033) / 8192] * n),
        ("many equal large entries", "a threshold that large entries round", [mpf(10) ** 8] * n),
        ("one dominant entry among many", "a lost support", [mpf(5)] + [mpf(0.125)] * (n - 1)),
        ("one large entry and many that share the rest", "a threshold too coarse", large_and_many),
        ("ties at the threshold", "a tie that is counted once", ties),
        ("halves of halves", "too few steps", [mpf(2.0**-k) for k in range(40)]),
        ("tiny entries", "an epsilon", [mpf(3 * 2.0**-60), mpf(2.0**-61)]),
        ("large and small", "digits lost in a running sum", [mpf(2.0**60), mpf(1), mpf(2.0**-60)]),
        ("a single entry", "an empty support", [mpf(0.375)]),
    ):
        w = of((len(entries), 1), entries)
        yield subject.case(requirement, w, f"{title}, {named(config)}", hunts, config)
    # Each of these is off by less than an ulp of the largest, even if it is lost.
    yield dataclasses.replace(subject, scale="norm").case(
        requirement,
        of((n, 1), [1 - mpf(2.0**-10)] + [mpf(2.0**-25)] * (n - 1)),
        f"many small entries beside one that is almost the sum, {named(config)}",
        "entries measured from the largest, which rounds the small ones",
        config,
    )
    # Thirty steps of float32 beyond the set, where twelve are rounding.
    beyond = of((4, 1), [(1 + 30 * mpf(2) ** -23) / 4] * 4)
    title = f"a sum off by more than rounding, {named(config)}"
    yield subject.case(requirement, beyond, title, "a set that is too wide", config)
    beyond = of((4, 1), [(1 + mpf(2) ** -32) / 4] * 4)
    title = f"a sum off by 2e-10 in float64, {named(config)}"
    hunts = "the rounding of float32 in float64"
    yield subject.case(requirement, beyond, title, hunts, config, "float64")
    # Of so many groups, some end with a sum that is off by rounding.
    yield subject.case(
        requirement,
        numbers(f"again {subject.name}", (33, 60)),
        f"a second application moves none of 60 groups, {named(config)}",
        "a set without room for rounding",
        config,
        kind="idempotent",
        times=3,
        expected={"moves": 0},
    )
    huge = {next(iter(config)): 2e38}
    yield subject.case(
        requirement,
        of((3, 1), [mpf(1.25) * 2**127, mpf(2) ** 126, mpf(2) ** 60]),
        f"the largest bounds of float32, {named(config | huge)}",
        "a unit whose inverse is subnormal",
        config | huge,
    )
