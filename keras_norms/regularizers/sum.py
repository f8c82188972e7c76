"""The sum of several penalties: `Sum`."""

import dataclasses
from typing import Any, final

import keras

from keras_norms.config import parameter
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES
from keras_norms.regularizers.activities import batch_size
from keras_norms.regularizers.base import Regularizer, loss_of
from keras_norms.regularizers.lookup import get_one
from keras_norms.setting import Several, ask

_registered = keras.saving.register_keras_serializable("keras_norms")


@_registered
@final
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Sum(Several, Regularizer):
    """The sum of several penalties, which `a + b` makes.

    Args:
        *regularizers: Two or more regularizers, ours or Keras', or what `get` takes.

    Raises:
        ValueError: If there are fewer than two, one is None, or a name is unknown.
        TypeError: If one of them is nothing that `get` takes.

    Example:
    >>> import keras_norms as kn
    >>> float((kn.L1(0.5) + kn.L2(0.5))([-3.0, 4.0]))
    16.0
    """

    regularizers: tuple[Any, ...] = parameter(get_one)

    @classmethod
    def examples(cls):
        """One of two penalties on weights."""
        return [cls("l1", "l2")]

    @property
    def for_activations(self):
        """Whether a term is for activations."""
        return any(ask(each, "for_activations", False) for each in self.regularizers)

    def for_weights(self):
        """The sum of the regularizers that its terms name for weights; None if there are none."""
        terms = [r.for_weights() if isinstance(r, Regularizer) else r for r in self.regularizers]
        kept = [term for term in terms if term is not None]
        return Sum(*kept) if len(kept) > 1 else next(iter(kept), None)

    @property
    def factors(self):
        """No names, because its terms have factors of their own."""
        return ()

    def why_never_zero(self, shape):
        """The reason of its first term that can never be 0; None if each of them can."""
        ours = (term for term in self.regularizers if isinstance(term, Regularizer))
        return next(filter(None, (term.why_never_zero(shape) for term in ours)), None)

    def reaching_zero(self, shape):
        """The sum of what its terms name for this shape."""
        terms = self.regularizers
        return Sum(*[r.reaching_zero(shape) if isinstance(r, Regularizer) else r for r in terms])

    def compute_loss(self, x):
        """The sum of what its terms return when they are called."""
        return sum(loss_of(each, x) for each in self.regularizers)

    def compute_penalty(self, x):
        """The sum of its terms; if one of them is for activations, what Keras makes of the sum."""
        total = self.compute_loss(x)
        is_divided = self.for_activations and DIVIDES_ACTIVITY_PENALTIES
        return total / batch_size(x, total.dtype) if is_divided else total
