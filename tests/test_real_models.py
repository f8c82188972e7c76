"""Published architectures, whole: constrain, train, save, load, audit."""

import warnings

import keras
import numpy as np
from whole_models import L, assert_within, kernels

import keras_norms as kn

BOUND = 0.75


def sgd():
    return keras.optimizers.SGD(0.1, clipnorm=10.0)


def test_mobilenet(tmp_path):
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=3, classifier_activation=None
    )
    changes = kn.constrain(model, kn.MaxNorm(BOUND))
    # The first convolution, 17 blocks of expand, depthwise and project, of which the first expands
    # nothing, the last convolution and the classifier.
    assert len(changes) == 1 + 17 * 3 - 1 + 1 + 1
    assert all(change.saved for change in changes)
    depthwise = [change for change in changes if "depthwise" in change.path]
    assert {change.after for change in depthwise} == {kn.MaxNorm(BOUND, axis=(0, 1))}
    # Plain descent: TensorFlow takes as long to trace a momentum for each weight as all the rest.
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((8, 32, 32, 3)).astype("float32"), np.arange(8) % 3
    model.fit(x, y, batch_size=4, verbose=0)
    named = {change.path: v for change, v in zip(changes, _variables(model), strict=True)}
    assert_within(_with_depthwise_names(named), BOUND)
    model.save(tmp_path / "mobilenet.keras")
    loaded = keras.saving.load_model(tmp_path / "mobilenet.keras")
    assert [v.constraint for v in _variables(loaded)] == [c.after for c in changes]
    assert kn.audit(loaded).findings == ()


def _variables(model):
    """The kernels in the order of the layers."""
    return [v for layer in model.layers for v in layer.trainable_variables if v.name == "kernel"]


def _with_depthwise_names(variables):
    """`whole_models` knows a convolution by its path; here only the depthwise ones are named."""
    return {
        path if "depthwise" in path or len(v.shape) == 2 else f"conv2d/{path}": v
        for path, v in variables.items()
    }


def block(x):
    """A block of a transformer, with two kinds of attention and a gated product of letters."""
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 8)(x, x))
    x = L.LayerNormalization()(x + L.GroupQueryAttention(8, 4, 2)(x, x))
    hidden = L.EinsumDense("btd,dh->bth", (None, 32), activation="gelu", bias_axes="h")(x)
    return L.LayerNormalization()(x + L.Dense(16)(hidden))


def test_transformer(tmp_path):
    tokens = L.Input((12,), dtype="int32")
    x = L.Embedding(40, 16, name="tokens")(tokens)
    x = L.GlobalAveragePooling1D()(block(x))
    model = keras.Model(tokens, L.Dense(3, name="head")(x), name="transformer")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will be lost when the model is saved")
        changes = kn.constrain(model, kn.MaxNorm(BOUND))
        table = kn.constrain(model, kn.MaxNorm(0.05), where=L.Embedding)
    assert len(changes) == 4 + 4 + 1 + 1 + 1
    model.compile(sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 40, (16, 12)), np.arange(16) % 3
    model.fit(x, y, batch_size=4, verbose=0)
    assert_within(kernels(model), BOUND)
    assert_within({"tokens/embeddings": model.get_layer("tokens").embeddings}, 0.05)

    # Attention cannot keep four axes in one attribute: the audit says so, once, and the settings
    # travel in the file, beside what Keras looks at.
    for saving in (False, True):
        (finding,) = kn.audit(model, saving=saving).findings
        assert finding.code == "not-saved"
        assert "and 7 more settings" in finding.message
    model.save(tmp_path / "transformer.keras")
    kn.save_settings(model, tmp_path / "transformer.keras")
    loaded = keras.saving.load_model(tmp_path / "transformer.keras")
    kept = {change.path for change in (*changes, *table) if change.saved}
    assert {p for p, v in _constrained(loaded).items() if v.constraint is not None} == kept
    assert len(kn.load_settings(loaded, tmp_path / "transformer.keras")) == 12
    loaded.fit(x, y, batch_size=4, verbose=0)
    assert_within(kernels(loaded), BOUND)
    assert {f.code for f in kn.audit(loaded).findings} == {"not-saved"}


def _constrained(model):
    return {v.path: v for v in model.trainable_variables if v.constraint is not None}
