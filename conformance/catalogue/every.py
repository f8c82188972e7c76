"""What must hold for every constraint, whatever its set."""

from conformance.catalogue.build import (
    AXES,
    BITS,
    HALF,
    constraint,
    numbers,
    of,
    raises,
    slope,
    thing,
)


def breadth(name, requirement, config, forms=AXES, only=None):
    """Every form of axis on every rank, in every dtype; `only` one form in dtypes but float32."""
    for dtype in BITS:
        for axes, shape in forms:
            if only is not None and dtype != "float32" and axes != only:
                continue
            words = f"axis={axes['axis']}" if "axis" in axes else "the default axis"
            yield constraint(
                name,
                requirement,
                numbers(f"{words} {shape}", shape, dtype, 1),
                dtype,
                f"{words} on rank {len(shape)}, {named(config)}",
                "a wrong or ignored axis; a lost dtype",
                config | axes,
            )


def named(config):
    return " ".join(f"{k} {v}" for k, v in config.items() if k != "members") or "defaults"


def manners(name, requirement, config, moves=0, gradients=True, oracle=None):
    """What must hold for every constraint: compiled, again, saved, copied, differentiated."""
    w = numbers(f"manners of {name}", (3, 4), "bfloat16", 1)
    words = named(config)
    for dtype in BITS:
        yield constraint(
            name,
            requirement,
            w,
            dtype,
            f"a second application moves nothing, {words}",
            "an epsilon; weights that shrink at every step",
            config,
            kind="idempotent",
            # What rounding to half precision may have left: one ulp of the entry.
            moves=max(moves, 1 if dtype in HALF and not is_exact(name, config) else 0),
            oracle=oracle,
            times=1,
        )
    for dtype in ("float16", "float32"):
        yield constraint(
            name,
            requirement,
            w,
            dtype,
            f"compiled, {words}",
            "a detour through NumPy or Python",
            config,
            kind="jit",
            oracle=oracle,
            # Keras' while_loop is Python's under PyTorch, which is no single graph.
            one_graph=name != "simplex" and config.get("ord") != 1,
        )
    for kind, title, hunts in (
        ("config_roundtrip", "the config gives the same constraint", "a missing config key"),
        (
            "save_load",
            "saved with a model, and loaded in safe mode",
            "a class that is not registered",
        ),
    ):
        yield constraint(
            name,
            requirement,
            w,
            "float32",
            f"{title}, {words}",
            hunts,
            config,
            kind=kind,
            oracle=oracle,
            config_of_result=config,
        )
    yield thing(
        name,
        requirement,
        "equality",
        f"equal, with one hash, and a repr that says what it is, {words}",
        "equality by identity",
        config,
    )
    if gradients:
        for dtype in ("float16", "float32", "float64"):
            yield slope(
                name,
                requirement,
                w,
                dtype,
                f"the gradient, {words}",
                "a stopped or wrong gradient",
                config,
            )


def is_exact(name, config):
    return name in ("non_neg", "clip") or config.get("ord") == "inf"


def bad_bounds(name, requirement, argument):
    for value in (-1, 0):
        yield raises(
            name,
            requirement,
            f"{argument}={value} is refused",
            {argument: value},
            "ValueError",
            [argument, f"Received: {argument}={value}"],
        )
    for value in ("nan", "inf"):
        yield raises(
            name,
            requirement,
            f"{argument}={value} is refused",
            {argument: {"float": value}},
            "ValueError",
            [argument, f"Received: {argument}={value}"],
        )
    yield raises(
        name,
        requirement,
        f"{argument}=None is refused",
        {argument: None},
        "TypeError",
        [argument, f"Received: {argument}=None"],
    )
    w = numbers("bad axis", (3, 4), "float32", 1)
    for axis, given_w in ((2, w), (-3, w), ([0, -2], w), (0, of((), [1]))):
        yield raises(
            name,
            requirement,
            f"axis={axis} is refused on rank {len(given_w.shape)}",
            {"axis": axis},
            "ValueError",
            ["Received: axis="],
            given_w,
        )
    yield raises(
        name,
        requirement,
        "axis=[0, 0] is refused",
        {"axis": [0, 0]},
        "ValueError",
        ["Received: axis=[0, 0]"],
        w,
    )
