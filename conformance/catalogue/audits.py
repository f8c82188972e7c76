"""The cases of `audit`: traps that must be found, and numbers that must be right."""

import math

from mpmath import mpf

from conformance.catalogue.build import Subject, exactly
from conformance.catalogue.build_models import layer, max_norm, model_of
from conformance.catalogue.inputs import numbers, of
from conformance.oracles.exact import Tensor, groups, norm

AUDIT = Subject("audit", "audit", None)

REQUIREMENTS = {
    "KN-AUDIT-001": ("norms and penalties are what the definitions say", "definition"),
    "KN-AUDIT-002": ("each trap is found, under its name, and nothing else", "documentation"),
}

TINY = mpf(2) ** -6


def case_files():
    yield AUDIT.file("whole_models", audited())


def audited():
    conv = layer("Conv2D", "conv", filters=4, kernel_size=2, kernel_constraint=max_norm())
    bounded = layer("Dense", "a", units=2, kernel_constraint=max_norm(max_value=1.0))
    whole = layer("Dense", "a", units=2, kernel_constraint=max_norm(axis=None))
    orthogonal = {"class_name": "OrthogonalRegularizer", "config": {"factor": 0.5}}
    tall = layer("Dense", "a", units=2, kernel_regularizer=orthogonal)
    square = layer("Dense", "a", units=3, kernel_regularizer=orthogonal)
    frozen = [["a", "trainable", False]]
    late = [["a", "kernel_constraint", max_norm(max_value=1.0)]]
    for title, hunts, (shape, layers), weights, after, findings in (
        (
            "a model without mistakes has no finding",
            "a false alarm",
            ((3,), [bounded]),
            [_small((3, 2)), _small((2,))],
            [],
            [],
        ),
        (
            "a convolution with Keras' default axis",
            "a norm over the rows of a filter that nobody notices",
            ((4, 4, 2), [conv]),
            [_small((2, 2, 2, 4)), _small((4,))],
            [],
            [["wrong-axis", "error", "conv/kernel"]],
        ),
        (
            "one norm for the whole matrix",
            "a bound that is shared by all units",
            ((3,), [whole]),
            [_small((3, 2)), _small((2,))],
            [],
            [["whole-tensor", "warning", "a/kernel"]],
        ),
        (
            "a kernel outside its set",
            "weights that were loaded, and wait for the next step",
            ((3,), [bounded]),
            [of((3, 2), [2, 0, 0, 0.5, 0, 0]), _small((2,))],
            [],
            [["violated", "warning", "a/kernel"]],
        ),
        (
            "a kernel barely outside its set",
            "a tolerance of a thousandth",
            ((3,), [bounded]),
            [of((3, 2), [1 + mpf(2) ** -12, 0, 0, 0.5, 0, 0]), _small((2,))],
            [],
            [["violated", "warning", "a/kernel"]],
        ),
        (
            "a frozen kernel outside its set",
            "a constraint that Keras never applies",
            ((3,), [bounded]),
            [of((3, 2), [2, 0, 0, 0.5, 0, 0]), _small((2,))],
            frozen,
            [["frozen", "error", "a/kernel"]],
        ),
        (
            "an attribute that is set after the layer is built",
            "a constraint that is shown and never applied",
            ((3,), [layer("Dense", "a", units=2)]),
            [_small((3, 2)), _small((2,))],
            late,
            [["not-applied", "error", "a/kernel"]],
        ),
        (
            "more rows than columns cannot be orthogonal",
            "a penalty that never reaches zero",
            ((3,), [tall]),
            [_small((3, 2)), _small((2,))],
            [],
            [["unreachable", "warning", "a/kernel"]],
        ),
        (
            "as many rows as columns can be orthogonal",
            "a false alarm about a square kernel",
            ((3,), [square]),
            [_small((3, 3)), _small((3,))],
            [],
            [],
        ),
        (
            "two findings, the error first",
            "an order by layers",
            (
                (4, 4, 2),
                [
                    layer("Conv2D", "first", filters=2, kernel_size=2),
                    layer("Flatten", "flat"),
                    layer("Dense", "tall", units=4, kernel_regularizer=orthogonal),
                    layer("Dense", "whole", units=2, kernel_constraint=max_norm(axis=0)),
                ],
            ),
            [
                *(_small((2, 2, 2, 2)), _small((2,)), _small((18, 4)), _small((4,))),
                *(_small((4, 2)), _small((2,))),
            ],
            [["first", "kernel_constraint", max_norm(max_value=1.0, axis=[0, 1, 2])]],
            [["not-applied", "error", "first/kernel"], ["unreachable", "warning", "tall/kernel"]],
        ),
    ):
        yield AUDIT.about(
            "audited",
            "KN-AUDIT-002",
            title,
            hunts,
            {},
            model_of((shape, layers), weights) | {"after": after},
            {"findings": findings},
        )
    yield from _measured()


def _small(shape):
    """Weights that are in every set here."""
    return Tensor(shape, tuple(TINY * (i % 3) for i in range(math.prod(shape))))


def _measured():
    """The norm of each unit, and what penalties add to the loss."""
    l2 = {"class_name": "L2", "config": {"l2": 0.5}}
    conv = layer("Conv2D", "conv", filters=2, kernel_size=2, kernel_regularizer=l2)
    shapes = {"conv/kernel": ((2, 2, 3, 2), [0, 1, 2]), "head/kernel": ((2, 3), [0])}
    weights = {name: numbers(f"measured {name}", shape) for name, (shape, _) in shapes.items()}
    biases = of((2,), [0, 0]), of((3,), [0, 0, 0])
    order = [weights["conv/kernel"], biases[0], weights["head/kernel"], biases[1]]
    pool = layer("GlobalAveragePooling2D", "pool")
    expected = {
        "norms": {
            name: _norms(weights[name], axes, shape) for name, (shape, axes) in shapes.items()
        },
        "penalties": {
            "conv/kernel": exactly(
                Tensor((), (sum(x * x for x in weights["conv/kernel"].entries) / 2,)),
                *("float32", 24),
            )
        },
        "findings": [],
    }
    yield AUDIT.about(
        "audited",
        "KN-AUDIT-001",
        "the norm of each unit and the penalty of a kernel",
        "norms over other axes, or a penalty of another weight",
        {},
        model_of(((4, 4, 3), [conv, pool, layer("Dense", "head", units=3)]), order),
        expected,
    )


def _norms(w, axes, shape):
    inside = groups(shape, axes)
    entries = tuple(norm([w.entries[i] for i in group]) for group in inside)
    return exactly(Tensor((len(inside),), entries), "float32", len(inside[0]))
