"""The cases of where Keras applies constraints and penalties, one per way of training."""

from conformance.catalogue.constraints.max_norm import MAX_NORM
from conformance.catalogue.constraints.norms import MIN_MAX_NORM
from conformance.catalogue.constraints.sparsity import FIXED_MASK, SPARSE, SPARSE_NM
from conformance.catalogue.constraints.spectra import CLIP, ORTHOGONAL
from conformance.catalogue.regularizers.norms import L2

HOLDS = {
    "fit": "fit",
    "fit_eagerly": "fit, run eagerly",
    "fit_compiled": "fit, compiled just in time",
    "stateless_apply": "JAX' stateless_apply",
    "mixed_float16": "fit under mixed_float16",
    "mixed_bfloat16": "fit under mixed_bfloat16",
    "multi_optimizer": "two optimizers for one model",
    "nonfinite_step": "a step that is not finite is skipped under a LossScaleOptimizer",
    "use_ema": "each step of an optimizer that averages",
    "gradient_accumulation": "fit with gradient accumulation",
}
PARALLEL = {
    "data_parallel": "training whose batches are split over devices",
    "model_parallel": "training of a kernel that is split over devices",
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

REQUIREMENTS = {
    "KN-TRAINING-001": (
        "the bound holds on every way of training",
        "`keras.optimizers.Optimizer.apply`",
    ),
    "KN-TRAINING-002": ("the bound holds after a step of every optimizer", "`keras.optimizers`"),
    "KN-TRAINING-003": (
        "the bound holds for half-precision weights, except for rounding",
        "entries are rounded",
    ),
    "KN-TRAINING-004": (
        "the bound holds wherever else weights come from; most of these are expected failures",
        "`expected_failures.toml`",
    ),
    "KN-TRAINING-005": (
        "a rate below 1 is applied once per update",
        "gradient accumulation; expected failure",
    ),
    "KN-TRAINING-006": ("penalties of frozen weights are in the loss", "expected failure"),
    "KN-TRAINING-007": (
        "singular values are bounded on every way of training",
        "`keras.optimizers.Optimizer.apply`",
    ),
    "KN-TRAINING-008": (
        "zeros hold on every way of training, and after a step of every optimizer",
        "`keras.optimizers.Optimizer.apply`",
    ),
    "KN-TRAINING-009": (
        "the bound holds on every device that a training is split over",
        "`keras.distribution`, `tf.distribute.MirroredStrategy`, `DistributedDataParallel`",
    ),
}


def case_files():
    yield MAX_NORM.file("training", bounds())
    yield MIN_MAX_NORM.file("training", rates())
    yield L2.file("training", penalties())
    yield CLIP.file("training", spectra(CLIP, {"max_value": 0.5}))
    yield ORTHOGONAL.file("training", spectra(ORTHOGONAL, {"gain": 0.5}))
    yield SPARSE.file("training", zeros(SPARSE, {"sparsity": 0.5}))
    yield SPARSE_NM.file("training", zeros(SPARSE_NM, {"n": 1, "m": 2}))
    yield FIXED_MASK.file("training", zeros(FIXED_MASK, {"mask": [[1, 0]] * 4}))


def bounds():
    for path, title in HOLDS.items():
        yield _bound("KN-TRAINING-001", path, f"the bound holds after {title}")
    for name in OPTIMIZERS:
        title = f"the bound holds after a step of {name}"
        yield _bound("KN-TRAINING-002", "optimizer", title, optimizer=name)
    for dtype in ("float16", "bfloat16"):
        title = f"the bound holds for weights in {dtype}"
        yield _bound("KN-TRAINING-003", "fit", title, dtype)
    for path, title in GAPS.items():
        yield _bound("KN-TRAINING-004", path, f"the bound holds for {title}")
    for path, title in PARALLEL.items():
        yield _bound("KN-TRAINING-009", path, f"the bound holds after {title}")


def spectra(subject, config):
    expected = {"bound": 0.5, "of": "singular values"}
    for path, title in HOLDS.items():
        title = f"singular values stay within the bound after {title}"
        hunts = "a constraint that is silently not applied"
        yield _way(subject, "KN-TRAINING-007", path, title, hunts, config, expected)
    for path, title in PARALLEL.items():
        title = f"singular values stay within the bound after {title}"
        yield _way(subject, "KN-TRAINING-009", path, title, hunts, config, expected)


def zeros(subject, config):
    """Four of the eight entries of the kernel are zero."""
    expected, hunts = {"bound": 4, "of": "zeros"}, "a constraint that is silently not applied"
    for path, title in HOLDS.items():
        title = f"zeros hold after {title}"
        yield _way(subject, "KN-TRAINING-008", path, title, hunts, config, expected)
    for path, title in PARALLEL.items():
        title = f"zeros hold after {title}"
        yield _way(subject, "KN-TRAINING-009", path, title, hunts, config, expected)
    for name in OPTIMIZERS if subject is SPARSE else ():
        title, way = f"zeros hold after a step of {name}", {"optimizer": name}
        yield _way(subject, "KN-TRAINING-008", "optimizer", title, hunts, config, expected, **way)


def rates():
    title = "with gradient accumulation a rate below 1 is applied once per update"
    hunts = "a constraint that runs on every micro-step"
    config, expected = {"max_value": 0.5, "rate": 0.5}, {"steps": 1}
    yield _way(MIN_MAX_NORM, "KN-TRAINING-005", "accumulation", title, hunts, config, expected)


def penalties():
    title = "a penalty on weights that are not trainable is in the loss"
    hunts = "a penalty that is dropped"
    yield _way(L2, "KN-TRAINING-006", "frozen_penalty", title, hunts, {"l2": 0.5}, {})


def _bound(requirement, path, title, dtype="float32", **optimizer):
    hunts = "a constraint that is silently not applied"
    config, expected = {"max_value": 0.5}, {"bound": 0.5}
    return _way(MAX_NORM, requirement, path, title, hunts, config, expected, dtype, **optimizer)


def _way(subject, requirement, path, title, hunts, config, expected, dtype="float32", **optimizer):
    """A case about one way of training, which its id names."""
    inputs = {"path": path} | optimizer
    made = subject.about("training", requirement, title, hunts, config, inputs, expected, dtype)
    way = optimizer.get("optimizer", path).lower()
    return made | {"id": f"{subject.name}-training-{dtype}-{way}"}
