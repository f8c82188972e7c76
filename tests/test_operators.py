"""The norm of a convolution, against the dense matrix of the layer on small images."""

import keras
import numpy as np
import pytest
from older_keras import REFUSES_BOTH, WARNS_OF_ITSELF, fails_before

import keras_norms as kn
from keras_norms.models import operators

L = keras.layers
CASES = {
    "valid": (lambda: L.Conv2D(3, 3), 2),
    "same": (lambda: L.Conv2D(3, 3, padding="same"), 2),
    "even": (lambda: L.Conv2D(2, (2, 4), padding="same"), 2),
    "pointwise": (lambda: L.Conv2D(3, 1), 2),
    "row": (lambda: L.Conv2D(3, (1, 5), padding="same"), 2),
    "strides": (lambda: L.Conv2D(3, 3, strides=2, padding="same"), 2),
    "wide strides": (lambda: L.Conv2D(3, (2, 3), strides=(3, 2), padding="same"), 2),
    "dilation": (lambda: L.Conv2D(3, 3, dilation_rate=2, padding="same"), 2),
    "groups": (lambda: L.Conv2D(4, 3, groups=2, padding="same"), 2),
    "causal": (lambda: L.Conv1D(3, 4, padding="causal"), 1),
    "one axis": (lambda: L.Conv1D(3, 5, strides=2), 1),
    "three axes": (lambda: L.Conv3D(2, 2, padding="same"), 3),
    "depthwise": (lambda: L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), 2),
    "depthwise 1d": (lambda: L.DepthwiseConv1D(3, strides=2, padding="same"), 1),
    "both": (lambda: L.DepthwiseConv1D(2, strides=2, dilation_rate=2), 1),
    "both, coprime": (lambda: L.DepthwiseConv1D(3, strides=2, dilation_rate=3), 1),
    "both, 2d": (lambda: L.DepthwiseConv2D(2, strides=2, dilation_rate=2), 2),
    "separable, both": (lambda: L.SeparableConv1D(2, 2, strides=2, dilation_rate=2), 1),
    "separable": (lambda: L.SeparableConv2D(3, 3, padding="same"), 2),
    "transposed": (lambda: L.Conv2DTranspose(3, 3, padding="same"), 2),
    "transposed strides": (lambda: L.Conv2DTranspose(3, 3, strides=2), 2),
    "transposed 1d": (lambda: L.Conv1DTranspose(2, 4, strides=3, padding="same"), 1),
}
FAIL_BEFORE = {
    "transposed 1d": fails_before((3, 15), WARNS_OF_ITSELF, "torch"),
    **dict.fromkeys(
        [name for name in CASES if "both" in name], fails_before((3, 15), REFUSES_BOTH)
    ),
}


def operator_norm(layer, shape):
    """The largest singular value of the matrix of the layer on images of this shape."""
    size = int(np.prod(shape))
    columns = layer(np.eye(size, dtype="float32").reshape(size, *shape))
    return np.linalg.norm(keras.ops.convert_to_numpy(columns).reshape(size, -1), 2)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=FAIL_BEFORE.get(name, ())) for name in CASES],
)
def test_the_bound_is_above_the_operator_of_each_size_and_near_that_of_a_large_one(name):
    make, rank = CASES[name]
    keras.utils.set_random_seed(0)
    layer = make()
    sizes = {1: (7, 120), 2: (5, 17), 3: (3, 6)}[rank]
    layer.build((None, *[sizes[-1]] * rank, 2))
    norms = [operator_norm(layer, (*[size] * rank, 2)) for size in sizes]
    bound = kn.conv_spectral_bound(layer)
    assert max(norms) <= bound
    # A separable convolution is less than its parts; an image of 6**3 pixels has many edges, and
    # under dilation 17 pixels are two images of 8 or 9.
    share = {"separable": 0.5, "separable, both": 0.5, "three axes": 0.85, "dilation": 0.85}.get(
        name, 0.93
    )
    assert max(norms) >= share * bound


def test_circular_padding_would_be_no_bound():
    layer = L.Conv1D(1, 2, padding="same", use_bias=False)
    layer.build((None, 5, 1))
    layer.set_weights([np.array([[[1.0]], [[-1.0]]])])
    circular = np.abs(np.fft.fft([1, -1], 5)).max()
    assert circular < operator_norm(layer, (5, 1)) <= 2 <= kn.conv_spectral_bound(layer) <= 2.04


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_kernel_that_is_not_finite_has_no_bound(value):
    layer = L.Conv1D(1, 2, use_bias=False)
    model = keras.Sequential([L.Input((5, 1)), layer])
    layer.set_weights([np.array([[[1.0]], [[value]]])])
    assert np.isnan(kn.conv_spectral_bound(layer))
    assert "not-finite" in {f.code for f in kn.audit(model, spectra=True).findings}


def test_a_constant_kernel_has_the_norm_of_its_sum():
    layer = L.Conv2D(1, 3, use_bias=False, kernel_initializer="ones")
    layer.build((None, 9, 9, 1))
    assert 9 <= kn.conv_spectral_bound(layer) <= 9 * 1.02


