"""The cases of where Keras applies constraints and penalties, one per way of training."""

from conformance.catalogue.build import thing

HOLDS = {
    "fit": "fit",
    "fit_eagerly": "fit, run eagerly",
    "fit_compiled": "fit, compiled just in time",
    "stateless_apply": "JAX' stateless_apply",
    "mixed_float16": "fit under mixed_float16",
    "mixed_bfloat16": "fit under mixed_bfloat16",
    "multi_optimizer": "two optimizers for one model",
    "nonfinite_step": "a step that is not finite is skipped under a LossScaleOptimizer",
}
GAPS = {
    "initial_weights": "weights as they are initialised",
    "set_weights": "weights after set_weights",
    "load_weights": "weights after load_weights",
    "ema_after_fit": "averages that use_ema leaves after fit",
    "ema_while_evaluating": "averages that SwapEMAWeights puts in for evaluate",
    "ema_after_predict": "the model's own weights are back after predict with SwapEMAWeights",
    "ema_second_fit": "a second fit with use_ema and evaluate in between",
    "frozen": "weights that are not trainable",
    "no_gradient": "trainable weights without a gradient",
    "lora": "a kernel with LoRA whose constraint is set on the variable",
    "quantized": "a kernel after quantize('int8')",
    "torch_optimizer": "a step of torch.optim",
}
OPTIMIZERS = (
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion"),
    *("Muon", "Nadam", "RMSprop", "SGD", "ScheduleFreeAdamW"),
)


def training():
    for path, title in HOLDS.items():
        yield _path("KN-TRAINING-001", path, f"the bound holds after {title}", {})
    for name in OPTIMIZERS:
        yield _path(
            "KN-TRAINING-002", "optimizer", f"the bound holds after a step of {name}", {}, name
        )
    for dtype in ("float16", "bfloat16"):
        yield _path(
            "KN-TRAINING-003", "fit", f"the bound holds for weights in {dtype}", {}, dtype=dtype
        )
    for path, title in GAPS.items():
        yield _path("KN-TRAINING-004", path, f"the bound holds for {title}", {})


def rate():
    yield thing(
        "min_max_norm",
        "KN-TRAINING-005",
        "training",
        "with gradient accumulation a rate below 1 is applied once per update",
        "a constraint that runs on every micro-step",
        {"max_value": 0.5, "rate": 0.5},
        {"steps": 1},
        {"path": "accumulation"},
    ) | {"id": "min_max_norm-training-float32-accumulation"}


def penalties():
    yield thing(
        "l2",
        "KN-TRAINING-006",
        "training",
        "a penalty on weights that are not trainable is in the loss",
        "a penalty that is dropped",
        {"l2": 0.5},
        {},
        {"path": "frozen_penalty"},
    ) | {"id": "l2-training-float32-frozen_penalty"}


def _path(requirement, path, title, config, optimizer=None, dtype="float32"):
    inputs = {"path": path} | ({"optimizer": optimizer} if optimizer else {})
    made = thing(
        "max_norm",
        requirement,
        "training",
        title,
        "a constraint that is silently not applied",
        {"max_value": 0.5} | config,
        {"bound": 0.5},
        inputs,
    )
    return made | {"dtype": dtype, "id": f"max_norm-training-{dtype}-{optimizer or path}".lower()}
