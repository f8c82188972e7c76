"""What a case is made of: exact inputs, the oracle's results, and an id."""

import functools
import itertools
import math
import random

from mpmath import mpf

from conformance.oracles import constraints, layers, penalties
from conformance.oracles.derivatives import gradient, weighted
from conformance.oracles.exact import Tensor, as_double_pair, groups

# Significant bits: inputs are multiples of a power of two that fit into them.
BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
HALF = ("float16", "bfloat16")

# Every form of `axis` on every rank that has it: None stands for the argument left out.
SHAPES = {1: (5,), 2: (3, 4), 3: (2, 3, 4), 4: (2, 2, 3, 2), 5: (2, 1, 2, 3, 2)}
AXES = [
    *(({}, shape) for shape in SHAPES.values()),
    *(({"axis": 1}, shape) for rank, shape in SHAPES.items() if rank > 1),
    *(({"axis": -1}, shape) for shape in SHAPES.values()),
    *(({"axis": None}, shape) for shape in SHAPES.values()),
    *(({"axis": list(range(max(1, rank - 1)))}, shape) for rank, shape in SHAPES.items()),
    ({"axis": [0, 2]}, SHAPES[3]),
    ({"axis": [-1, 0]}, SHAPES[4]),
]

# Of these, enough for a map that is compiled anew for each shape.
SOME_AXES = [
    *(({}, shape) for shape in SHAPES.values()),
    *(({"axis": axis}, SHAPES[3]) for axis in (1, -1, None, [0, 2])),
    *(({"axis": list(range(rank - 1))}, SHAPES[rank]) for rank in (2, 3, 4, 5)),
    ({"axis": [-1, 0]}, SHAPES[4]),
    ({"axis": None}, SHAPES[5]),
]


def constraint(
    name, requirement, w, dtype, title, hunts, config, kind="forward", oracle=None, **more
):
    """A case for weights.

    `oracle` holds other arguments for the oracle than the target's. `more` are further inputs, or
    `exact`, which leaves no ulp, because no rounding is due; `reduced`, where the numbers that make
    an entry are not those of its group; or `moves`, in ulp.
    """
    arguments = config if oracle is None else oracle
    reduced = 0 if more.pop("exact", False) else _reduced(name, w, arguments)
    reduced, moves = more.pop("reduced", reduced), more.pop("moves", None)
    result = getattr(constraints, name)(w, **arguments)
    expected = {"result": exactly(result, dtype, reduced, scale(name, arguments))}
    if moves is not None:
        expected["moves"] = moves
    if "config_of_result" in more:
        expected["config"] = more.pop("config_of_result")
    return case(
        name, requirement, kind, dtype, title, hunts, config, {"w": given(w)} | more, expected
    )


def _reduced(name, w, config):
    """How many numbers make an entry of what a constraint returns; 0 where nothing is rounded."""
    if name in ("non_neg", "clip") or config.get("ord") == "inf":
        return 0
    return max(map(len, groups(w.shape, config.get("axis", 0))), default=1)


def scale(name, config):
    """Where an error is measured: a threshold is as exact as the largest entry, no more."""
    return "largest" if name == "simplex" or config.get("ord") == 1 else "entry"


def slope(name, requirement, w, dtype, title, hunts, config):
    """A case for the gradient of a constraint: of the sum of its entries, each with a weight."""
    weights = whole(f"slope {title} {dtype}", w.shape)
    function = functools.partial(getattr(constraints, name), **config)
    reduced = max(1, _reduced(name, w, config))
    expected = exactly(
        gradient(weighted(function, weights), w), dtype, reduced, "largest", passes=2
    )
    inputs = {"w": given(w), "weights": given(weights)}
    return case(
        name, requirement, "gradient", dtype, title, hunts, config, inputs, {"result": expected}
    )


def scalar(name, requirement, oracle, w, dtype, title, hunts, config, kind="forward", **more):
    """A case for a penalty, which is returned in float32 at least, or for its gradient."""
    arguments = more.pop("oracle_config", config)
    if kind == "gradient":
        function = functools.partial(oracle, **arguments)
        result = exactly(gradient(function, w), dtype, len(w.entries), "largest", passes=2)
    else:
        value = Tensor((), (mpf(oracle(w, **arguments)),))
        result = exactly(value, _at_least_float32(dtype), max(1, len(w.entries)))
    expected = {"result": result}
    if "config_of_result" in more:
        expected["config"] = more.pop("config_of_result")
    inputs = {"w": given(w)} | more
    return case(name, requirement, kind, dtype, title, hunts, config, inputs, expected)


