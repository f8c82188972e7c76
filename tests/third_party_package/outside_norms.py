"""Constraints as others write them, for Keras alone: one is right, and five are subtly wrong."""

import keras
import numpy as np
from keras import ops

registered = keras.saving.register_keras_serializable("outside_norms")


@registered
class Capped(keras.constraints.Constraint):
    """Groups whose norm is above `max_value` are scaled down to it."""

    def __init__(self, max_value=2.0, axis=0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w):
        full = ops.cast(w, "float32")
        bounded = full * self.factor(self.norm(full))
        return ops.cast(bounded, w.dtype)

    def norm(self, w):
        # Squares of large weights overflow, so the largest is taken out of the sum.
        largest = ops.max(ops.abs(w), axis=self.axis, keepdims=True)
        scale = ops.where(largest == 0, ops.ones_like(largest), largest)
        return scale * ops.sqrt(ops.sum(ops.square(w / scale), axis=self.axis, keepdims=True))

    def factor(self, norm):
        return self.max_value / ops.maximum(norm, self.max_value)

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


@registered
class Epsilon(Capped):
    """An epsilon guards a division that needs no guard: all weights shrink at each step."""

    def factor(self, norm):
        return ops.minimum(norm, self.max_value) / (norm + 1e-7)


@registered
class WrongAxis(Capped):
    """The norm is one over the last axis, whatever `axis` says."""

    def norm(self, w):
        return ops.sqrt(ops.sum(ops.square(w), axis=-1, keepdims=True))


@registered
class NumpyDetour(Capped):
    """NumPy computes the norm: no compiler sees it, and it has no gradient."""

    def norm(self, w):
        values = ops.convert_to_numpy(w)
        return ops.convert_to_tensor(np.linalg.norm(values, axis=self.axis, keepdims=True))


@registered
class HalfPrecision(Capped):
    """Squares of weights in float16 are summed in float16, where 256**2 is infinite."""

    def __call__(self, w):
        norm = ops.sqrt(ops.sum(ops.square(w), axis=self.axis, keepdims=True))
        return w * self.factor(norm)


@registered
class KeepsState(Capped):
    """The bound tightens with each call, of which a saved model and compiled code know nothing."""

    def __init__(self, max_value=2.0, axis=0):
        super().__init__(max_value, axis)
        self.calls = 0

    def factor(self, norm):
        self.calls += 1
        bound = self.max_value * (1 + 1 / self.calls)
        return bound / ops.maximum(norm, bound)


def non_negative(w):
    """A constraint that is a function."""
    return ops.maximum(w, 0)


@registered
class Ridge(keras.regularizers.Regularizer):
    """A penalty of Keras' kind: the sum of squares."""

    def __init__(self, factor=0.01):
        self.factor = factor

    def __call__(self, w):
        return self.factor * ops.sum(ops.square(ops.cast(w, "float32")))

    def get_config(self):
        return {"factor": self.factor}
