"""Layouts elsewhere: those of well-known packages, none of which is imported.

A class is known by its package and its name. The session `third_party` of nox tests the table on
the packages themselves. What is not here, `register_layout` says.
"""

# Tables of positions, and tokens that stand for a class or a mask, are no kernels: they have a
# "dim". An expert is a Dense layer of its own, so that its units are apart, too.
_EXPERTS = "unit in unit"
LAYOUTS: dict[tuple[str, str], dict[str, str]] = {
    ("keras_hub", "PositionEmbedding"): {"position_embeddings": "unit dim"},
    ("keras_hub", "RelativeEmbedding"): {"rel_embeddings": "unit dim"},
    ("keras_hub", "T5MultiHeadAttention"): {"relative_attention_bias": "*"},
    ("keras_hub", "WindowAttention"): {"relative_position_bias_table": "*"},
    ("keras_hub", "ViTPatchingAndEmbedding"): {"class_token": "unit unit dim"},
    ("keras_hub", "DeiTEmbeddings"): {
        "class_token": "unit unit dim",
        "distillation_token": "unit unit dim",
        "position_embedding": "unit unit dim",
    },
    ("keras_hub", "DINOV2Embedding"): {
        "cls_token": "unit unit dim",
        "mask_token": "unit dim",
        "interpolated_position_embeddings": "unit unit dim",
    },
    ("keras_hub", "MixtralMoeExperts"): {
        "expert_feedforward_gate_dense": _EXPERTS,
        "expert_feedforward_intermediate_dense": _EXPERTS,
        "expert_feedforward_output_dense": _EXPERTS,
    },
    ("keras_hub", "QwenMoeExperts"): {
        "expert_feedforward_gate_dense": _EXPERTS,
        "expert_feedforward_output_dense": _EXPERTS,
    },
    ("keras_hub", "GptOssExperts"): {
        "gate_up_proj": _EXPERTS,
        "gate_up_proj_bias": "*",
        "down_proj": _EXPERTS,
        "down_proj_bias": "*",
    },
    ("ncps", "CfCCell"): {"ff1_kernel": "in unit", "ff2_kernel": "in unit"},
    ("bayesflow", "PoolingByMultiHeadAttention"): {"seed_vector": "unit dim"},
    # Numbers of bits.
    ("hgq", "FixedPointQuantizerKIF"): {"k": "*", "i": "*", "f": "*"},
    ("hgq", "FixedPointQuantizerKBI"): {"k": "*", "b": "*", "i": "*"},
}


def layouts_of_class(cls):
    """The layouts of one class, without those of its bases; None if it is not in the table."""
    return LAYOUTS.get((cls.__module__.partition(".")[0], cls.__name__))
