"""The base class of the regularizers: a scalar penalty."""

import dataclasses
from typing import Any, Self

import keras
from keras import ops

from keras_norms.config import nonnegative, parameter
from keras_norms.numerics.precision import lift_numbers, lower_to_floatx
from keras_norms.regularizers.lookup import CLASSES
from keras_norms.setting import Setting


def factor(default):
    """A field for a factor that scales a penalty; None means its default, as in Keras."""

    def check(name, value):
        return nonnegative(name, default if value is None else value)

    return parameter(check, default, is_factor=True)


def times(factor, penalty, x):
    """A factor times a penalty. A factor of 0 leaves it out: 0 times infinity would be NaN."""
    return factor * penalty(x) if factor != 0 else ops.zeros((), dtype=x.dtype)


def loss_of(regularizer, x):
    """What a regularizer of any make returns for `x`, a tensor of float32 or float64, in its dtype.

    A call of ours would round it to `floatx`.
    """
    if isinstance(regularizer, Regularizer):
        return regularizer.compute_loss(x)
    return ops.cast(regularizer(x), x.dtype)


class Regularizer(Setting, keras.regularizers.Regularizer):
    """Base class of the regularizers: a scalar penalty.

    A subclass is a frozen dataclass that overrides `compute_penalty`. Everything else that the
    package asks of it has a default: `for_activations`, `for_weights`, `factors`,
    `with_factor`, `why_never_zero`, `reaching_zero`, `audit_columns` and `for_layout`. A class that
    overrides `__call__` only, as those written for `keras.regularizers.Regularizer` do, works too.

    Example:
    >>> import dataclasses, keras
    >>> from keras_norms.regularizers import Regularizer
    >>> @keras.saving.register_keras_serializable("my_package")
    ... @dataclasses.dataclass(frozen=True)
    ... class Mean(Regularizer):
    ...     def compute_penalty(self, x):
    ...         return keras.ops.mean(x)
    >>> float(Mean()([1.0, 3.0]))
    2.0

    The sum of penalties is a penalty, of which one may be Keras' own:
    >>> import keras_norms as kn
    >>> kn.L1(0.1) + kn.L2(0.2)
    Sum(L1(l1=0.1), L2(l2=0.2))
    """

    def __add__(self, other: Any) -> Any:
        return CLASSES["Sum"](self, other) if callable(other) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        if type(other) is int and other == 0:  # where `sum` starts
            return self
        return CLASSES["Sum"](other, self) if callable(other) else NotImplemented

    def __call__(self, x: Any) -> Any:
        """The penalty as Keras adds it to the loss: a float32 or float64 scalar.

        Args:
            x: A `keras.Variable`, tensor or array of numbers, of any shape: weights, or a
                layer's output with the batch as its first axis.

        Raises:
            TypeError: If `x` does not hold real numbers.

        It is computed in float32 at least. If `keras.config.floatx()` is float16 or bfloat16,
        TensorFlow adds losses of that dtype only, so it is returned in it.
        """
        if not self._defines(Regularizer, "compute_penalty", "compute_loss"):
            raise self._unfinished("compute_penalty(x)")  # perhaps called by a subclass
        return lower_to_floatx(self.compute_loss(lift_numbers(x)))

    def value(self, x: Any) -> Any:
        """The penalty itself, without what a call does to make up for a division by Keras."""
        return self.compute_penalty(lift_numbers(x))

    def compute_loss(self, x: Any) -> Any:
        """What a call returns, before it is rounded to `floatx`: by default, the penalty.

        Arguments and result are those of `compute_penalty`.
        """
        return self.compute_penalty(x)

    def compute_penalty(self, x: Any) -> Any:
        """The penalty of `x`. A subclass defines this.

        Args:
            x: A tensor of float32 or float64. float16 and bfloat16 were cast up before.

        Returns:
            A scalar tensor of the dtype of `x`.
        """
        if not self._defines(Regularizer, "__call__"):
            raise self._unfinished("compute_penalty(x)")
        return self(x)

    @property
    def for_activations(self) -> bool:
        """Whether it needs a batch of outputs, so that it makes no sense for a weight."""
        return False

    def for_weights(self) -> Any:
        """The regularizer to use on a weight instead: by default itself; None if there is none."""
        return self

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the fields that scale the penalty: in a class of yours, the float fields."""
        if not dataclasses.is_dataclass(self):
            return ()
        fields = dataclasses.fields(self)
        return tuple(
            f.name for f in fields if f.metadata.get("is_factor", f.type in (float, "float"))
        )

    def with_factor(self, name: str, value: float) -> Any:
        """The same regularizer with another value of one of its `factors`."""
        this: Any = self  # a dataclass, as it has factors
        return dataclasses.replace(this, **{name: value})

    def why_never_zero(self, shape: tuple[int, ...]) -> str | None:
        """Why the penalty can never be 0 for a weight of this shape; None if it can.

        Returns:
            A clause such as "8 rows of 4 entries cannot all be orthogonal".
        """
        return None

    def reaching_zero(self, shape: tuple[int, ...]) -> Self:
        """The regularizer to use instead, which can be 0 for this shape; itself if it can."""
        return self
