"""The cases of the penalties on norms."""

from conformance.catalogue.build import Subject
from conformance.catalogue.every import SAME_PENALTY, long_sums, manners
from conformance.catalogue.inputs import BITS, SHAPES, equal, numbers
from conformance.oracles.regularizers import norms

L1 = Subject("l1", "L1", norms.l1, penalty=True)
L2 = Subject("l2", "L2", norms.l2, penalty=True)
L1L2 = Subject("l1l2", "L1L2", norms.l1l2, penalty=True)

DEFINITION = (
    "the penalty is l1 * sum(abs(x)) + l2 * sum(x**2), for any shape and dtype",
    "`keras.regularizers`",
)
FACTORS = (
    "factors are kept as they are given, and bad ones are refused; sums do not overflow float16",
    "Keras rounds L1's factor to float32",
)
LONG = ("penalties on many weights are as exact as on few", "XLA adds one term after another")
REQUIREMENTS = {
    "KN-L1-001": DEFINITION,
    "KN-L1-002": SAME_PENALTY,
    "KN-L1-003": FACTORS,
    "KN-L1-004": LONG,
    "KN-L2-001": DEFINITION,
    "KN-L2-002": SAME_PENALTY,
    "KN-L2-003": FACTORS,
    "KN-L2-004": LONG,
    "KN-L1L2-001": DEFINITION,
    "KN-L1L2-002": SAME_PENALTY,
    "KN-L1L2-003": (
        '"l1_l2" is found by its name',
        "Keras documents the name, and does not find it",
    ),
}


def case_files():
    yield L1.file("forward", penalty(L1, "KN-L1", {"l1": 0.5}))
    yield L1.file("exactness", exactness(L1, "KN-L1-003", "l1", 20000))
    yield L1.file("long", long_sums(L1, "KN-L1-004", {"l1": 0.5}))
    yield L2.file("forward", penalty(L2, "KN-L2", {"l2": 0.5}))
    yield L2.file("exactness", exactness(L2, "KN-L2-003", "l2", 4096))
    yield L2.file("long", long_sums(L2, "KN-L2-004", {"l2": 0.5}))
    yield L1L2.file("forward", penalty(L1L2, "KN-L1L2", {"l1": 0.25, "l2": 0.5}))
    yield L1L2.file("names", names())


def penalty(subject, requirement, config):
    """Values, in every dtype on every rank, and what must hold for every penalty."""
    for dtype in BITS:
        for shape in ((), *SHAPES.values()):
            yield subject.case(
                f"{requirement}-001",
                numbers(f"{subject.name} {shape}", shape, dtype),
                f"negative and positive entries, rank {len(shape)}",
                "a missing abs or square; a mean, or a sum over one axis only",
                config,
                dtype,
            )
        w = equal((2, 2), 0)
        yield subject.case(f"{requirement}-001", w, "all zero", "a NaN at zero", config, dtype)
    w, title = equal((32, 32), 300), "1024 entries of 300 in float16"
    hunts = "an overflow of float16"
    yield subject.case(f"{requirement}-001", w, title, hunts, config, "float16")
    yield from manners(subject, f"{requirement}-002", config)


def exactness(subject, requirement, factor, size):
    """Factors as they are given, and a sum of `size` entries, which half precision cannot hold."""
    w = numbers(f"exactness of {subject.name}", (3, 4))
    yield subject.case(
        requirement,
        w,
        "a factor of 0.1 is 0.1 in the config",
        "a factor rounded to float32: 0.10000000149",
        {factor: 0.1},
        kind="config_roundtrip",
        expected={"config": {factor: 0.1}},
    )
    title, hunts = "a NumPy number is a factor", "ValueError for np.float32(0.5)"
    yield subject.case(requirement, w, title, hunts, {factor: {"numpy": 0.5}})
    w, title = equal((size, 1), 8), f"a penalty of 1e-4 on {size} entries of 8 in float16"
    yield subject.case(requirement, w, title, "a sum in float16: inf", {factor: 1e-4}, "float16")
    # Twice the exponent of the largest float32: 0 times it would be NaN.
    w, title = equal((2, 1), 2.0**70), "a factor of 0 is no penalty, whatever the weights"
    yield subject.case(requirement, w, title, "0 times infinity", {factor: 0})
    for word, value in (("-0.005", -0.005), ("nan", {"float": "nan"})):
        title, words = f"a factor of {word} is refused", [f"Received: {factor}={word}"]
        yield subject.raises(requirement, title, {factor: value}, words)


def names():
    """The name that Keras documents for L1L2, and does not find."""
    title = "l1_l2 is found by its name, with both factors at 0.01"
    inputs, expected = {"name": "l1_l2"}, {"config": {"l1": 0.01, "l2": 0.01}}
    yield L1L2.about("by_name", "KN-L1L2-003", title, "ValueError", {}, inputs, expected)
