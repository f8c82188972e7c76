"""The cases of whole models: what `constrain` and `project` make of one that is built."""

import dataclasses

from conformance.catalogue.build import Subject, exactly
from conformance.catalogue.build_models import layer, max_norm, model_of
from conformance.catalogue.constraints.max_norm import MAX_NORM
from conformance.catalogue.inputs import numbers
from conformance.oracles.exact import groups
from conformance.oracles.models import INSIDE

CONSTRAIN = Subject("constrain", "constrain", None)
PROJECT = Subject("project", "project", None)

REQUIREMENTS = {
    "KN-CONSTRAIN-001": (
        "every kernel of every layer gets one norm per unit, with the axes that its layer needs",
        "the definition of the layer",
    ),
    "KN-CONSTRAIN-002": (
        "the weights are in the set at once, and all other weights stay bit for bit",
        "Keras constrains after the next step only",
    ),
    "KN-CONSTRAIN-003": ("`where` and `axis` choose the weights and the groups", "documentation"),
    "KN-CONSTRAIN-004": ("what a model can lose when it is saved is told", "Keras' configs"),
    "KN-PROJECT-001": (
        "every constrained weight is in its set, a frozen one too, and no other weight changes",
        "Keras skips variables that are not trainable",
    ),
}

BOUND = {"max_value": 0.75}


