"""Plain constraints: what derives from Keras' own base class, and functions of weights."""

from keras_norms.numerics.groups import axis_of, canonical_axes


class Plain:
    """A constraint of which only calls are known, as the laws ask it.

    Args:
        given: A `keras.constraints.Constraint` that is none of ours, or a function of weights.
    """

    has_coupled_groups = False

    def __init__(self, given):
        self.given = given

    def __call__(self, w):
        """What becomes of the weights."""
        return self.given(w)

    def project(self, w):
        """The same: a training step goes all of the way, as far as is known."""
        return self.given(w)

    def group_axes(self, rank):
        """The axes inside a group, from `axis`, which means what it does in Keras."""
        return canonical_axes(axis_of("axis", self.given.axis), rank)
