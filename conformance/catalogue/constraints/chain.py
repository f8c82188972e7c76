"""The cases of constraints that are applied one after the other."""

import functools

from conformance.catalogue.build import Subject, members, oracles
from conformance.catalogue.constraints.entries import NON_NEG
from conformance.catalogue.constraints.norms import MAX_NORM
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
    yield CHAIN.raises(
        "KN-CHAIN-003",
        "a chain of one is refused",
        members(MEMBERS[0]),
        ["two or more", "Received: "],
    )
