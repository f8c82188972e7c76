"""What must hold for every constraint or penalty, whatever it computes."""

from mpmath import mpf

from conformance.catalogue.inputs import AXES, BITS, HALF, SOME_AXES, equal, numbers, of

# Requirements that several families have, each a text and its source.
EVERY_AXIS = (
    "every form of axis works, on ranks 1 to 5, in every dtype",
    "NumPy's meaning of `axis`",
)
SAME_CONSTRAINT = (
    "compiled, applied twice, saved, copied and differentiated, it is the same constraint",
    "`keras.constraints.Constraint`",
)
SAME_WITHOUT_SLOPE = (
    "compiled, applied twice, saved and copied, it is the same constraint",
    "`keras.constraints.Constraint`",
)
SAME_PENALTY = (
    "compiled, saved, copied and differentiated, it is the same penalty; one that is made inside a "
    "compiled function works outside of it; the gradient at a kink is 0",
    "the subgradient of least norm",
)

# Titles, configs and bugs that several families have.
DEFAULT_AXIS = "default axis: one norm per Dense unit, not one for the whole matrix"
PER_FILTER = "per-filter axis: [0, 1, 2] on a Conv2D kernel is one norm per filter"
WHOLE_MATRIX, KERAS_DEFAULT = "a norm of the whole matrix", "axis=0, Keras' default"
IN_FLOAT16, EPSILON = "4096 entries of 8 in float16", "an epsilon in the denominator"
FILTERS = {"axis": [0, 1, 2]}


def breadth(subject, requirement, config):
    """Every form of axis on every rank, in every dtype. What loops has fewer, for it is slow."""
    for dtype in BITS:
        for axes, shape in SOME_AXES if subject.loops else AXES:
            if subject.loops and dtype != "float32" and axes != {"axis": [0, 1]}:
                continue
            words = f"axis={axes['axis']}" if "axis" in axes else "the default axis"
            yield subject.case(
                requirement,
                numbers(f"{words} {shape}", shape, dtype),
                f"{words} on rank {len(shape)}, {named(config) or 'defaults'}",
                "a wrong or ignored axis; a lost dtype",
                config | axes,
                dtype,
            )


def named(config):
    """The arguments in words, for a title."""
    return " ".join(f"{k} {v}" for k, v in config.items() if k != "members")


def manners(subject, requirement, config):
    """Compiled, saved, copied and differentiated it is the same.

    So is a constraint that is applied again, and a penalty that is made inside a compiled function.
    """
    if subject.penalty:
        parts = (_compiled, _gradients, _saved, _equal, _traced)
        words = f" {named(config)}"
    else:
        parts = (
            *(_again, _compiled, _saved, _equal, _exactly_into_the_set),
            _gradients if subject.slope else _nothing,
        )
        words = f", {named(config) or 'defaults'}"
    w = numbers(f"manners of {subject.name}", (3, 4), "bfloat16")
    for part in parts:
        yield from part(subject, requirement, config, words, w)


def _again(subject, requirement, config, words, w):
    for dtype in BITS:
        # Rounding to half precision may leave one ulp of the entry.
        left = 1 if dtype in HALF and subject.rounds else 0
        yield subject.case(
            requirement,
            w,
            f"a second application moves nothing{words}",
            "an epsilon; weights that shrink at every step",
            config,
            dtype,
            "idempotent",
            times=1,
            expected={"moves": max(subject.moves, left)},
        )


def _exactly_into_the_set(subject, requirement, config, words, w):
    """`project`, and how far the weights were from there."""
    far = of(w.shape, [4 * x for x in w.entries])
    for dtype in BITS:
        title, hunts = f"projected exactly{words}", "a step in place of a projection"
        yield subject.case(requirement, far, title, hunts, config, dtype, "projection")
        title, hunts = f"the excess of each group{words}", "a distance of something else"
        yield subject.excess(requirement, far, title, hunts, config, dtype)


