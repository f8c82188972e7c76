"""Ties, and weights at the ends of float32: what follows by hand, or from a smaller weight."""

import numpy as np
import pytest
from keras import ops

import keras_norms as kn
from keras_norms.testing import backends
from keras_norms.testing.backends import gradient

TINY_TO_HUGE = [1e-30, 1e-23, 1e-19, 1.0, 1e19, 1e30, 1e36]


def numbers(x):
    return ops.convert_to_numpy(x)


def slope(function, w):
    return numbers(gradient(function, ops.convert_to_tensor(np.array(w, "float32"))))


@pytest.mark.parametrize("ties", [2, 50, 1000])
@pytest.mark.parametrize("constraint", [kn.MaxNorm(1.0, ord=1), kn.Simplex()])
def test_entries_that_become_zero_exactly_have_no_slope(constraint, ties):
    """Theta is 1, so only the first entry is left, and it is 1 whatever the others are."""
    w = [2.0] + [1.0] * ties
    for row in (0, 1):
        assert not slope(lambda t, row=row: constraint(t)[row], w).any()


def test_the_slope_of_an_entry_on_a_bound():
    """It is feasible, and a feasible weight does not change: the identity."""
    assert slope(lambda t: kn.Clip(-1.0, 1.0)(t)[0], [1.0, 0.0]) == pytest.approx([1, 0])
    assert slope(lambda t: kn.MaxNorm(1.0, ord="inf")(t)[0], [-1.0, 0.0]) == pytest.approx([1, 0])
    bounds = kn.MinMaxNorm(5.0, 6.0)
    assert slope(lambda t: bounds(t)[0], [3.0, 4.0]) == pytest.approx([1, 0], abs=1e-6)


def test_the_slope_of_a_mean_at_entries_of_zero():
    w = [0.0, 0.0, 3.0, 1.0]
    assert slope(lambda t: kn.ZeroMean()(t)[0], w) == pytest.approx([0.75, -0.25, -0.25, -0.25])


@pytest.mark.parametrize("size", TINY_TO_HUGE)
def test_penalties_that_do_not_depend_on_the_size(size):
    w = np.full(2, size, "float32")
    assert float(kn.Hoyer(1.0)(w)) == pytest.approx(2, rel=1e-6)
    assert slope(kn.Hoyer(1.0), w * np.array([1, 0.5], "float32")) * size == pytest.approx(
        slope(kn.Hoyer(1.0), [1.0, 0.5]), rel=1e-5
    )
    pair = np.array([[1, 1], [1, 0]]) * size
    assert float(kn.OrthogonalRegularizer(1.0)(pair.astype("float32"))) == pytest.approx(0.5**0.5)


def test_groups_of_other_sizes_beside_each_other():
    w = np.array([[3e-30, 1.0, 3e30], [3e-30, 0.0, 0.0]], "float32")
    assert float(kn.Hoyer(1.0, axis=0)(w)) == pytest.approx(2 + 1 + 1)


@pytest.mark.parametrize(
    ("constraint", "w", "excess"),
    [
        (kn.MaxNorm(1e-25), [3e-24, 4e-24], 4.9e-24),
        (kn.MaxNorm(1e30), [3e30, 4e30], 4e30),
        (kn.MinMaxNorm(1e-25, 1e-20), [3e-24, 4e-24], 0),
        (kn.MinMaxNorm(0, 1e30), [3e29, 4e29], 0),
        (kn.MinMaxNorm(0, 1e20), [3e29, 4e29], 5e29),
        (kn.NonNeg(), [-3e-30, -4e-30], [3e-30, 4e-30]),
        (kn.UnitNorm(), [0.0, 0.0], 1),
        (kn.ZeroMean(), [2e-30, 0.0], 1e-30 * 2**0.5),
    ],
)
def test_the_excess_of_any_size(constraint, w, excess):
    found = numbers(constraint.excess(np.array(w, "float32")))
    assert found == pytest.approx(np.broadcast_to(excess, found.shape), rel=1e-6, abs=0)


def test_the_excess_of_weights_without_entries():
    assert numbers(kn.MaxNorm(1.0).excess(np.zeros((0, 3), "float32"))).tolist() == [0, 0, 0]
    assert numbers(kn.MaxNorm(1.0).excess(np.zeros((3, 0), "float32"))).size == 0