@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight of a model: its shape, and the axes inside a group, or None if it must not move."""

    shape: tuple
    axes: list | None = None
    dtype: str = "float32"

    def start(self, name):
        return numbers(name, self.shape, self.dtype)

    def end(self, name, config):
        """The weight in the ball of its groups."""
        start = self.start(name)
        return start if self.axes is None else MAX_NORM.oracle(start, axis=self.axes, **config)

    def reduced(self):
        return 0 if self.axes is None else max(map(len, groups(self.shape, self.axes)))


def kernel(shape, class_name, name="kernel"):
    return Weight(shape, INSIDE[class_name][name])


def bias(*shape):
    return Weight(shape)


NETWORKS = {
    "a convolutional network": (
        (8, 8, 2),
        [
            layer("Conv2D", "conv", filters=3, kernel_size=[2, 3]),
            layer("BatchNormalization", "norm"),
            layer("DepthwiseConv2D", "depth", kernel_size=2, depth_multiplier=2),
            layer("SeparableConv2D", "separable", filters=2, kernel_size=2),
            layer("Conv2DTranspose", "up", filters=3, kernel_size=2),
            layer("GlobalAveragePooling2D", "pool"),
            layer("Dense", "head", units=4),
        ],
        [
            *(kernel((2, 3, 2, 3), "Conv2D"), bias(3)),
            *(bias(3), bias(3), bias(3), bias(3)),
            *(kernel((2, 2, 3, 2), "DepthwiseConv2D"), bias(6)),
            kernel((2, 2, 6, 1), "SeparableConv2D", "depthwise_kernel"),
            *(kernel((1, 1, 6, 2), "SeparableConv2D", "pointwise_kernel"), bias(2)),
            *(kernel((2, 2, 3, 2), "Conv2DTranspose"), bias(3)),
            *(kernel((3, 4), "Dense"), bias(4)),
        ],
    ),
    "convolutions of other ranks": (
        (6, 2),
        [
            layer("Conv1D", "conv", filters=3, kernel_size=2),
            layer("DepthwiseConv1D", "depth", kernel_size=2),
            layer("Conv1DTranspose", "up", filters=2, kernel_size=3),
            layer("Reshape", "cube", target_shape=[2, 3, 1, 2]),
            layer("Conv3D", "volume", filters=2, kernel_size=[1, 2, 1]),
        ],
        [
            *(kernel((2, 2, 3), "Conv1D"), bias(3)),
            *(kernel((2, 3, 1), "DepthwiseConv1D"), bias(3)),
            *(kernel((3, 2, 3), "Conv1DTranspose"), bias(2)),
            *(kernel((1, 2, 1, 2, 2), "Conv3D"), bias(2)),
        ],
    ),
    "a recurrent network": (
        (5, 2),
        [
            {
                "class_name": "Bidirectional",
                "config": {
                    "name": "both",
                    "layer": layer("GRU", "gru", units=2, return_sequences=True),
                },
            },
            layer("SimpleRNN", "simple", units=3, return_sequences=True),
            layer("LSTM", "lstm", units=2),
            layer("Dense", "head", units=1),
        ],
        [
            *(kernel((2, 6), "GRU"), kernel((2, 6), "GRU", "recurrent_kernel"), bias(2, 6)),
            *(kernel((2, 6), "GRU"), kernel((2, 6), "GRU", "recurrent_kernel"), bias(2, 6)),
            kernel((4, 3), "SimpleRNN"),
            *(kernel((3, 3), "SimpleRNN", "recurrent_kernel"), bias(3)),
            *(kernel((3, 8), "LSTM"), kernel((2, 8), "LSTM", "recurrent_kernel"), bias(8)),
            *(kernel((2, 1), "Dense"), bias(1)),
        ],
    ),
    "attention over tokens": (
        (4,),
        [
            layer("Embedding", "tokens", input_dim=5, output_dim=6),
            layer("MultiHeadAttention", "attention", num_heads=2, key_dim=3),
            layer("LayerNormalization", "norm"),
            layer("EinsumDense", "each", equation="abc,bcd->abd", output_shape=[4, 2]),
        ],
        [
            bias(5, 6),
            *(kernel((6, 2, 3), "MultiHeadAttention", "projection"), bias(2, 3)) * 3,
            *(kernel((2, 3, 6), "MultiHeadAttention", "output"), bias(6)),
            *(bias(6), bias(6)),
            kernel((4, 6, 2), "EinsumDense abc,bcd->abd"),
        ],
    ),
}
DENSE = (3,), [layer("Dense", "a", units=4), layer("Dense", "b", units=2)]
EACH = [Weight((3, 4)), Weight((4,)), Weight((4, 2)), Weight((2,))]


def case_files():
    yield CONSTRAIN.file("whole_models", constrained())
    yield PROJECT.file("whole_models", projected())


def constrained():
    for title, (shape, layers, weights) in NETWORKS.items():
        # An attention layer has one attribute for four kernels with different axes.
        lost = [i for i, w in enumerate(weights) if len(w.shape) == 3 and w.axes in ([0], [0, 1])]
        attention = lost if "attention" in title else []
        yield _constrained(
            "KN-CONSTRAIN-001",
            f"{title}: each kernel in its layer's own groups",
            f"one axis for all layers, or a kernel that is left out of {title}",
            (shape, layers),
            weights,
            lost=attention,
        )
    yield _constrained(
        "KN-CONSTRAIN-003",
        "a regular expression chooses one of two kernels",
        "a choice that is ignored",
        DENSE,
        [EACH[0], EACH[1], kernel((4, 2), "Dense"), EACH[3]],
        where="b/kernel",
    )
    yield _constrained(
        "KN-CONSTRAIN-003",
        "the rows of an embedding table, chosen by the layer's class",
        "a norm per column of the table",
        ((4,), [layer("Embedding", "tokens", input_dim=5, output_dim=3)]),
        [kernel((5, 3), "Embedding", "embeddings")],
        where={"layer": "Embedding"},
    )
    yield _constrained(
        "KN-CONSTRAIN-003",
        "axis='own' keeps the axis of the constraint",
        "an axis of the layer where the user's is asked for",
        DENSE,
        [Weight((3, 4), [1]), EACH[1], Weight((4, 2), [1]), EACH[3]],
        config=BOUND | {"axis": 1},
        axis="own",
    )
    yield _constrained(
        "KN-CONSTRAIN-002",
        "a constraint that is there already is replaced",
        "the old constraint",
        ((3,), [layer("Dense", "a", units=2, kernel_constraint=max_norm(max_value=0.25))]),
        [kernel((3, 2), "Dense"), Weight((2,))],
    )
    for dtype in ("float16", "bfloat16"):
        yield _constrained(
            "KN-CONSTRAIN-002",
            f"weights in {dtype} are put into the set at once",
            "weights that wait for the next step",
            ((3,), [layer("Dense", "a", units=2, dtype=dtype)]),
            [Weight((3, 2), [0], dtype), Weight((2,), None, dtype)],
        )


def _constrained(requirement, title, hunts, model, weights, lost=(), config=BOUND, **inputs):
    changes = [
        {"weight": i, "axis": w.axes, "saved": i not in lost}
        for i, w in enumerate(weights)
        if w.axes is not None
    ]
    bound = {"max_value": config["max_value"]}
    return CONSTRAIN.about(
        "constrained",
        "KN-CONSTRAIN-004" if lost else requirement,
        title,
        hunts,
        {},
        _built(model, title, weights) | {"setting": max_norm(**config)} | inputs,
        {"changes": changes, "weights": _ends(title, weights, bound)},
        weights[0].dtype,
    )


def _built(model, title, weights):
    return model_of(model, [w.start(f"{title} {i}") for i, w in enumerate(weights)])


def _ends(title, weights, config):
    return [
        exactly(w.end(f"{title} {i}", config), w.dtype, w.reduced()) for i, w in enumerate(weights)
    ]


def projected():
    bounded = layer("Dense", "a", units=4, kernel_constraint=max_norm(**BOUND))
    filters = max_norm(**BOUND, axis=[0, 1, 2])
    for title, hunts, model, weights, after in (
        (
            "a constrained kernel moves, and the other stays",
            "a kernel without a constraint that moves",
            ((3,), [bounded, DENSE[1][1]]),
            [kernel((3, 4), "Dense"), *EACH[1:]],
            [],
        ),
        (
            "a frozen kernel is projected, too",
            "a frozen weight that is skipped",
            ((3,), [bounded, DENSE[1][1]]),
            [kernel((3, 4), "Dense"), *EACH[1:]],
            [["a", "trainable", False]],
        ),
        (
            "a filter, and the bias with a constraint of its own",
            "a weight that is no kernel and is left out",
            (
                (4, 4, 2),
                [
                    layer(
                        "Conv2D",
                        "conv",
                        filters=5,
                        kernel_size=2,
                        kernel_constraint=filters,
                        bias_constraint=max_norm(**BOUND),
                    )
                ],
            ),
            [kernel((2, 2, 2, 5), "Conv2D"), Weight((5,), [0])],
            [],
        ),
    ):
        moved = [i for i, w in enumerate(weights) if w.axes is not None]
        yield PROJECT.about(
            "projected",
            "KN-PROJECT-001",
            title,
            hunts,
            {},
            _built(model, title, weights) | {"after": after},
            {"moved": moved, "weights": _ends(title, weights, BOUND)},
        )
