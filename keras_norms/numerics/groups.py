"""Groups: the sets of weights that share one norm.

`axis` names the axes *inside* a group, as in Keras. On a Dense kernel `(in, out)`, `axis=0`
makes one group per unit; on a Conv2D kernel `(rows, cols, in, out)`, one group per filter is
`axis=(0, 1, 2)`. `axis=None` is one group for the whole tensor.
"""

import itertools
import math
import operator
from collections.abc import Sequence

from keras import ops

from keras_norms.numerics.loops import is_known

# Axes as a user gives them: one, several, or None for all.
Axis = int | Sequence[int] | None


def axis_of(name, axis):
    """`axis` as an int, a tuple of distinct ints, or None: the check of an `axis` parameter.

    Args:
        name: The parameter's name, for the error message.
        axis: An integer, a sequence of integers, or None.

    Raises:
        TypeError: If `axis` holds anything but integers.
        ValueError: If `axis` is empty or names an axis twice.
    """
    if axis is None:
        return None
    if not isinstance(axis, Sequence) or isinstance(axis, (str, bytes)):
        return _integer(name, axis, axis)
    axes = tuple(_integer(name, a, axis) for a in axis)
    if not axes:
        raise ValueError(
            f"`{name}` must name at least one axis; None is one group for the whole tensor. "
            f"Received: {name}={axis}"
        )
    if len(set(axes)) < len(axes):
        raise ValueError(f"`{name}` must not name an axis twice. Received: {name}={axis}")
    return axes


def _integer(name, value, axis):
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"`{name}` must be an integer, a list or tuple of integers, or None. "
            f"Received: {name}={axis!r}"
        ) from None


def canonical_axes(axis, rank):
    """The axes inside a group as sorted, non-negative integers.

    Args:
        axis: An int, a tuple or list of ints, or None for all axes.
        rank: The number of axes of the tensor.

    Raises:
        ValueError: If the tensor has no such axis, or `axis` names one twice (0 and -2).
    """
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(sorted([a % rank if -rank <= a < rank else _missing(axis, rank) for a in given]))
    if len(set(axes)) < len(axes):
        raise ValueError(
            f"`axis` must not name an axis twice, which it does for weights with {rank} axes. "
            f"Received: axis={axis}"
        )
    return axes


def _missing(axis, rank):
    if rank == 0:
        raise ValueError(
            "A scalar weight has no axes; use `axis=None`, one group for the whole tensor. "
            f"Received: axis={axis}"
        )
    raise ValueError(
        f"`axis` must lie in [{-rank}, {rank}) for weights with {rank} axes. Received: axis={axis}"
    )


def as_rows(w, axes):
    """One row per group: a tensor of shape (groups, size).

    The transpose gathers a weight that is sharded over devices. Norms therefore reduce over the
    axes directly, and only what needs a matrix makes rows.

    Args:
        w: A tensor with a static shape.
        axes: The axes inside a group, as `canonical_axes` returns them.
    """
    outside = tuple(a for a in range(len(w.shape)) if a not in axes)
    return ops.reshape(ops.transpose(w, outside + axes), groups_and_size(w.shape, axes))


def groups_and_size(shape, axes):
    """How many groups a weight of this shape has, and how many entries are in each."""
    outside = [n for a, n in enumerate(shape) if a not in axes]
    return math.prod(outside), math.prod([shape[a] for a in axes])


def all_axes(w):
    """The axes of a tensor, so that all of it is one group."""
    return tuple(range(len(w.shape)))


def from_rows(rows, shape, axes):
    """The tensor of this shape of which `as_rows` makes these rows."""
    order = (*(a for a in range(len(shape)) if a not in axes), *axes)
    moved = ops.reshape(rows, [shape[a] for a in order])
    return ops.transpose(moved, sorted(range(len(shape)), key=order.__getitem__))


# Code without a compiler reads and writes each intermediate result. Those of a part of so many
# entries, 2 MiB of float32, stay in a processor's cache.
CACHED = 2**19
# Where a slice is a copy, parts are as few as save memory.
COPIES = 8


def map_parts(function, w, axes):
    """`function(w)`, where the function treats groups alike and alone: on some groups at a time.

    Without a compiler, a function of many steps then needs less memory: what it holds meanwhile is
    of one part. Under PyTorch on a CPU, where a slice is a view, it also needs less time.

    Args:
        function: A function of a tensor that returns one of its shape.
        w: A tensor with a static shape.
        axes: The axes inside a group.
    """
    if not axes or math.prod(w.shape) <= CACHED:
        return function(w)
    indices = parts_of(w.shape, axes, _entries_of_a_part(w))
    if len(indices) == 1:
        return function(w)
    # Written into one result, they would need less memory, but torch.compile copies all of it for
    # each part.
    return ops.concatenate([function(w[index]) for index in indices], axis=len(indices[0]) - 1)


def _entries_of_a_part(w):
    """How many entries of a tensor a function takes at a time."""
    size = math.prod(w.shape)
    if hasattr(w, "is_cpu"):  # PyTorch, where nothing tells whether a tensor is traced
        return CACHED if w.is_cpu else size
    # A compiler does better with the whole tensor, and parts of one that JAX has split over devices
    # would be gathered.
    if size < 4 * CACHED or not _is_known_and_whole(w):
        return size
    return max(CACHED, math.ceil(size / COPIES))


def _is_known_and_whole(w):
    """Whether a tensor has values, and they lie on one device."""
    try:
        return is_known(w) and len(getattr(w, "devices", tuple)()) <= 1
    except TypeError:  # as JAX says of one that is differentiated, which has values all the same
        return False


def parts_of(shape, axes, most):
    """The indices of slices along the longest axis outside the groups, which make up a weight.

    Args:
        shape: The shape of the weight.
        axes: The axes inside a group. If no axis is outside, the only slice is the weight.
        most: The number of entries that a slice may have, as far as groups are not larger.
    """
    outside = [a for a in range(len(shape)) if a not in axes]
    axis = max(outside, key=lambda a: shape[a], default=0)
    length = shape[axis] if outside else 1
    count = min(math.ceil(math.prod(shape) / most), length)
    if count < 2:
        return [...]
    edges = [i * length // count for i in range(count + 1)]
    before = (slice(None),) * axis
    return [(*before, slice(*edge)) for edge in itertools.pairwise(edges)]


def axes_of_layout(layout):
    """The axes inside one unit's group: those that a layout does not call "unit".

    Args:
        layout: One word per axis of a weight, as in "y x in unit".

    Raises:
        ValueError: If no axis is called "unit".
    """
    words = layout.split()
    if "unit" not in words:
        raise ValueError(
            "No axis of the layout tells units apart; name the axes yourself. "
            f"Received: layout={layout!r}"
        )
    return tuple(axis for axis, word in enumerate(words) if word != "unit")