@pytest.mark.parametrize("bound", [1e-3, 1.0, 1e30])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e25, 1e38])
def test_a_matrix_of_any_size_is_scaled_to_its_bound(size, bound):
    w = np.full((3, 3), size, "float32")  # of singular value 3 * size
    found = numbers(kn.MaxSpectralNorm(bound, mode="scale")(w))
    if 3 * size <= bound:
        assert np.array_equal(found, w)
    else:
        assert 0.999 * bound / 3 <= found.min() <= found.max() <= bound / 3 * (1 + 1e-6)


@pytest.mark.parametrize("gain", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("size", [1e-36, 1e-30, 1.0, 1e30])
def test_orthogonal_groups_of_any_size_become_as_long_as_they_must(size, gain):
    # None of its entries is so small that TensorFlow and JAX would take it for zero.
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))
    assert np.abs(rotation).min() > 0.1
    found = numbers(kn.Orthogonal(gain)((rotation * size).astype("float32")))
    assert found / gain == pytest.approx(rotation, abs=1e-5)
    assert numbers(kn.Orthogonal(gain)(np.eye(2, dtype="float32") * np.float32(size))) / gain == (
        pytest.approx(np.eye(2), abs=1e-5)
    )


@pytest.mark.parametrize(("low", "high"), [(-1e300, 1e300), (-1e39, 0.25), (0.25, 1e39)])
def test_bounds_beyond_float32_are_none(low, high):
    w = np.array([0.5, -0.5], "float32")
    with np.errstate(all="raise"):
        found = kn.Clip(low, high)(w)
    assert numbers(found).tolist() == np.clip(w.astype("float64"), low, high).tolist()


@pytest.mark.parametrize(("shape", "axis"), [((3, 0), 0), ((3, 0, 2), 2), ((0,), 0), ((0, 3), 0)])
def test_sparse_weights_without_entries(shape, axis):
    w = np.zeros(shape, "float32")
    for constraint in (kn.Sparse(0.4, axis=axis), kn.SparseUnits(0.5, axis), kn.SparseNM()):
        assert numbers(constraint(w)).shape == shape


@pytest.mark.parametrize("penalty", [kn.Hoyer, kn.OrthogonalRegularizer, kn.KLSparsity, kn.L1])
def test_a_factor_of_zero_leaves_the_penalty_out(penalty):
    assert float(penalty(0.0)(np.full((2, 2), np.inf, "float32"))) == 0


@pytest.mark.parametrize("dtype", [np.longdouble, object, np.complex64, bool])
def test_what_no_backend_has_is_a_type_error(dtype):
    for regularizer in (kn.L2(), kn.Hoyer()):
        with pytest.raises(TypeError, match="must be floating-point numbers"):
            regularizer(np.ones((2, 2), dtype))


def test_single_entries_of_norm_one():
    w = np.array([[np.nan, np.inf, -np.inf, 0.0, 1e-30, -3.0, 3e38]], "float32")
    wanted = [np.nan, np.nan, np.nan, 0.0, 1.0, -1.0, 1.0]
    np.testing.assert_array_equal(numbers(kn.UnitNorm()(w))[0], wanted)


def test_single_entries_between_two_norms():
    w = np.array([[np.nan, np.inf, -0.25, 0.0, 1.0, -3.0]], "float32")
    wanted = [np.nan, 1.5, -0.5, 0.0, 1.0, -1.5]
    np.testing.assert_array_equal(numbers(kn.MinMaxNorm(0.5, 1.5)(w))[0], wanted)


ALL_COMPILERS = backends.compilers()


@pytest.mark.parametrize("way", ALL_COMPILERS)
@pytest.mark.parametrize("bound", [1.0, 3.0, 0.3])
def test_feasible_groups_stay_in_every_compiler_however_many_there_are(way, bound):
    """Processors compute several at once, and TensorFlow's graph has another inverse for these."""
    w = np.random.default_rng(0).standard_normal((4, 67)).astype("float32") * bound / 100
    constraints = (
        kn.MaxNorm(bound),
        kn.MinMaxNorm(0.0, bound, rate=0.5),
        kn.Chain(kn.Clip(-bound, bound), kn.MaxNorm(bound)),
    )
    for constraint in constraints:
        step = backends.compiled(constraint, one_graph=False, **ALL_COMPILERS[way])
        np.testing.assert_array_equal(ops.convert_to_numpy(step(ops.convert_to_tensor(w))), w)
