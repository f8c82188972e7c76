"""The base class of the constraints: a set, and the map that puts weights into it."""

import math
from typing import Any, Self

import keras
from keras import ops

from keras_norms.numerics.groups import all_axes, map_parts
from keras_norms.numerics.norms import l2_of_any_size
from keras_norms.numerics.precision import as_tensor, is_half, lift, lower
from keras_norms.setting import Setting


class Constraint(Setting, keras.constraints.Constraint):
    """Base class of the constraints: a closed set, and the map that puts weights into it.

    A subclass is a frozen dataclass. It overrides `compute_projection`, and has a field `axis`
    unless its set is elementwise. It overrides `compute_step` if one training step goes only a
    part of the way, and `compute_excess` if the distance from the set is not the distance to the
    projection. Everything else that the package asks of it has a default: `convex`,
    `has_coupled_groups`, `keeps_zero_groups`, `inexactness`, `norm_bounds`, `step_rate`,
    `is_sparse`, `is_exact`, `needs_layout`, `at_full_rate`, `audit_columns` and `for_layout`. A
    class that overrides `__call__` only, as those written for `keras.constraints.Constraint` do,
    works too.

    Attributes:
        axis: The axes inside a group, as the user gave them; `()` for an elementwise set.

    Example:
    >>> import dataclasses, keras
    >>> from keras_norms.constraints import Constraint
    >>> @keras.saving.register_keras_serializable("my_package")
    ... @dataclasses.dataclass(frozen=True)
    ... class AtMostOne(Constraint):
    ...     def compute_projection(self, w, axes):
    ...         return keras.ops.minimum(w, 1)
    >>> constraint = AtMostOne()
    >>> print(keras.ops.convert_to_numpy(constraint([0.5, 3.0])))
    [0.5 1. ]
    >>> print(keras.ops.convert_to_numpy(constraint.excess([0.5, 3.0])))
    [0. 2.]
    """

    axis: Any = ()

    def __call__(self, w: Any) -> Any:
        """The weights as Keras sets them after each optimizer step.

        Args:
            w: A `keras.Variable`, tensor or array of floating-point numbers, of any shape.

        Returns:
            A tensor of the same shape and dtype.

        Raises:
            TypeError: If `w` does not hold floating-point numbers.
            ValueError: If `w` lacks an axis that `axis` names, or its rows have several lengths.
        """
        if type(self) is Constraint:  # no set at all: the weights stay, as in Keras
            return w
        if not self._defines(Constraint, "compute_projection", "compute_step"):
            raise self._unfinished("compute_projection(w, axes)")  # perhaps called by a subclass
        return self._map(self.compute_step, w)

    def project(self, w: Any) -> Any:
        """The weights put into the set, exactly: a tensor of the shape and dtype of `w`.

        The excess afterwards is at most `(4 + log2(n)) * eps(dtype)` times the bound, with n the
        number of entries in a group, and `inexactness` times the norm of the weight. A second
        projection moves weights by no more than that; with `MaxNorm`, `NonNeg`, `Clip` and
        `Simplex`, it does not change float32 and float64 weights at all. Arguments and errors are
        those of `__call__`.

        Weights in float16 or bfloat16 become the numbers of that dtype that are nearest to the
        exact ones. float16 holds nothing beyond 65504, and below 6e-5 its numbers are 6e-8 apart,
        so 36 equal weights under `MaxNorm(1e-6)` end with a norm of 1.07e-6, and an entry that
        `Simplex(1e5)` makes larger than 65504 is infinite.

        Two kinds of groups stay outside the set. A group of zeros does, if its norm must not be 0,
        because no direction is nearer than another. A group of norm above 1.8e19, whose square
        overflows float32, becomes zero, unless the bound is tiny or huge.
        """
        return self._map(self.compute_projection, w)

    def excess(self, w: Any) -> Any:
        """The distance of each group from the set, in float32 or float64: 0 for a group in the set.

        The shape is that of `w` without the axes inside a group. An elementwise set has one
        distance per entry, and a set with coupled groups has one number. Arguments and errors are
        those of `__call__`.
        """
        tensor = lift(as_tensor(w))
        axes = self.axes_for(w)  # which names the variable in its error
        outside = [size for a, size in enumerate(tensor.shape) if a not in axes]
        shape = () if self.has_coupled_groups else outside
        return ops.reshape(self.compute_excess(tensor, axes), shape)

    def compute_projection(self, w: Any, axes: tuple[int, ...]) -> Any:
        """The point of the set that `w` is moved to. A subclass defines this.

        Args:
            w: A tensor of float32 or float64. float16 and bfloat16 were cast up before, and the
                result is cast back after.
            axes: The axes inside a group, a tuple of sorted, non-negative integers.

        Returns:
            A tensor of the shape and dtype of `w`.
        """
        if not self._defines(Constraint, "__call__"):
            raise self._unfinished("compute_projection(w, axes)")
        return self(w)

    def compute_step(self, w: Any, axes: tuple[int, ...]) -> Any:
        """`w` after one training step: the projection, unless a subclass goes a part of the way.

        Arguments and result are those of `compute_projection`.
        """
        return self.compute_projection(w, axes)

    def compute_excess(self, w: Any, axes: tuple[int, ...]) -> Any:
        """The distance of each group from the set: by default, the distance to the projection.

        Arguments are those of `compute_projection`.

        Returns:
            A tensor of the shape of `w`, in which the axes inside a group have length 1 or are
            gone; one number for a set with coupled groups.
        """
        moved = w - self.compute_projection(w, axes)
        return l2_of_any_size(moved, all_axes(w) if self.has_coupled_groups else axes)

    @property
    def convex(self) -> bool:
        """Whether the set is convex, and the map goes to the nearest point of it.

        If it does, `keras_norms.testing.laws` checks more laws. A subclass writes `convex = True`.
        """
        return False

    @property
    def has_coupled_groups(self) -> bool:
        """Whether groups depend on one another, as in a bound on the largest singular value.

        If they do, `excess` is one number.
        """
        return False

    @property
    def keeps_zero_groups(self) -> bool:
        """Whether a group of zeros stays zero, although it is not in the set.

        On a sphere, every point is equally near to it, so none is chosen.
        """
        return False

    @property
    def inexactness(self) -> float:
        """How far `project` may be from its exact result, as a part of the norm of the weight.

        It counts beside rounding, and is more than 0 if the map is computed by iterations.
        """
        return 0.0

    @property
    def norm_bounds(self) -> tuple[float, float]:
        """The least and the largest Euclidean norm that a group in the set can have."""
        return 0.0, math.inf

    @property
    def step_rate(self) -> float:
        """The part of the way that one training step goes, in [0, 1]."""
        return 1.0

    @property
    def is_sparse(self) -> bool:
        """Whether its set is one of weights with zeros, which a mask of these zeros can replace."""
        return False

    @property
    def is_exact(self) -> bool:
        """Whether its set is the same in half precision: by default, if it is one of zeros.

        A bound is not, because float16 and bfloat16 round the weights on it.
        """
        return self.is_sparse

    def at_full_rate(self) -> Self:
        """The same constraint, but with steps that go all of the way."""
        return self

    def _map(self, function, w):
        tensor = as_tensor(w)
        if None in tuple(tensor.shape):
            raise ValueError(
                f"The shape of weights must be known. Received: shape={tuple(tensor.shape)}"
            )
        axes = self.axes_for(w)  # which names the variable in its error

        def map_part(part):
            return lower(function(lift(part), axes), part)

        if self.has_coupled_groups or not is_half(tensor):
            return map_part(tensor)
        return map_parts(map_part, tensor, axes)