def activity(name, requirement, title, hunts, x, kernel, regularizers):
    """A case for the penalties of a Dense layer, whose output is exact in float32."""
    oracles = {"L1": penalties.l1, "L2": penalties.l2}
    outputs = layers.dense(x, kernel)
    argument, config = regularizers["activity_regularizer"]
    inner, inner_config = argument, config
    if argument == "BatchMean":
        inner, inner_config = config["regularizer"]["class_name"], config["regularizer"]["config"]
    total = mpf(oracles[inner](outputs, **inner_config))
    values = {"sum": total, "mean": total / x.shape[0]}
    if "kernel_regularizer" in regularizers:
        kernel_class, kernel_config = regularizers["kernel_regularizer"]
        values["kernel"] = mpf(oracles[kernel_class](kernel, **kernel_config))
    sizes = {
        "sum": len(outputs.entries),
        "mean": len(outputs.entries),
        "kernel": len(kernel.entries),
    }
    expected = {k: exactly(Tensor((), (v,)), "float32", sizes[k]) for k, v in values.items()}
    inputs = {"x": given(x), "kernel": given(kernel), "regularizers": regularizers}
    yield case(name, requirement, "activity", "float32", title, hunts, config, inputs, expected)


def raises(name, requirement, title, config, error, words, w=None):
    """A case for bad input: the exception's type, and words of its message."""
    inputs = {} if w is None else {"w": given(w)}
    expected = {"error": error, "words": words}
    hunts = "a mistake that is accepted, or another exception on each backend"
    return case(name, requirement, "raises", "float32", title, hunts, config, inputs, expected)


def thing(name, requirement, kind, title, hunts, config, expected=None, inputs=None):
    """A case about the object itself, its config, equality or name, or about training with it."""
    inputs = inputs or {}
    return case(name, requirement, kind, "float32", title, hunts, config, inputs, expected or {})


def case(name, requirement, kind, dtype, title, hunts, config, inputs, expected):
    """A case as the schema has it; its id tells target, kind, dtype and title apart."""
    words = title.lower().replace("=-", " minus ").replace("[-", " minus ")
    slug = "-".join("".join(c if c.isalnum() else " " for c in words).split())
    return {
        "id": f"{name}-{kind}-{dtype}-{slug[:90]}",
        "kind": kind,
        "requirement": requirement,
        "title": title,
        "hunts": hunts,
        "dtype": dtype,
        "config": config,
        "inputs": inputs,
        "expected": expected,
    }


def numbers(name, shape, dtype, scale):
    """Numbers in (-2, 2) * scale that use every bit of dtype; the name is the seed."""
    bits, source = BITS[dtype], random.Random(name)
    top = 2 ** (bits - 1)
    return of(
        shape,
        [mpf(2 * source.randint(-top, top - 1)) / top * scale for _ in range(math.prod(shape))],
    )


def whole(name, shape):
    """Small non-zero integers over four."""
    source = random.Random(name)
    return of(
        shape,
        [mpf(source.choice((-1, 1)) * source.randint(1, 8)) / 4 for _ in range(math.prod(shape))],
    )


def of(shape, entries):
    return Tensor.of(shape, entries)


def given(tensor):
    """An input: doubles, which must hold it exactly."""
    values = [float(x) for x in tensor.entries]
    if any(mpf(v) != x for v, x in zip(values, tensor.entries, strict=True)):
        raise ValueError("An input is not exact in float64")
    return {"shape": list(tensor.shape), **_runs([v.hex() for v in values])}


def exactly(tensor, dtype, reduced, scale="entry", passes=1):
    """An expected value; `reduced` numbers make each entry, 0 where no rounding is due.

    `scale` is where its error is measured. `passes` is how many such reductions follow on one
    another: a gradient goes through that of its function and through one of its own.
    """
    return {
        "shape": list(tensor.shape),
        "dtype": dtype,
        "reduced": reduced,
        "scale": scale,
        "passes": passes,
        **_runs([as_double_pair(x) for x in tensor.entries]),
    }


def _runs(values):
    """Equal values that follow one another are written once, with their numbers."""
    runs = [(value, len(list(same))) for value, same in itertools.groupby(values)]
    if len(runs) == len(values):
        return {"values": values}
    return {"values": [value for value, _ in runs], "repeats": [count for _, count in runs]}


def _at_least_float32(dtype):
    return dtype if dtype == "float64" else "float32"
