"""Sparse constraints: `Sparse`, `SparseNM`, `SparseUnits` and `FixedMask`."""

import base64
import dataclasses
import math
import reprlib
from typing import Any, final

import keras
import numpy as np
from keras import ops

from keras_norms.config import fraction, parameter, whole
from keras_norms.constraints.base import Constraint
from keras_norms.numerics.groups import Axis, axis_of
from keras_norms.numerics.loops import is_known
from keras_norms.numerics.sparsity import (
    keep_largest,
    keep_largest_of_blocks,
    keep_largest_units,
)

_registered = keras.saving.register_keras_serializable("keras_norms")

# A block is ranked by comparing each entry with each other one.
_LARGEST_BLOCK = 32
# The words of a layout for axes of units and of windows: blocks lie along any other one.
_NOT_INPUTS = ("unit", "x", "y", "z", "space", "*")


class _Sparse(Constraint):
    """A set of weights with zeros."""

    is_sparse = True

    def audit_columns(self, w):
        """The share of zeros."""
        return {"zeros": ops.mean(ops.cast(ops.equal(w, 0), "float32"))}


@_registered
@final
@dataclasses.dataclass(frozen=True)
class Sparse(_Sparse):
    """Groups with a share of zeros: the nearest point, which keeps the largest entries.

    A group of n entries keeps the `round(n * (1 - sparsity))` entries of largest magnitude. Of
    equal magnitudes, the first by index stay, alike on every backend. A NaN makes its group NaN.

    Which entries are zero may change at every step. `SparsitySchedule` chooses them between epochs,
    and `freeze_zeros` once, which costs less.

    The threshold is found by at most 31 passes over the weights that count (63 in float64), which
    is faster than a sort. Entries that are too small to be normal numbers (1.2e-38 in float32)
    count as equal to zero.

    Args:
        sparsity: The share of zeros, from 0 to 1.
        axis: The axes inside a group: an integer, several, or None for the whole tensor. In
            `constrain`, it stays None: one group per weight.

    Raises:
        ValueError: If `sparsity` is not in [0, 1], or `axis` names an axis twice.
        TypeError: If `sparsity` is not a number, or `axis` not made of integers.

    Source: Blumensath, Davies, "Iterative Thresholding for Sparse Approximations", J. Fourier
    Anal. Appl. 14, 2008.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.Sparse(0.5)([3.0, -1.0, 0.5, -2.0])))
    [ 3.  0.  0. -2.]
    """

    sparsity: float = parameter(fraction, 0.5)
    axis: Axis = parameter(axis_of, None)
    needs_layout = False

    def for_layout(self, layout):
        """Itself: a share of zeros is one of a whole weight, whatever its units."""
        return self

    def compute_projection(self, w, axes):
        """Each group with its largest entries, and zeros."""
        return keep_largest(w, axes, self.sparsity)


def _one_axis(name, value):
    axis = axis_of(name, value)
    if isinstance(axis, tuple) and len(axis) == 1:
        return axis[0]
    if not isinstance(axis, int):
        raise ValueError(f"`{name}` must be one axis, an integer. Received: {name}={value!r}")
    return axis


@_registered
@final
@dataclasses.dataclass(frozen=True)
class SparseNM(_Sparse):
    """At most `n` entries other than zero among every `m` consecutive ones along an axis.

    It is the nearest point: each block of `m` entries keeps the `n` of largest magnitude, the first
    ones by index if magnitudes are equal. GPUs multiply faster with the pattern 2:4 along the
    inputs of a layer. If the length of the axis is no multiple of `m`, the last block is shorter
    and keeps `n` entries, too. A NaN makes all entries of its line along the axis NaN.

    `constrain` chooses the last axis of each kernel that is neither one of units nor one of space,
    and lists kernels that have none, such as depthwise ones.

    Args:
        n: How many entries of a block stay, from 0 to `m`.
        m: The length of a block, from 1 to 32.
        axis: The axis along which blocks lie, an integer.

    Raises:
        ValueError: If `n` or `m` is out of its range, or `axis` is not one axis.
        TypeError: If an argument is not an integer.

    Source: Mishra et al., "Accelerating Sparse Deep Neural Networks", 2021.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.SparseNM()([1.0, -4.0, 3.0, 2.0, 5.0, 0.5])))
    [ 0.  -4.   3.   0.   5.   0.5]
    """

    n: int = parameter(whole(0, _LARGEST_BLOCK), 2)
    m: int = parameter(whole(1, _LARGEST_BLOCK), 4)
    axis: int = parameter(_one_axis, 0)

    def __post_init__(self):
        super().__post_init__()
        if self.n > self.m:
            raise ValueError(f"`n` must not exceed `m`. Received: n={self.n}, m={self.m}")

    def for_layout(self, layout):
        """Along the last axis of the inputs.

        Raises:
            ValueError: If the layout has no such axis.
        """
        words = layout.split()
        inputs = [a for a, word in enumerate(words) if word not in _NOT_INPUTS]
        if not inputs:
            raise ValueError(
                f"its layout has no axis of inputs, along which blocks of {self.m} could lie"
            )
        return self.along(inputs[-1])

    def compute_projection(self, w, axes):
        """Each block with its largest entries, and zeros."""
        return keep_largest_of_blocks(w, axes[0], self.n, self.m)