def test_the_peak_lies_between_points_of_the_grid():
    """A filter tuned to any frequency has a norm that the grid must not miss."""
    for frequency in np.linspace(0, np.pi, 50):
        wave = np.exp(1j * frequency * np.arange(7))
        layer = L.Conv1D(2, 7, use_bias=False)
        layer.build((None, 9, 1))
        layer.set_weights([np.stack([wave.real, wave.imag], -1)[:, None]])
        grid = np.linspace(0, np.pi, 20001)
        waves = np.exp(-1j * np.outer(grid, np.arange(7)))
        exact = np.sqrt(np.abs(waves @ wave.real) ** 2 + np.abs(waves @ wave.imag) ** 2).max()
        assert exact <= kn.conv_spectral_bound(layer) <= exact * 1.0201


def test_what_is_no_convolution_or_not_built_is_refused():
    with pytest.raises(TypeError, match="must be a convolution"):
        kn.conv_spectral_bound(L.Dense(3))
    with pytest.raises(ValueError, match="no kernel yet"):
        kn.conv_spectral_bound(L.Conv2D(3, 3, name="early"))


def test_audit_shows_the_spectrum_of_kernels_and_of_convolutions():
    layers = [L.Input((8, 8, 2)), L.Conv2D(4, 3, strides=2), L.Flatten(), L.Dense(3)]
    model = keras.Sequential(layers)
    conv, dense = (weight.columns for weight in kn.audit(model, spectra=True).weights)
    kernels = [keras.ops.convert_to_numpy(model.layers[i].kernel) for i in (0, 2)]
    for columns, kernel in zip((conv, dense), kernels, strict=True):
        exact = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
        assert exact * (1 - 1e-6) <= columns["largest singular value"] <= 1.001 * exact
    assert conv["operator norm"] == kn.conv_spectral_bound(model.layers[0])
    assert "operator norm" not in dense
    assert "largest singular value" in str(kn.audit(model, spectra=True))
    assert not kn.audit(model).weights[0].columns


def test_audit_shows_the_norm_of_a_separable_convolution_once():
    model = keras.Sequential([L.Input((8, 8, 2)), L.SeparableConv2D(4, 3)])
    depthwise, pointwise = (weight.columns for weight in kn.audit(model, spectra=True).weights)
    assert "operator norm" not in depthwise
    assert pointwise["operator norm"] == kn.conv_spectral_bound(model.layers[0])


@pytest.mark.parametrize("strides", [1, 2])
def test_a_kernel_of_no_channels_has_norm_zero(strides):
    conv = L.Conv2D(3, 2, strides=strides)
    model = keras.Sequential([L.Input((4, 4, 0)), conv])
    assert kn.conv_spectral_bound(conv) == 0
    (report,) = kn.audit(model, spectra=True).weights
    assert report.columns == {"largest singular value": 0, "operator norm": 0}


def test_history_records_the_largest_singular_value_and_the_bound():
    layer = L.Dense(6, kernel_constraint=kn.MaxSpectralNorm(0.5), name="head")
    model = keras.Sequential([L.Input((4,)), layer], name="net")
    model.compile(keras.optimizers.SGD(0.5), "mse")
    x = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
    y, callbacks = 9 * x @ np.ones((4, 6)), [kn.NormHistory(spectra=True)]
    history = model.fit(x, y, callbacks=callbacks, verbose=0)
    exact = np.linalg.norm(keras.ops.convert_to_numpy(layer.kernel), 2)
    assert exact == pytest.approx(0.5, rel=1e-5)
    found = history.history["singular_value/net/head/kernel"][-1]
    assert exact * (1 - 1e-6) <= found <= 1.001 * exact
    assert history.history["on_bound/net/head/kernel"] == [1.0]


def test_the_bound_is_of_all_frequencies_however_many_are_looked_at_together(monkeypatch):
    layer = L.Conv2D(3, 3, use_bias=False)
    layer.build((None, 9, 9, 2))
    bound = kn.conv_spectral_bound(layer)
    for entries in (1, 60):
        monkeypatch.setattr(operators, "_ENTRIES_AT_ONCE", entries)
        assert kn.conv_spectral_bound(layer) == pytest.approx(bound, rel=1e-12)


def test_with_lora_both_norms_are_of_the_kernel_that_the_layer_uses():
    layer = keras.layers.Conv2D(4, 3, name="conv")
    model = keras.Sequential([keras.layers.Input((10, 10, 3)), layer], name="m")
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.full((2, 4), 3.0))
    (report,) = [each for each in kn.audit(model, spectra=True).weights if "lora" not in each.path]
    matrix = keras.ops.convert_to_numpy(layer.kernel).reshape(-1, 4)
    largest = np.linalg.norm(matrix.astype("float64"), 2)
    assert largest * (1 - 1e-6) <= report.columns["largest singular value"] <= 1.001 * largest
    # A window of 3 by 3 entries: at most the root of 9 times as large, and a bound 0.1 % above it.
    assert largest / 3 <= report.columns["operator norm"] <= 3 * 1.001 * largest
