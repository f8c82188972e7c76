"""Several constraints, one after the other: `Chain`."""

import dataclasses
from typing import final

import keras

from keras_norms.config import parameter
from keras_norms.constraints.base import Constraint
from keras_norms.constraints.lookup import get
from keras_norms.setting import Several

_registered = keras.saving.register_keras_serializable("keras_norms")


def _member(name, value):
    constraint = get(value)
    is_ours = isinstance(constraint, Constraint)
    if not is_ours or type(constraint).compute_projection is Constraint.compute_projection:
        raise TypeError(
            "A Chain is made of the constraints of keras_norms, or of subclasses of its "
            f"`Constraint` that define `compute_projection`. Received: {value!r}"
        )
    return constraint


@_registered
@final
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Chain(Several, Constraint):
    """Several constraints, one after the other.

    The weights end in the last set. If `NonNeg` comes before a `MaxNorm` with Euclidean norm, they
    end in both sets, at the nearest point of both. In other orders, a later constraint may move
    them out of an earlier set. `excess` is how far the chain moves the weights: 0 if it changes
    nothing.

    The group of a chain is the smallest that holds a group of each member.

    Args:
        *constraints: Two or more constraints of keras_norms, or their names, classes or configs.

    Raises:
        ValueError: If there are fewer than two, or a name is unknown.
        TypeError: If one of them is not a constraint of keras_norms.

    Example:
    >>> import keras, keras_norms as kn
    >>> chain = kn.Chain(kn.NonNeg(), kn.MaxNorm(1.0))
    >>> print(keras.ops.convert_to_numpy(chain([[3.0, -0.3], [4.0, 0.4]])))
    [[0.6 0. ]
     [0.8 0.4]]
    """

    constraints: tuple[Constraint, ...] = parameter(_member)

    @classmethod
    def examples(cls):
        """One whose result is the nearest point of both sets."""
        return [cls("non_neg", "max_norm")]

    @property
    def has_coupled_groups(self):
        """Whether a member has coupled groups."""
        return any(each.has_coupled_groups for each in self.constraints)

    @property
    def keeps_zero_groups(self):
        """Whether a member keeps them."""
        return any(each.keeps_zero_groups for each in self.constraints)

    @property
    def inexactness(self):
        """What those of its members sum up to."""
        return sum(each.inexactness for each in self.constraints)

    @property
    def norm_bounds(self):
        """The bounds of the last set, in which the weights end."""
        return self.constraints[-1].norm_bounds

    @property
    def step_rate(self):
        """The smallest rate of a member."""
        return min(each.step_rate for each in self.constraints)

    def at_full_rate(self):
        """The same chain, but with members that go all of the way."""
        return Chain(*[each.at_full_rate() for each in self.constraints])

    def compute_projection(self, w, axes):
        """The projections of the members, one after the other."""
        for each in self.constraints:
            w = each.compute_projection(w, each.group_axes(len(w.shape)))
        return w

    def compute_step(self, w, axes):
        """One training step of each member, one after the other."""
        for each in self.constraints:
            w = each.compute_step(w, each.group_axes(len(w.shape)))
        return w
