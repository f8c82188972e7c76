"""Small models of other packages, each with twelve inputs."""

import importlib

import keras
import numpy as np

RNG = np.random.default_rng(0)
TOKENS = {
    "token_ids": RNG.integers(1, 50, (12, 8)),
    "padding_mask": np.ones((12, 8), "int32"),
}
SEGMENTS = TOKENS | {"segment_ids": np.zeros((12, 8), "int32")}
IMAGES = RNG.uniform(size=(12, 16, 16, 3)).astype("float32")
SEQUENCES = RNG.standard_normal((12, 10, 4)).astype("float32")
VECTORS = RNG.standard_normal((12, 6)).astype("float32")

_ENCODER = {
    "vocabulary_size": 50,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "max_sequence_length": 16,
}
_DECODER = {
    "vocabulary_size": 50,
    "num_layers": 2,
    "num_query_heads": 2,
    "num_key_value_heads": 1,
    "hidden_dim": 8,
    "intermediate_dim": 16,
}
_VISION = {
    "image_shape": (16, 16, 3),
    "patch_size": 8,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
}
_EXPERTS = _DECODER | {"num_experts": 2, "top_k": 1}
_NO_HEADS = {name: value for name, value in _ENCODER.items() if name != "num_heads"}
_NO_LENGTH = {name: value for name, value in _ENCODER.items() if name != "max_sequence_length"}
BACKBONES = {
    "Bert": (_ENCODER, SEGMENTS),
    "Roberta": (_ENCODER, TOKENS),
    "XLMRoberta": (_ENCODER, TOKENS),
    "DistilBert": (_ENCODER, TOKENS),
    "Albert": (
        _ENCODER | {"embedding_dim": 8, "num_groups": 1, "num_inner_repetitions": 1},
        SEGMENTS,
    ),
    "DebertaV3": (_ENCODER | {"bucket_size": 8}, TOKENS),
    "FNet": (
        _NO_HEADS,
        {name: values for name, values in SEGMENTS.items() if name != "padding_mask"},
    ),
    "GPT2": (_ENCODER, TOKENS),
    "GPTNeoX": (_ENCODER | {"hidden_dim": 16}, TOKENS),
    "OPT": (_ENCODER, TOKENS),
    "Bloom": (_ENCODER, TOKENS),
    "T5": (_NO_LENGTH, {f"{s}_{k}": v for s in ("encoder", "decoder") for k, v in TOKENS.items()}),
    "Bart": (_ENCODER, {f"{s}_{k}": v for s in ("encoder", "decoder") for k, v in TOKENS.items()}),
    "Llama": (_DECODER, TOKENS),
    "Llama3": (_DECODER, TOKENS),
    "Mistral": (_DECODER, TOKENS),
    "Mixtral": (_EXPERTS, TOKENS),
    "Qwen": (_DECODER, TOKENS),
    "Qwen3": (_DECODER | {"head_dim": 4}, TOKENS),
    "QwenMoe": (
        _EXPERTS | {"moe_intermediate_dim": 8, "shared_expert_intermediate_dim": 8},
        TOKENS,
    ),
    "GptOss": (_EXPERTS, TOKENS),
    "Gemma": (_DECODER | {"head_dim": 4}, TOKENS),
    "Phi3": (_DECODER, TOKENS),
    "Falcon": (
        {
            "vocabulary_size": 50,
            "num_layers": 2,
            "num_attention_heads": 2,
            "hidden_dim": 8,
            "intermediate_dim": 16,
        },
        TOKENS,
    ),
    "ViT": (_VISION | {"mlp_dim": 16}, IMAGES),
    "DeiT": (_VISION | {"intermediate_dim": 16}, IMAGES),
    "DINOV2": (_VISION | {"intermediate_dim": 16}, IMAGES),
    "SwinTransformer": (
        {
            "image_shape": (16, 16, 3),
            "patch_size": 4,
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [2, 2],
            "window_size": 2,
        },
        IMAGES,
    ),
    "VGG": (
        {
            "stackwise_num_repeats": [1, 1],
            "stackwise_num_filters": [4, 8],
            "image_shape": (16, 16, 3),
        },
        IMAGES,
    ),
    "DenseNet": (
        {
            "stackwise_num_repeats": [1, 1],
            "compression_ratio": 0.5,
            "growth_rate": 4,
            "image_shape": (16, 16, 3),
        },
        IMAGES,
    ),
}


def keras_hub(package):
    for name, (config, x) in BACKBONES.items():
        cls = getattr(package.models, f"{name}Backbone")
        yield name, (lambda cls=cls, config=config: cls(**config), x)


def hgq(package):
    layers = importlib.import_module("hgq.layers")

    def convolutional():
        inputs = keras.layers.Input((16, 16, 3))
        x = keras.layers.Flatten()(layers.QConv2D(3, 3)(inputs))
        return keras.Model(inputs, layers.QDense(4)(x))

    yield "QConv2D and QDense", (convolutional, IMAGES)


def keras_rs(package):
    def crossed():
        inputs = keras.layers.Input((6,))
        x = package.layers.FeatureCross()(inputs)
        return keras.Model(inputs, keras.layers.Dense(1)(x))

    yield "FeatureCross", (crossed, VECTORS)


def tcn(package):
    def sequential():
        inputs = keras.layers.Input((10, 4))
        x = package.TCN(nb_filters=4, kernel_size=2, dilations=(1, 2))(inputs)
        return keras.Model(inputs, keras.layers.Dense(1)(x))

    yield "TCN", (sequential, SEQUENCES)


def ncps(package):
    layers, wirings = (importlib.import_module(f"ncps.{name}") for name in ("keras", "wirings"))

    def recurrent(make):
        inputs = keras.layers.Input((10, 4))
        return keras.Model(inputs, keras.layers.Dense(1)(make()(inputs)))

    for name, make in (
        ("CfC", lambda: layers.CfC(6)),
        ("LTC", lambda: layers.LTC(wirings.AutoNCP(8, 2))),
    ):
        yield name, (lambda make=make: recurrent(make), SEQUENCES)


def bayesflow(package):
    networks = package.networks

    def summary():
        inputs = keras.layers.Input((10, 4))
        return keras.Model(inputs, networks.DeepSet(summary_dim=3, depth=1)(inputs))

    yield "DeepSet", (summary, SEQUENCES)


def of(name):
    """The name, the maker and the inputs of each model of a package."""
    return list(globals()[name](importlib.import_module(name)))
