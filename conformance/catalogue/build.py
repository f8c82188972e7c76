"""What a case is made of: exact inputs, the oracle's results, and an id."""

import math
import random

from mpmath import mpf

from conformance.oracles import constraints, layers, penalties
from conformance.oracles.exact import Tensor, as_double_pair, groups

# Significant bits: inputs are multiples of a power of two that fit into them.
BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def constraint(name, requirement, w, dtype, title, hunts, config, exact=False, kind="forward"):
    """A case for weights; `exact` leaves no ulp, because no rounding is due."""
    result = getattr(constraints, name)(w, **config)
    reduced = max(map(len, groups(w.shape, config.get("axis", 0))), default=1)
    expected = {"result": exactly(result, dtype, 0 if exact else reduced)}
    return case(name, requirement, kind, dtype, title, hunts, config, {"w": given(w)}, expected)


def scalar(name, requirement, oracle, w, dtype, title, hunts, config):
    """A case for a penalty, which is returned in float32 at least."""
    result = Tensor((), (mpf(oracle(w, **config)),))
    expected = {"result": exactly(result, _at_least_float32(dtype), len(w.entries))}
    return case(
        name, requirement, "forward", dtype, title, hunts, config, {"w": given(w)}, expected
    )


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


def case(name, requirement, kind, dtype, title, hunts, config, inputs, expected):
    """A case as the schema has it; its id tells target, kind, dtype and title apart."""
    slug = "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())
    return {
        "id": f"{name}-{kind}-{dtype}-{slug[:60]}",
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
    return {"shape": list(tensor.shape), "values": _once([v.hex() for v in values])}


def exactly(tensor, dtype, reduced):
    """An expected value; `reduced` numbers make each entry, 0 where no rounding is due."""
    return {
        "shape": list(tensor.shape),
        "dtype": dtype,
        "reduced": reduced,
        "values": _once([as_double_pair(x) for x in tensor.entries]),
    }


def _once(values):
    """A single value where all are equal: long groups stay short files."""
    return values[:1] if values and all(v == values[0] for v in values) else values


def _at_least_float32(dtype):
    return dtype if dtype == "float64" else "float32"
