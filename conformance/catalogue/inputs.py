"""Exact inputs: dtypes, shapes, forms of axis, and numbers that the dtype holds exactly."""

import math
import random

from mpmath import mpf

from conformance.oracles.exact import Tensor

# Significant bits: inputs are multiples of a power of two that fit into them.
BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
HALF = ("float16", "bfloat16")

CONV = (2, 3, 4, 5)  # the shape of a Conv2D kernel: y, x, in, out

# Every form of `axis` on every rank that has it: {} stands for the argument left out.
SHAPES = {1: (5,), 2: (3, 4), 3: (2, 3, 4), 4: (2, 2, 3, 2), 5: (2, 1, 2, 3, 2)}
AXES = [
    *(({}, shape) for shape in SHAPES.values()),
    *(({"axis": 1}, shape) for rank, shape in SHAPES.items() if rank > 1),
    *(({"axis": -1}, shape) for shape in SHAPES.values()),
    *(({"axis": None}, shape) for shape in SHAPES.values()),
    *(({"axis": list(range(max(1, rank - 1)))}, shape) for rank, shape in SHAPES.items()),
    ({"axis": [0, 2]}, SHAPES[3]),
    ({"axis": [-1, 0]}, SHAPES[4]),
    ({"axis": [2, 0]}, SHAPES[3]),
]

# Of these, enough for a map that is compiled anew for each shape.
SOME_AXES = [
    *(({}, shape) for shape in SHAPES.values()),
    *(({"axis": axis}, SHAPES[3]) for axis in (1, -1, None, [0, 2])),
    *(({"axis": list(range(rank - 1))}, SHAPES[rank]) for rank in (2, 3, 4, 5)),
    ({"axis": [-1, 0]}, SHAPES[4]),
    ({"axis": None}, SHAPES[5]),
]


def of(shape, entries):
    """A tensor of the given numbers."""
    return Tensor.of(shape, entries)


def equal(shape, number):
    """A tensor whose entries are all this number."""
    return of(shape, [mpf(number)] * math.prod(shape))


def numbers(name, shape, dtype="float32", scale=1):
    """A tensor of numbers in (-2, 2) * scale that use every bit of dtype; the name is the seed."""
    bits, source = BITS[dtype], random.Random(name)
    top = 2 ** (bits - 1)
    return of(
        shape,
        [mpf(2 * source.randint(-top, top - 1)) / top * scale for _ in range(math.prod(shape))],
    )


def whole(name, shape):
    """A tensor of small non-zero integers over four; the name is the seed."""
    source = random.Random(name)
    return of(
        shape,
        [mpf(source.choice((-1, 1)) * source.randint(1, 8)) / 4 for _ in range(math.prod(shape))],
    )
