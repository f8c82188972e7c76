"""Sums of penalties, with the classic mistakes."""

import keras_norms as kn
from keras_norms.testing.controls import Mutant


class FirstTermOnly:
    """It drops the terms after the first one."""

    def __new__(cls, *members):
        return kn.Sum(members[0], kn.L1(0.0))


MUTANTS = [
    Mutant("a sum of one term", {"Sum": FirstTermOnly}),
]
