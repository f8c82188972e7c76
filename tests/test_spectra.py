"""Singular values, against those of NumPy."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_norms as kn
from keras_norms.numerics.spectra import (
    BOUND_EXCESS,
    smooth_spectral_bound,
    spectral_bound,
    squarings,
)
from keras_norms.testing.backends import gradient


def flat(shape):
    """A matrix whose singular values are all 1, the worst case of the bound."""
    draw = np.random.default_rng(0).standard_normal((max(shape), min(shape)))
    q = np.linalg.qr(draw)[0]
    return q if shape[0] >= shape[1] else q.T


def rank_1(shape):
    draw = np.random.default_rng(0)
    return np.outer(draw.standard_normal(shape[0]), draw.standard_normal(shape[1]))


def one_above_many(shape):
    """One singular value that is a little larger than many equal ones."""
    u, _, v = np.linalg.svd(flat(shape) + 1e-3 * rank_1(shape), full_matrices=False)
    return (u * np.where(np.arange(len(v)) == 0, 1 + 2**-10, 1)) @ v


def half_flat(shape):
    """Half of the singular values are 1, the others 0: the worst case of the bound by traces."""
    u, _, v = np.linalg.svd(flat(shape), full_matrices=False)
    return (u * (np.arange(len(v)) < (len(v) + 1) // 2)) @ v


def normal(shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("bound", [spectral_bound, smooth_spectral_bound])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e18])
@pytest.mark.parametrize("kind", [normal, flat, half_flat, rank_1, one_above_many])
@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (2, 2), (5, 3), (61, 127), (300, 256)])
def test_the_bound_is_never_below_and_at_most_a_thousandth_above(kind, shape, scale, bound):
    w = (kind(shape) * scale).astype("float32")
    exact = np.linalg.svd(w.astype("float64"), compute_uv=False)[0]
    found = float(ops.convert_to_numpy(bound(ops.convert_to_tensor(w), (0,))))
    # A product of two matrices of order 256 rounds by some ulp.
    assert -2e-6 < found / exact - 1 < BOUND_EXCESS + 2e-6


@pytest.mark.parametrize("mode", ["clip", "scale"])
def test_the_gradient_at_zero_is_that_of_a_weight_in_the_set(mode):
    constraint = kn.MaxSpectralNorm(1.5, mode=mode)
    found = gradient(lambda w: ops.sum(constraint(w)), ops.zeros((3, 4)))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), np.ones((3, 4)))


def test_squarings_grow_with_the_logarithm_of_the_order():
    assert [squarings(n) for n in (0, 1, 2, 512, 4096)] == [0, 0, 8, 11, 12]
    for order in (2, 3, 17, 512, 10**6):
        assert order ** (1 / 2 ** (squarings(order) + 2)) - 1 <= 1.001 * BOUND_EXCESS


@pytest.mark.parametrize("penalty", kn.SoftOrthogonalRegularizer.examples())
def test_training_reaches_orthonormal_groups(penalty):
    """From a kernel that is far from it, with the penalty as the only loss."""
    layer = keras.layers.Dense(4, use_bias=False, kernel_regularizer=penalty)
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    rate = {"frobenius": 0.1, "double": 0.05, "coherence": 0.02}[penalty.mode]
    model.compile(keras.optimizers.SGD(rate), lambda y, outputs: 0 * ops.mean(outputs))
    layer.kernel.assign(normal((4, 4)) / 2 + np.eye(4))
    x = np.zeros((32, 4), "float32")
    model.fit(x, x, batch_size=1, epochs=20, verbose=0)
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    # The worst entry is moved by a step of constant size, between which it swings.
    assert np.abs(kernel.T @ kernel - np.eye(4)).max() < (
        0.1 if penalty.mode == "coherence" else 1e-5
    )


def test_training_lowers_the_largest_singular_value():
    penalty = kn.SpectralRegularizer(1.0)
    layer = keras.layers.Dense(4, use_bias=False, kernel_regularizer=penalty)
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    model.compile(keras.optimizers.SGD(0.1), lambda y, outputs: 0 * ops.mean(outputs))
    kernel = flat((4, 4)) * np.array([3.0, 1.0, 0.5, 0.25])  # columns of these norms
    layer.kernel.assign(kernel)
    x = np.zeros((32, 4), "float32")
    model.fit(x, x, batch_size=4, verbose=0)
    found = np.linalg.svd(ops.convert_to_numpy(layer.kernel), compute_uv=False)
    # Eight steps of the slope s: each takes a tenth of the largest, and leaves the others alone.
    assert found == pytest.approx([3 * 0.9**8, 1.0, 0.5, 0.25], rel=1e-5)


def with_condition(shape, condition):
    u, _, v = np.linalg.svd(normal(shape), full_matrices=False)
    return (u * np.geomspace(1, 1 / condition, min(shape))) @ v


def mapped(constraint, w):
    return keras.ops.convert_to_numpy(constraint(ops.convert_to_tensor(w.astype("float32"))))


@pytest.mark.parametrize("ratio", [0.5, 1.01, 3.0, 1e4, 1e17])
@pytest.mark.parametrize("kind", [normal, flat, rank_1, one_above_many])
@pytest.mark.parametrize("shape", [(7, 5), (61, 127), (300, 256)])
def test_a_clip_is_near_the_nearest_point_and_within_the_bound(kind, shape, ratio):
    w = kind(shape)
    w = (w * (ratio / np.linalg.norm(w, 2))).astype("float32")
    u, values, v = np.linalg.svd(w.astype("float64"), full_matrices=False)
    got = mapped(kn.MaxSpectralNorm(1.0), w).astype("float64")
    assert np.linalg.norm(got, 2) <= 1 + 1e-5
    assert np.linalg.norm(got - (u * np.minimum(values, 1)) @ v, 2) <= 1e-5 * ratio
    assert np.array_equal(mapped(kn.MaxSpectralNorm(1.0), got), got)


@pytest.mark.parametrize("condition", [1, 10, 1e4])
@pytest.mark.parametrize("shape", [(7, 5), (61, 127), (300, 256), (1, 9), (9, 1)])
def test_the_polar_factor_is_orthogonal_and_near_the_nearest_point(shape, condition):
    w = with_condition(shape, condition).astype("float32")
    u, _, v = np.linalg.svd(w.astype("float64"), full_matrices=False)
    got = mapped(kn.Orthogonal(3.0), w).astype("float64") / 3
    square = got @ got.T if shape[0] <= shape[1] else got.T @ got
    assert np.abs(square - np.eye(min(shape))).max() <= (5 + np.log2(max(shape))) * 2.0**-23
    assert np.linalg.norm(got - u @ v, 2) <= 1e-5 + 1e-6 * condition
    assert np.array_equal(mapped(kn.Orthogonal(3.0), got * 3), (got * 3).astype("float32"))


@pytest.mark.parametrize("rank", [0, 1, 30])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_a_weight_without_full_rank_becomes_orthogonal_too(shape, scale, rank):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1])) * scale
    got = mapped(kn.Orthogonal(), w).astype("float64")
    values = np.linalg.svd(got, compute_uv=False)
    assert np.abs(values - 1).max() <= 1e-5
    if rank:  # what it had is kept: the sum of the singular values of w
        exact = np.linalg.svd(w.astype("float32").astype("float64"), compute_uv=False).sum()
        assert (got * w).sum() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("gain", [1e-30, 1e-20, 1e20, 1e30])
@pytest.mark.parametrize("scale", [1e-30, 1e20, 1e37])
def test_a_gain_may_be_far_from_the_weight(scale, gain):
    got = mapped(kn.Orthogonal(gain), normal((6, 4)) * scale).astype("float64")
    np.testing.assert_allclose(np.linalg.svd(got, compute_uv=False) / gain, 1, rtol=1e-6)


def test_spectral_constraints_are_found_per_layer():
    layers = keras.layers
    model = keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten()])
    kn.constrain(model, kn.MaxSpectralNorm(0.1))
    assert model.layers[0].kernel.constraint == kn.MaxSpectralNorm(0.1, axis=(0, 1, 2))
    kn.project(model)
    rows = keras.ops.convert_to_numpy(model.layers[0].kernel).reshape(27, 4)
    assert np.linalg.norm(rows, 2) == pytest.approx(0.1, rel=1e-5)
    assert not kn.audit(model).errors
    wrong = layers.Conv2D(4, 3, kernel_constraint=kn.MaxSpectralNorm(0.1))
    wrong = keras.Sequential([layers.Input((8, 8, 3)), wrong])
    assert [finding.code for finding in kn.audit(wrong).errors] == ["wrong-axis"]


@pytest.mark.parametrize("way", [{"use_ema": True}, {"gradient_accumulation_steps": 2}])
@pytest.mark.parametrize("constraint", [kn.MaxSpectralNorm(0.5), kn.Orthogonal(0.5)])
def test_singular_values_are_bounded_with_averages_and_accumulated_gradients(constraint, way):
    layer = keras.layers.Dense(6, kernel_constraint=constraint)
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    model.compile(keras.optimizers.Adam(0.3, **way), "mse")
    x = np.random.default_rng(0).standard_normal((16, 4)).astype("float32")
    y = 9 * x @ np.ones((4, 6), "float32")
    model.fit(x, y, batch_size=4, epochs=2, callbacks=[kn.ProjectWeights()], verbose=0)
    largest = np.linalg.norm(keras.ops.convert_to_numpy(layer.kernel).astype("float64"), 2)
    assert largest == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("constraint", [kn.MaxSpectralNorm(0.7, "scale"), kn.Orthogonal(0.7)])
def test_a_second_application_changes_no_bit(constraint, seed):
    w = np.random.default_rng(seed).standard_normal((23, 17))
    once = mapped(constraint, w)
    assert np.array_equal(mapped(constraint, once), once)


def test_what_is_within_the_bound_hardly_moves_when_little_is_beyond():
    """In a training at the bound, rounding of the small singular values must not add up."""
    w = with_condition((61, 127), 1e4)
    w = (w * (1.001 / np.linalg.norm(w, 2))).astype("float32")
    u, values, v = np.linalg.svd(w.astype("float64"), full_matrices=False)
    exact = (u * np.minimum(values, 1)) @ v
    assert np.linalg.norm(mapped(kn.MaxSpectralNorm(1.0), w) - exact, 2) <= 2e-7


@pytest.mark.parametrize("shape", [(20000, 1), (20000, 2), (4099, 3), (65536, 2), (20000, 16)])
@pytest.mark.parametrize("kind", ["equal", "uniform"])
def test_long_rows_of_positive_entries(shape, kind):
    """Products of few long rows are sums of many positive terms, and those of one column, too."""
    w = np.ones(shape, "float32")
    if kind == "uniform":
        w = np.random.default_rng(0).uniform(0, 1, shape).astype("float32")

    def singular_values(of):
        values = keras.ops.convert_to_numpy(of).astype("float64")
        return values, np.linalg.svd(values, compute_uv=False)

    largest = singular_values(w)[1].max()
    q, _ = singular_values(kn.Orthogonal()(w))
    allowed = (4 + np.log2(shape[0])) * 2.0**-23
    assert np.abs(q.T @ q - np.eye(shape[1])).max() <= allowed
    again = keras.ops.convert_to_numpy(kn.Orthogonal()(q.astype("float32")))
    np.testing.assert_array_equal(again, q.astype("float32"))
    _, scaled = singular_values(kn.MaxSpectralNorm(1.0, mode="scale")(w))
    assert 1 / 1.001 - allowed <= scaled.max() <= 1 + allowed
    _, clipped = singular_values(kn.MaxSpectralNorm(1.0)(w))
    assert 1 - 1e-5 * largest - allowed <= clipped.max() <= 1 + 1e-5 + allowed


def test_a_gain_whose_inverse_is_below_the_normal_numbers():
    w = np.random.default_rng(0).standard_normal((4, 4)).astype("float32")
    q = kn.Orthogonal(1e38)(w)
    again = kn.Orthogonal(1e38)(q)
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (again, q)))
    huge = np.float32(3e38) * np.random.default_rng(0).uniform(0.5, 1, (4, 4)).astype("float32")
    one, other = (keras.ops.convert_to_numpy(kn.Orthogonal()(x)) for x in (huge, huge * 2.0**-60))
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("shape", [(243, 243), (384, 384), (300, 65)])
def test_what_zeros_become_is_orthogonal_and_stays(shape):
    """Rows of few magnitudes would have sums of equal squares, which backends get wrong."""
    q = mapped(kn.Orthogonal(), np.zeros(shape))
    wide = q.astype("float64")
    allowed = (4 + np.log2(shape[0])) * 2.0**-23
    assert np.abs(wide.T @ wide - np.eye(shape[1])).max() <= allowed
    assert np.array_equal(mapped(kn.Orthogonal(), q), q)


def test_a_direction_that_is_spread_over_all_entries_is_found():
    """Its error in each entry of the Gram matrix is small from the start."""
    w = (np.eye(64) - 1 / 64).astype("float32")  # it takes the mean away
    got = mapped(kn.Orthogonal(), w).astype("float64")
    assert np.abs(got.T @ got - np.eye(64)).max() <= (4 + np.log2(64)) * 2.0**-23
    assert np.array_equal(mapped(kn.Orthogonal(), got), got.astype("float32"))


@pytest.mark.parametrize(("bound", "value"), [(1.0, 1e20), (1e-25, 1e-22)])
@pytest.mark.parametrize("mode", ["clip", "scale"])
def test_the_excess_of_numbers_whose_squares_leave_float32(bound, value, mode):
    w = np.float32(value) * np.eye(2, dtype="float32")
    exact = math.sqrt(2) * (float(np.float32(value)) - bound)
    excess = float(kn.MaxSpectralNorm(bound, mode).excess(w))
    assert excess == pytest.approx(exact, rel=2e-5)  # 1e-5 of the largest singular value


@pytest.mark.parametrize("exponent", [0, 8, 20, 26, 60, 120])
@pytest.mark.parametrize("ratio", [1.0, 3.0, 100.0])
def test_a_clip_keeps_the_directions_however_far_it_goes(exponent, ratio):
    """Against NumPy's decomposition in float64, and within what the docstring promises."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((size, 20)))[0] for size in (40, 20))
    sizes = np.logspace(0, -np.log10(ratio), 20) * 2.0**exponent
    w = ((left * sizes) @ right.T).astype("float32")
    left, sizes, right = np.linalg.svd(w.astype("float64"), full_matrices=False)
    expected = (left * np.minimum(sizes, 0.75)) @ right
    found = ops.convert_to_numpy(kn.MaxSpectralNorm(0.75)(w)).astype("float64")
    assert np.linalg.norm(found, 2) <= 0.75 * (1 + 2e-5)  # the bound, and float32's rounding of it
    assert np.linalg.norm(found - expected, 2) <= min(1e-5 * sizes[0], 1e-4 * 0.75 * ratio)
