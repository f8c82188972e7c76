"""The cases of constraints that are applied one after the other."""

import dataclasses
import functools

from conformance.catalogue.build import Subject, members, oracles
from conformance.catalogue.constraints.entries import NON_NEG
from conformance.catalogue.constraints.max_norm import MAX_NORM
from conformance.catalogue.constraints.norms import MIN_MAX_NORM
from conformance.catalogue.every import SAME_WITHOUT_SLOPE, manners
from conformance.catalogue.inputs import BITS, SHAPES, numbers
from conformance.oracles.constraints.chain import chain as oracle

MEMBERS = (NON_NEG, {}), (MAX_NORM, {"max_value": 1.5})
CHAIN = Subject("chain", "Chain", functools.partial(oracle, members=oracles(*MEMBERS)), slope=False)

REQUIREMENTS = {
    "KN-CHAIN-001": (
        "the members are applied one after the other; NonNeg and then MaxNorm is the nearest point "
        "of both sets",
        "Bauschke, Bui, Wang, SIAM J. Optim. 28, 2018",
    ),
    "KN-CHAIN-002": SAME_WITHOUT_SLOPE,
    "KN-CHAIN-003": ("a chain of one is refused", "it is a slip"),
}


def case_files():
    yield CHAIN.file("forward", chain())


def chain():
    for dtype in BITS:
        for rank, shape in SHAPES.items():
            yield CHAIN.case(
                "KN-CHAIN-001",
                numbers(f"chain {shape}", shape, dtype),
                f"first NonNeg, then MaxNorm, rank {rank}",
                "the other order: MaxNorm first leaves groups shorter",
                members(*MEMBERS),
                dtype,
            )
    yield from manners(CHAIN, "KN-CHAIN-002", members(*MEMBERS))
    yield _of_different_groups()
    yield from _of_different_rates()
    yield CHAIN.raises(
        "KN-CHAIN-003",
        "a chain of one is refused",
        members(MEMBERS[0]),
        ["two or more", "Received: "],
    )


def _of_different_groups():
    """Each member has its own axis."""
    parts = (MAX_NORM, {"max_value": 1.5}), (MAX_NORM, {"max_value": 1.0, "axis": 1})
    subject = dataclasses.replace(CHAIN, oracle=functools.partial(oracle, members=oracles(*parts)))
    w, title = numbers("two axes", (3, 4)), "the norm of each unit, and then of each input"
    return subject.case("KN-CHAIN-001", w, title, "one axis for all members", members(*parts))


def _of_different_rates():
    """A step goes a part of the way, and `project` all of it."""
    config = {"min_value": 1.0, "max_value": 1.5, "rate": 0.25}
    steps = (NON_NEG, {}), (MIN_MAX_NORM, config)
    w = numbers("a rate in a chain", (3, 4), scale=4)
    for kind, title, rate in (
        ("forward", "one step of a chain goes a quarter of the way", 0.25),
        ("projection", "a chain with a rate is projected all of the way", 1.0),
    ):
        ends = (NON_NEG, {}), (MIN_MAX_NORM, config | {"rate": rate})
        subject = dataclasses.replace(
            CHAIN, oracle=functools.partial(oracle, members=oracles(*ends))
        )
        given, hunts = members(*steps), "a rate that is ignored, or applied"
        yield subject.case("KN-CHAIN-001", w, title, hunts, given, kind=kind)
