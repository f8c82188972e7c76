"""The cases of the sets that are no Euclidean norm: other orders, thresholds, boxes, chains."""

from mpmath import mpf

from conformance.catalogue.build import BITS, SHAPES, SOME_AXES, constraint, numbers, of, raises
from conformance.catalogue.every import bad_bounds, breadth, manners, named

PER_FILTER = "per-filter axis: [0, 1, 2] on a Conv2D kernel is one norm per filter"
CONV = (2, 3, 4, 5)


def max_norm_of_other_orders():
    by_hand = of((3, 1), [0.5, 2.125, -3.5])
    for order, requirement in ((1, "KN-MAXNORM-011"), ("inf", "KN-MAXNORM-012")):
        yield from breadth(
            "max_norm",
            requirement,
            {"max_value": 0.75, "ord": order},
            **({"forms": SOME_AXES, "only": {"axis": [0, 1]}} if order == 1 else {}),
        )
        yield from manners(
            "max_norm", requirement, {"max_value": 1.5, "ord": order}, gradients=order != 1
        )
        yield constraint(
            "max_norm",
            requirement,
            numbers("inside", (3, 4), "float32", 0.125),
            "float32",
            f"weights inside come back bit for bit, ord {order}",
            "a threshold below zero",
            {"ord": order},
            exact=True,
        )
        yield constraint(
            "max_norm",
            requirement,
            numbers("per-filter", CONV, "float32", 1),
            "float32",
            f"{PER_FILTER}, ord {order}",
            "axis=0, Keras' default",
            {"axis": [0, 1, 2], "ord": order},
        )
    yield constraint(
        "max_norm",
        "KN-MAXNORM-011",
        by_hand,
        "float32",
        "by hand: [0.5, 2.125, -3.5] in the L1 ball of radius 2",
        "a rescaling, which is not the nearest point",
        {"max_value": 2.0, "ord": 1},
    )
    yield from thresholds("max_norm", "KN-MAXNORM-013", {"max_value": 1.0, "ord": 1})


def thresholds(name, requirement, config):
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
        yield constraint(
            name,
            requirement,
            of((len(entries), 1), entries),
            "float32",
            f"{title}, {named(config)}",
            hunts,
            config,
        )


def elementwise(name, requirement, config, title, hunts):
    """Every rank and dtype, with negative zero, the smallest and the largest numbers."""
    for dtype in BITS:
        for shape in ((), *SHAPES.values()):
            yield constraint(
                name,
                requirement,
                numbers(f"{name} {shape}", shape, dtype, 1),
                dtype,
                f"{title}, rank {len(shape)}",
                hunts,
                config,
                exact=True,
            )


def non_neg():
    yield from elementwise(
        "non_neg",
        "KN-NONNEG-001",
        {},
        "negative entries become 0, others stay",
        "abs instead of max",
    )
    yield from manners("non_neg", "KN-NONNEG-002", {})


def clip():
    for dtype in ("float32", "float64"):
        yield constraint(
            "clip",
            "KN-CLIP-001",
            numbers("clip", (3, 4), dtype, 1),
            dtype,
            "bounds that are not exact in binary are rounded to the dtype",
            "bounds rounded to float32",
            {"min_value": -0.1, "max_value": 0.3},
            reduced=0 if dtype == "float64" else 1,
        )
    yield from elementwise(
        "clip",
        "KN-CLIP-001",
        {"min_value": -0.5, "max_value": 0.25},
        "entries move into the interval",
        "the bounds swapped",
    )
    for low, high in (("-inf", 0.25), (-0.5, "inf")):
        config = {
            "min_value": {"float": low} if isinstance(low, str) else low,
            "max_value": {"float": high} if isinstance(high, str) else high,
        }
        yield constraint(
            "clip",
            "KN-CLIP-002",
            numbers("clip", (3, 4), "float32", 1),
            "float32",
            f"one bound only, from {low} to {high}",
            f"an infinity that becomes NaN, from {low} to {high}",
            config,
            oracle={"min_value": float(low), "max_value": float(high)},
            exact=True,
        )
    yield from manners("clip", "KN-CLIP-003", {"min_value": -0.5, "max_value": 0.25})
    yield raises(
        "clip",
        "KN-CLIP-004",
        "min_value above max_value is refused",
        {"min_value": 1, "max_value": 0},
        "ValueError",
        ["Received: min_value=1, max_value=0"],
    )


def simplex():
    yield constraint(
        "simplex",
        "KN-SIMPLEX-001",
        of((3, 1), [0.5, 2.125, -3.5]),
        "float32",
        "by hand: [0.5, 2.125, -3.5] becomes [0, 1, 0]",
        "a softmax or a rescaling",
        {},
    )
    yield constraint(
        "simplex",
        "KN-SIMPLEX-001",
        of((4, 2), [0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0, 0.25]),
        "float32",
        "points of the simplex come back bit for bit",
        "a threshold that is zero but for rounding",
        {},
        exact=True,
    )
    yield from breadth(
        "simplex", "KN-SIMPLEX-002", {"total": 1.5}, forms=SOME_AXES, only={"axis": [0, 1]}
    )
    yield from manners("simplex", "KN-SIMPLEX-003", {"total": 1.5}, gradients=False)
    yield from thresholds("simplex", "KN-SIMPLEX-004", {"total": 1.0})
    yield from bad_bounds("simplex", "KN-SIMPLEX-005", "total")


def chain():
    members = (("non_neg", {}), ("max_norm", {"max_value": 1.5}))
    config = {
        "members": [
            {"class_name": "NonNeg", "config": {}},
            {"class_name": "MaxNorm", "config": {"max_value": 1.5}},
        ]
    }
    for dtype in BITS:
        for rank, shape in SHAPES.items():
            yield constraint(
                "chain",
                "KN-CHAIN-001",
                numbers(f"chain {shape}", shape, dtype, 1),
                dtype,
                f"first NonNeg, then MaxNorm, rank {rank}",
                "the other order: MaxNorm first leaves groups shorter",
                config,
                oracle={"constraints": members},
            )
    yield from manners(
        "chain", "KN-CHAIN-002", config, gradients=False, oracle={"constraints": members}
    )
    yield raises(
        "chain",
        "KN-CHAIN-003",
        "a chain of one is refused",
        {"members": config["members"][:1]},
        "ValueError",
        ["two or more", "Received: "],
    )