@_registered
@final
@dataclasses.dataclass(frozen=True)
class SparseUnits(_Sparse):
    """Kernels in which a share of the units is zero: the nearest point keeps the largest norms.

    Of k units, the `round(k * (1 - sparsity))` with the largest Euclidean norms stay. Of equal
    norms, the first ones stay. Norms are compared in float32, from 1e-18 to 1e18; those of float64
    weights, in float64.

    Args:
        sparsity: The share of units that are zero, from 0 to 1.
        axis: The axes inside a unit's group: an integer, several, or None for the whole tensor.

    Raises:
        ValueError: If `sparsity` is not in [0, 1], or `axis` names an axis twice.
        TypeError: If `sparsity` is not a number, or `axis` not made of integers.

    Source: Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.SparseUnits(0.5)([[1.0, 3.0], [1.0, 0.0]])))
    [[0. 3.]
     [0. 0.]]
    """

    sparsity: float = parameter(fraction, 0.5)
    axis: Axis = parameter(axis_of, 0)
    has_coupled_groups = True

    def compute_projection(self, w, axes):
        """The units with the largest norms, and zeros."""
        return keep_largest_units(w, axes, self.sparsity)


def _mask(name, value):
    """A mask as an array of truth values that nobody can change."""
    if isinstance(value, dict):  # as `get_config` writes it
        try:
            bits = np.frombuffer(base64.b64decode(value["bits"]), "uint8")
            shape = tuple(value["shape"])
            if len(bits) != math.ceil(math.prod(shape) / 8):  # NumPy would add zeros
                raise ValueError(f"{len(bits)} bytes for {shape}")
            mask = np.unpackbits(bits, count=math.prod(shape)).reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"`{name}` must be an array, or what `get_config` writes: its `shape` and its "
                f"`bits`. Received: {name}={reprlib.repr(value)}"
            ) from error
    else:
        try:
            mask = np.asarray(
                value if isinstance(value, (bool, list)) else ops.convert_to_numpy(value)
            )
        except ValueError as error:  # of rows of several lengths
            raise ValueError(
                f"`{name}` must be an array. Received: {name}={reprlib.repr(value)}"
            ) from error
    if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"`{name}` must hold True and False, or 1 and 0. "
            f"Received: {name}={reprlib.repr(value)} of dtype {mask.dtype}"
        )
    mask = mask.astype(bool)
    mask.setflags(write=False)
    return mask


@_registered
@final
@dataclasses.dataclass(frozen=True, eq=False)
class FixedMask(_Sparse):
    """Weights that are zero where a mask is False: the nearest point, a product with the mask.

    It keeps a pattern of connections: a pruned one (`freeze_zeros`), or one that is given, as in
    MADE. The config holds the mask as packed bits, 1/6 byte per weight. An entry that is NaN or
    infinite becomes NaN where the mask is False, as their product with 0 is.

    Args:
        mask: An array of True and False, or 1 and 0. Its shape is that of the weight, or one that
            NumPy broadcasts to it: `(1, 1, 1, filters)` stands for whole filters.

    Raises:
        ValueError: If the mask holds anything else, or, when it is used, does not fit a weight.

    Source: Germain et al., "MADE: Masked Autoencoder for Distribution Estimation", ICML 2015.

    Example:
    >>> import keras, keras_norms as kn
    >>> print(keras.ops.convert_to_numpy(kn.FixedMask([True, False])([[3.0, 4.0], [5.0, 6.0]])))
    [[3. 0.]
     [5. 0.]]
    """

    mask: Any = parameter(_mask)
    convex = True
    # A part of a weight needs the same part of the mask, so no part is looked at alone.
    has_coupled_groups = True

    def __post_init__(self):
        super().__post_init__()
        # Made once: a compiled step would otherwise hold a copy of it as a constant. But a tensor
        # that is made inside a compiled function is of no use outside of it.
        ones = ops.convert_to_tensor(self.mask)
        object.__setattr__(self, "_ones", ones if is_known(ones) else self.mask)

    def __reduce__(self):
        return type(self), (self.mask,)  # a tensor of a backend may be bound to a process

    @classmethod
    def examples(cls):
        """Masks that fit every weight."""
        return [cls(True), cls(False)]

    def _axes_in(self, shape):
        try:
            fits = np.broadcast_shapes(self.mask.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                "The mask must have the shape of the weights, or one that NumPy broadcasts to it. "
                f"Received: a mask of shape {self.mask.shape} for weights of shape {shape}"
            )
        return ()

    def compute_projection(self, w, axes):
        """Zeros where the mask is False."""
        return w * ops.cast(ops.convert_to_tensor(self._ones), w.dtype)

    def get_config(self):
        """The mask as packed bits in base64, and its shape."""
        bits = base64.b64encode(np.packbits(self.mask).tobytes()).decode("ascii")
        return {"mask": {"shape": list(self.mask.shape), "bits": bits}}

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return np.array_equal(self.mask, other.mask)

    def __hash__(self):
        return hash((self.mask.shape, self.mask.tobytes()))

    def __repr__(self):
        zeros = 1 - self.mask.mean() if self.mask.size else 0
        return f"FixedMask(mask of shape {self.mask.shape}, {zeros:.1%} zeros)"
