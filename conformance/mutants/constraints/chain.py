"""Chains of constraints, with the classic mistakes."""

import keras_norms as kn
from keras_norms.testing.controls import Mutant


class Backwards:
    """It applies its members in the other order."""

    def __new__(cls, *members):
        return kn.Chain(*reversed(members))


class FirstOnly:
    """It applies its first member twice, and no other."""

    def __new__(cls, *members):
        return kn.Chain(members[0], members[0])


MUTANTS = [
    Mutant("a chain backwards", {"Chain": Backwards}),
    Mutant("a chain's first member only", {"Chain": FirstOnly}),
]
