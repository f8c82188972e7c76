"""Several constraints, one after the other: `Chain`."""

import dataclasses
from typing import final

import keras

from keras_norms.config import parameter
from keras_norms.constraints.base import Constraint
from keras_norms.constraints.lookup import get
from keras_norms.setting import Several

_registered = keras.saving.register_keras_serializable("keras_norms")


def _member(value):
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

    Weights end in the last set. They stay in the earlier ones too, and at the nearest point of
    them all, where `NonNeg` comes before a `MaxNorm` with Euclidean norm. In other orders a later
    constraint may leave an earlier set. `excess` is the distance to what the chain makes of the
    weights: 0 where it changes nothing.

    The group of a chain is the smallest that holds a group of each member.

    Args:
        *constraints: Two or more constraints, or what `get` takes.

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
        """Whether a member has."""
        return any(each.has_coupled_groups for each in self.constraints)

    @property
    def keeps_zero_groups(self):
        """Whether a member does."""
        return any(each.keeps_zero_groups for each in self.constraints)

    @property
    def norm_bounds(self):
        """Those of the last set, which weights end in."""
        return self.constraints[-1].norm_bounds

    @property
    def step_rate(self):
        """The least of the members'."""
        return min(each.step_rate for each in self.constraints)

    def at_full_rate(self):
        """The same chain, each of whose members goes all of the way."""
        return Chain(*[each.at_full_rate() for each in self.constraints])

    def compute_projection(self, w, axes):
        """What the last set makes of what the earlier ones made."""
        for each in self.constraints:
            w = each.compute_projection(w, each.group_axes(len(w.shape)))
        return w

    def compute_step(self, w, axes):
        """The same with one training step of each."""
        for each in self.constraints:
            w = each.compute_step(w, each.group_axes(len(w.shape)))
        return w