def _compiled(subject, requirement, config, words, w):
    for dtype in ("float16", "float32"):
        yield subject.case(
            requirement,
            w,
            f"compiled{words}",
            "a detour through NumPy or Python",
            config,
            dtype,
            "jit",
            # Keras' while_loop is Python's under PyTorch, which is no single graph.
            one_graph=not subject.loops,
        )


def _saved(subject, requirement, config, words, w):
    what, key = ("penalty", "missing or rounded") if subject.penalty else ("constraint", "missing")
    for kind, title, hunts in (
        ("config_roundtrip", f"the config gives the same {what}", f"a {key} config key"),
        (
            "save_load",
            "saved with a model, and loaded in safe mode",
            "a class that is not registered",
        ),
    ):
        yield subject.case(
            requirement,
            w,
            f"{title}{words}",
            hunts,
            config,
            kind=kind,
            expected={"config": config},
        )


def _equal(subject, requirement, config, words, w):
    title = f"equal, with one hash, and a repr that says what it is{words}"
    yield subject.about("equality", requirement, title, "equality by identity", config)


def _gradients(subject, requirement, config, words, w):
    for dtype in BITS if subject.penalty else ("float16", "float32", "float64"):
        title, hunts = f"the gradient{words}", "a stopped or wrong gradient"
        yield subject.gradient(requirement, w, title, hunts, config, dtype)
    if subject.penalty:
        title = f"the gradient with zero entries{words}"
        hunts = "1 for 0 at a zero entry; NaN at a zero vector"
        yield subject.gradient(requirement, of((2, 2), [0, 0.5, 0, -1]), title, hunts, config)


def _traced(subject, requirement, config, words, w):
    title = f"made inside a compiled function, and used again outside{words}"
    hunts = "a backend tensor kept in a field: a leaked tracer"
    yield subject.case(requirement, w, title, hunts, config, kind="traced")


def _nothing(*_):
    return ()


def bad_bounds(subject, requirement, argument):
    """Bounds that are not positive and finite, and axes that the weights do not have."""
    for value in (-1, 0, "nan", "inf", None):
        yield subject.raises(
            requirement,
            f"{argument}={value} is refused",
            {argument: {"float": value} if isinstance(value, str) else value},
            [argument, f"Received: {argument}={value}"],
            error="TypeError" if value is None else "ValueError",
        )
    w = numbers("bad axis", (3, 4))
    for axis, given_w in ((2, w), (-3, w), ([0, -2], w), (0, of((), [1]))):
        title = f"axis={axis} is refused on rank {len(given_w.shape)}"
        yield subject.raises(requirement, title, {"axis": axis}, ["Received: axis="], given_w)
    title = "axis=[0, 0] is refused"
    yield subject.raises(requirement, title, {"axis": [0, 0]}, ["Received: axis=[0, 0]"], w)


def long_sums(subject, requirement, config):
    """Penalties on many equal weights, the sums of which round, in eager and in compiled code."""
    for shape in ((512, 512), (10007, 3), (2, 65536), (262147,)):
        for kind, more in (("forward", {}), ("jit", {"one_graph": True})):
            w, title = equal(shape, mpf(9018) / 8192), f"many equal weights, shape {shape}"
            hunts = f"a sum of one term after another: {kind} {shape}"
            yield subject.case(requirement, w, title, hunts, config, kind=kind, **more)


# So many that processors handle most of them several at once, where TensorFlow's graph has another
# inverse, and the last ones by one.
GROUPS = 35


def bit_for_bit(subject, requirement, w, title, hunts, config):
    """Weights that come back bit for bit, also in compiled code, which divides in another way."""
    yield subject.case(requirement, w, title, hunts, config, exact=True)
    title, hunts = f"{title}, compiled", f"{hunts}, compiled"
    more = {"kind": "jit", "one_graph": True}
    yield subject.case(requirement, w, title, hunts, config, exact=True, **more)
