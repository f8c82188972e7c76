"""The base class of the constraints: a set, and the map into it."""

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from keras_norms.config import Configured
from keras_norms.groups import canonical_axes
from keras_norms.norms import l2
from keras_norms.precision import lift, lower


class Constraint(Configured, keras.constraints.Constraint):
    """Base class of the constraints: a closed set, and the map that puts weights into it.

    A subclass is a frozen dataclass that defines `_project(w, axes)`, where `w` is a tensor of
    float32 or float64 and `axes` the axes inside a group, and has a field `axis` unless its set
    is elementwise. It may define `_step`, when one training step goes only a part of the way,
    and `_distance`, when a zero group has no nearest point. A class that only overrides
    `__call__`, as one made for `keras.constraints.Constraint` does, works too.

    Example:
    >>> import dataclasses, keras
    >>> from keras_norms.constraints import Constraint
    >>> @keras.saving.register_keras_serializable("my_package")
    ... @dataclasses.dataclass(frozen=True)
    ... class AtMostOne(Constraint):
    ...     def _project(self, w, axes):
    ...         return keras.ops.minimum(w, 1)
    >>> constraint = AtMostOne()
    >>> print(keras.ops.convert_to_numpy(constraint([0.5, 3.0])))
    [0.5 1. ]
    >>> print(keras.ops.convert_to_numpy(constraint.excess([0.5, 3.0])))
    [0. 2.]
    """

    # No axis inside a group: every entry is its own. Classes with groups have a field instead.
    axis: Any = ()

    # Whether the set is convex, which the laws of `keras_norms.testing` then ask more of.
    convex: ClassVar[bool] = False

    def __call__(self, w):
        """The weights after one training step's worth of the constraint.

        Args:
            w: A `keras.Variable`, tensor or array of floating-point numbers, of any shape.

        Returns:
            A tensor of the same shape and dtype.

        Raises:
            TypeError: If `w` does not hold floating-point numbers.
            ValueError: If `w` lacks an axis that `axis` names.
        """
        return self._map(self._step, w)

    def project(self, w):
        """The weights inside the set, exactly: a tensor of the shape and dtype of `w`.

        The excess afterwards is at most `(4 + log2(n)) * eps(dtype)` times the bound, with n
        the number of entries in a group. A second projection moves weights by no more than that
        rounding; in float32 and float64, those of `MaxNorm`, `NonNeg`, `Clip` and `Simplex` it
        leaves bit for bit. Arguments and errors as in `__call__`.
        """
        return self._map(self._project, w)

    def excess(self, w):
        """The distance of each group from the set: 0 inside, float32 or float64.

        The shape is that of `w` without the axes inside a group; an elementwise set has one
        distance per entry. Arguments and errors as in `__call__`.
        """
        w, _ = lift(w)
        axes = self._axes(len(w.shape))
        outside = [size for a, size in enumerate(w.shape) if a not in axes]
        return ops.reshape(self._distance(w, axes), outside)

    def along(self, axis):
        """The same constraint with other axes inside a group; itself if it is elementwise."""
        if self.axis == ():
            return self
        return dataclasses.replace(self, axis=axis)

    def _map(self, function, w):
        w, dtype = lift(w)
        return lower(function(w, self._axes(len(w.shape))), dtype)

    def _axes(self, rank):
        return canonical_axes(self.axis, rank)

    def _project(self, w, axes):
        if type(self).__call__ is Constraint.__call__:
            raise NotImplementedError(
                f"{type(self).__name__} must define `_project(w, axes)`, or override `__call__`."
            )
        return self(w)

    def _step(self, w, axes):
        return self._project(w, axes)

    def _distance(self, w, axes):
        return l2(w - self._project(w, axes), axes)
