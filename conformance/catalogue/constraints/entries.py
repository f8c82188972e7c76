"""The cases of the constraints on each entry alone."""

import dataclasses

from conformance.catalogue.build import Subject
from conformance.catalogue.every import SAME_CONSTRAINT, manners
from conformance.catalogue.inputs import BITS, SHAPES, numbers, of
from conformance.oracles.constraints import entries

NON_NEG = Subject("non_neg", "NonNeg", entries.non_neg, axis=[], rounds=False)
CLIP = Subject("clip", "Clip", entries.clip, axis=[], rounds=False)
# Bounds that are not exact in the dtype are rounded to it.
ROUNDED_CLIP = dataclasses.replace(CLIP, rounds=True)

REQUIREMENTS = {
    "KN-NONNEG-001": ("the result is max(w, 0)", "`keras.constraints.NonNeg`"),
    "KN-NONNEG-002": SAME_CONSTRAINT,
    "KN-CLIP-001": (
        "entries move into [min_value, max_value], in every dtype",
        "nearest point of a box",
    ),
    "KN-CLIP-002": ("an infinite bound is no bound", "definition"),
    "KN-CLIP-003": SAME_CONSTRAINT,
    "KN-CLIP-004": ("bounds in the wrong order raise ValueError", "the set would be empty"),
}


def case_files():
    yield NON_NEG.file("forward", non_neg())
    yield CLIP.file("forward", clip())


def non_neg():
    title = "negative entries become 0, others stay"
    yield from every_rank(NON_NEG, "KN-NONNEG-001", title, "abs instead of max", {})
    w = of((2, 2), [-(2.0**-40), 2.0**-40, -(2.0**-100), -1])
    title, hunts = "tiny negative entries become 0, too", "a tolerance"
    yield NON_NEG.case("KN-NONNEG-001", w, title, hunts)
    yield from manners(NON_NEG, "KN-NONNEG-002", {})


def clip():
    config = {"min_value": -0.5, "max_value": 0.25}
    for dtype, subject in (("float32", ROUNDED_CLIP), ("float64", CLIP)):
        yield subject.case(
            "KN-CLIP-001",
            numbers("clip", (3, 4), dtype),
            "bounds that are not exact in binary are rounded to the dtype",
            "bounds rounded to float32",
            {"min_value": -0.1, "max_value": 0.3},
            dtype,
        )
    title = "entries move into the interval"
    yield from every_rank(CLIP, "KN-CLIP-001", title, "the bounds swapped", config)
    w, title = numbers("clip", (3, 4)), "an interval of positive numbers"
    config_above = {"min_value": 0.25, "max_value": 1.0}
    yield CLIP.case("KN-CLIP-001", w, title, "a bound that is taken for 0", config_above)
    for low, high in (({"float": "-inf"}, 0.25), (-0.5, {"float": "inf"})):
        stored = [b["float"] if isinstance(b, dict) else b for b in (low, high)]
        words = " to ".join(map(str, stored))
        yield CLIP.case(
            "KN-CLIP-002",
            numbers("clip", (3, 4)),
            f"one bound only, from {words}",
            f"an infinity that becomes NaN, from {words}",
            {"min_value": low, "max_value": high},
        )
        yield CLIP.case(
            "KN-CLIP-002",
            numbers("clip", (3, 4)),
            f"the config of one bound only, from {words}",
            f"an infinity that JSON cannot hold, from {words}",
            {"min_value": low, "max_value": high},
            kind="config_roundtrip",
            expected={"config": dict(zip(("min_value", "max_value"), stored, strict=True))},
        )
    yield from manners(CLIP, "KN-CLIP-003", config)
    yield CLIP.raises(
        "KN-CLIP-004",
        "min_value above max_value is refused",
        {"min_value": 1, "max_value": 0},
        ["Received: min_value=1, max_value=0"],
    )


def every_rank(subject, requirement, title, hunts, config):
    """Every rank, a scalar included, in every dtype."""
    for dtype in BITS:
        for shape in ((), *SHAPES.values()):
            w = numbers(f"{subject.name} {shape}", shape, dtype)
            words = f"{title}, rank {len(shape)}"
            yield subject.case(requirement, w, words, hunts, config, dtype)
