"""The cases of sums of penalties."""

import functools

from conformance.catalogue.build import Subject, members, oracles
from conformance.catalogue.every import SAME_PENALTY, manners
from conformance.catalogue.inputs import BITS, numbers
from conformance.catalogue.regularizers.norms import L1, L2
from conformance.oracles.regularizers.sum import sum_of

MEMBERS = (L1, {"l1": 0.25}), (L2, {"l2": 0.5})
SUM = Subject("sum", "Sum", functools.partial(sum_of, members=oracles(*MEMBERS)), penalty=True)

REQUIREMENTS = {"KN-SUM-001": ("a + b is the sum", "definition"), "KN-SUM-002": SAME_PENALTY}


def case_files():
    yield SUM.file("forward", sums())


def sums():
    title, hunts = "L1 + L2 is the sum of both", "a term that is dropped"
    for dtype in BITS:
        w = numbers("sum", (3, 4), dtype)
        yield SUM.case("KN-SUM-001", w, title, hunts, members(*MEMBERS), dtype)
    yield from manners(SUM, "KN-SUM-002", members(*MEMBERS))
