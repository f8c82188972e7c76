"""Classes of users that are no dataclasses, for tests of several files."""

import keras
from keras import ops

from keras_norms.constraints import Constraint

registered = keras.saving.register_keras_serializable("own_classes")


@registered
class Forgets(Constraint):
    """It takes two arguments, and its config has neither."""

    def __init__(self, bound=1.0, axis=0):
        self.bound, self.axis = bound, axis

    def compute_projection(self, w, axes):
        return ops.clip(w, -self.bound, self.bound)


@registered
class Remembers(Forgets):
    def get_config(self):
        return {"bound": self.bound, "axis": self.axis}
