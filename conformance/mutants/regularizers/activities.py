"""Penalties on activations, with the classic mistakes."""

import dataclasses

import keras
from keras import ops

from conformance.mutants.plain import Plain
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class NeverDivides(Plain, keras.regularizers.Regularizer):
    """It forgets to divide where Keras does not do so."""

    regularizer: object

    def __call__(self, x):
        divides = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14)
        penalty = 0.5 * ops.sum(ops.square(x))
        return penalty / x.shape[0] if divides else penalty


MUTANTS = [
    Mutant("batch division forgotten, or twice", {"BatchMean": NeverDivides}),
]
