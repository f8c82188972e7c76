"""The promises of the constraints, against NumPy in float64."""

import math
import subprocess
import sys

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops
from older_keras import CANNOT_BE_TRACED, WARNS_OF_A_CACHE, fails_before

import keras_norms as kn
from keras_norms.numerics.norms import l2
from keras_norms.numerics.summation import rounding, total
from keras_norms.testing.backends import compiled, gradient

EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23}
RADIAL = [kn.MaxNorm(1.5), kn.UnitNorm(), kn.MinMaxNorm(0.5, 1.5)]
NEAREST = [*RADIAL, kn.NonNeg()]
WARNED = fails_before((3, 13), WARNS_OF_A_CACHE, "torch")
UNTRACEABLE = fails_before((3, 14), CANNOT_BE_TRACED, "torch")


def tensor(array, dtype="float32"):
    return ops.cast(ops.convert_to_tensor(np.asarray(array, "float32")), dtype)


def numpy(x):
    return np.asarray(ops.convert_to_numpy(ops.cast(x, "float32")), "float64")


def norms(w, axis):
    return np.sqrt((numpy(w) ** 2).sum(axis=axis))


def random(shape, scale=1.0, seed=0):
    return scale * np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((7,), 0),
        ((64, 5), 0),
        ((5, 64), 1),
        ((3, 3, 16, 8), (0, 1, 2)),
        ((4099, 3), 0),
        ((30, 40), None),
    ],
)
@pytest.mark.parametrize("constraint", RADIAL, ids=repr)
def test_projected_weights_lie_in_the_set(constraint, shape, axis, dtype):
    w = tensor(random(shape, 3), dtype)
    constraint = constraint.along(axis)
    projected = constraint.project(w)
    size = math.prod(shape if axis is None else np.take(shape, np.atleast_1d(axis)))
    allowed = (4 + math.log2(size)) * EPS[dtype] * 1.5
    assert numpy(constraint.excess(projected)).max() <= allowed
    found = norms(projected, axis)
    low, high = {"MaxNorm": (0, 1.5), "UnitNorm": (1, 1)}.get(type(constraint).__name__, (0.5, 1.5))
    assert found.max() <= high + allowed
    assert found.min() >= low - allowed


@pytest.mark.parametrize("size", [3, 100, 513, 4096])
@pytest.mark.parametrize("constraint", [kn.MaxNorm(1.5), kn.MaxNorm(1e-20), kn.NonNeg()], ids=repr)
def test_a_second_projection_changes_no_bit(constraint, size):
    once = constraint.project(tensor(random((size, 64), 2)))
    np.testing.assert_array_equal(numpy(constraint.project(once)), numpy(once))


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("constraint", RADIAL, ids=repr)
def test_a_second_projection_moves_a_group_by_the_rounding_of_its_norm(constraint, dtype):
    once = constraint.project(tensor(random((513, 8), 2), dtype))
    twice = constraint.project(once)
    # In float32, what a norm of 513 entries may be off. In half precision one ulp of the entry.
    relative = (4 + math.log2(513)) / 2 * EPS["float32"] if dtype == "float32" else EPS[dtype]
    assert (np.abs(numpy(twice) - numpy(once)) <= relative * np.abs(numpy(once))).all()


@pytest.mark.parametrize("dtype", EPS)
def test_feasible_weights_come_back_bit_for_bit_a_thousand_times(dtype):
    w = tensor(random((64, 8), 0.05), dtype)
    for constraint in (kn.MaxNorm(2), kn.MinMaxNorm(0, 2, rate=0.3)):
        again = w
        for _ in range(1000 if dtype == "float32" else 10):
            again = constraint(again)
        np.testing.assert_array_equal(numpy(again), numpy(w))


# Times its inverse in float32, none of these is 1.
BOUNDS = [1.7, 2.9, 3.1, 3.7, 4.1]
ONE_BOUND = [2.9]  # for what has a loop: a compiler takes seconds for each


@pytest.mark.parametrize(
    ("make", "compiled_for"),
    [
        (kn.MaxNorm, BOUNDS),
        (lambda bound: kn.MinMaxNorm(0, bound), BOUNDS),
        (lambda bound: kn.MinMaxNorm(0, bound, rate=0.3), BOUNDS),
        (lambda bound: kn.MaxNorm(bound, ord=1), ONE_BOUND),
        pytest.param(kn.MaxSpectralNorm, ONE_BOUND, marks=WARNED),
        pytest.param(
            lambda bound: kn.MaxSpectralNorm(bound, mode="scale"), ONE_BOUND, marks=WARNED
        ),
    ],
    ids=["MaxNorm", "MinMaxNorm", "MinMaxNorm-rate", "MaxNorm-1", "clip", "scale"],
)
def test_feasible_weights_stay_bit_for_bit_eager_and_compiled(make, compiled_for):
    for bound in BOUNDS:
        w = (np.random.default_rng(0).standard_normal((5, 12)) * bound / 20).astype("float32")
        constraint, given = make(bound), ops.convert_to_tensor(w)
        np.testing.assert_array_equal(ops.convert_to_numpy(constraint(given)), w)
        if bound in compiled_for:
            result = compiled(constraint, one_graph=False)(given)
            np.testing.assert_array_equal(ops.convert_to_numpy(result), w)


@pytest.mark.parametrize("size", [1e-18, 1e-16, 1e16, 1e18])
def test_norms_far_from_1_are_exact(size):
    """As far as the docstrings promise."""
    w = tensor([[0.6 * size], [0.8 * size]])
    for constraint in (kn.UnitNorm(), kn.MinMaxNorm(1.0, 1.0)):
        np.testing.assert_allclose(numpy(constraint(w)), [[0.6], [0.8]], rtol=4 * EPS["float32"])
    np.testing.assert_allclose(numpy(l2(w, (0,))), [[size]], rtol=4 * EPS["float32"])


@UNTRACEABLE
@pytest.mark.parametrize("constraint", NEAREST, ids=repr)
def test_compiled_agrees_with_eager(constraint):
    w = tensor(random((1030, 8), 3))
    # Two roundings of the norm, one of the quotient and one of the product may differ.
    np.testing.assert_allclose(
        numpy(compiled(constraint)(w)), numpy(constraint(w)), rtol=4 * EPS["float32"]
    )


@pytest.mark.parametrize("max_value", [1e-37, 1e-20, 1.0, 1e20, 1e37])
@pytest.mark.parametrize("scale", [0.0, 1e-40, 1e-30, 1.0, 1e30, 1e38])
def test_max_norm_is_finite_and_feasible_for_every_finite_weight(scale, max_value):
    w = np.array([[1.0, -1.0], [0.5, 3.0]]) * scale
    result = numpy(kn.MaxNorm(max_value)(tensor(w)))
    assert np.isfinite(result).all()
    # 5 ulp, or the smallest normal number: below it, hardware may flush to zero.
    limit = max_value * (1 + 5 * EPS["float32"]) + 1.2e-38
    assert np.sqrt((result**2).sum(axis=0)).max() <= limit


def test_nan_stays_visible_in_its_own_group():
    w = [[3.0, math.nan], [4.0, 1.0]]
    for constraint in (kn.MaxNorm(1.0), kn.UnitNorm(), kn.MinMaxNorm(0.5, 1.0)):
        result = numpy(constraint(tensor(w)))
        np.testing.assert_allclose(result[:, 0], [0.6, 0.8], rtol=EPS["float32"])
        assert np.isnan(result[0, 1])
    assert np.isnan(numpy(kn.NonNeg()(tensor([math.nan]))))


def test_a_zero_group_stays_zero_and_its_excess_says_so():
    w = tensor(np.zeros((4, 2)))
    for constraint, distance in (
        (kn.MaxNorm(1), 0),
        (kn.UnitNorm(), 1),
        (kn.MinMaxNorm(0.5, 1), 0.5),
    ):
        np.testing.assert_array_equal(numpy(constraint(w)), 0)
        np.testing.assert_array_equal(numpy(constraint.excess(w)), [distance, distance])


def test_excess_is_the_distance_of_each_group():
    w = tensor([[3.0, 0.3], [4.0, 0.4]])
    # A difference of two rounded norms of at most 5, each to 5 ulp.
    rtol = 10 * EPS["float32"]
    np.testing.assert_allclose(numpy(kn.MaxNorm(1.0).excess(w)), [4, 0], rtol=rtol)
    np.testing.assert_allclose(numpy(kn.MinMaxNorm(1.0, 2.0).excess(w)), [3, 0.5], rtol=rtol)
    np.testing.assert_array_equal(numpy(kn.NonNeg().excess(tensor([-2.0, 1.0]))), [2, 0])
    assert kn.MaxNorm(1.0, axis=None).excess(w).shape == ()
    assert tuple(kn.MaxNorm(1.0, axis=(0, 2)).excess(tensor(np.ones((2, 3, 4)))).shape) == (3,)


def test_rate_applies_to_a_step_and_not_to_project():
    constraint = kn.MinMaxNorm(1.0, 2.5, rate=0.5)
    w = tensor([[3.0], [4.0]])
    np.testing.assert_array_equal(norms(constraint(w), 0), [3.75])
    np.testing.assert_array_equal(norms(constraint.project(w), 0), [2.5])


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.7, 1.0])
def test_any_rate_leaves_groups_inside_alone(rate):
    w = tensor(random((64, 8), 0.1))
    np.testing.assert_array_equal(numpy(kn.MinMaxNorm(0, 2, rate)(w)), numpy(w))


def test_along_names_other_axes():
    assert kn.MaxNorm(3.0).along([0, 1]) == kn.MaxNorm(3.0, axis=(0, 1))
    assert kn.MinMaxNorm(0.5, 1, 0.5).along(None) == kn.MinMaxNorm(0.5, 1, 0.5, axis=None)
    assert kn.NonNeg().along(1) == kn.NonNeg()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("constraint", NEAREST, ids=repr)
def test_shape_and_dtype_are_kept(constraint, dtype):
    w = tensor(random((3, 4)), dtype)
    result = constraint(w)
    assert tuple(result.shape) == (3, 4)
    assert result.dtype == w.dtype


def test_float16_ends_where_its_numbers_end():
    """The limits that the docstring of `project` states."""
    w = ops.ones((36, 1), dtype="float16")
    result = ops.convert_to_numpy(kn.MaxNorm(1e-6).project(w)).astype("float64")
    np.testing.assert_array_equal(result, 3 * 2.0**-24)  # 7 % above the bound, and nearest to it
    far = ops.convert_to_tensor([60000.0, 10.0], dtype="float16")
    total = ops.convert_to_numpy(kn.Simplex(1e5).project(far)).astype("float64")
    np.testing.assert_array_equal(total, [np.inf, 20000])


def test_every_float16_magnitude_reaches_the_unit_sphere():
    """300**2 overflows float16 and (1e-4)**2 underflows it; the norms do neither."""
    for exponent in range(-24, 16):
        w = np.full((4, 1), 2.0**exponent, ml_dtypes.finfo("float16").dtype)
        np.testing.assert_array_equal(numpy(kn.UnitNorm()(ops.convert_to_tensor(w))), 0.5)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        *(((n, 3), (0,)) for n in (512, 513, 1021, 4096, 4099, 65536)),
        ((3, 65536), (1,)),
        ((3, 3, 64, 512), (0, 1, 3)),
        ((1024, 8, 64), (0, 2)),
        ((4096, 16, 64), (0, 2)),
        ((4096, 8, 2), (0, 2)),
        ((3, 3, 512, 64), (0, 1, 2)),
        ((64, 64, 64), (0, 1, 2)),
    ],
)
@pytest.mark.parametrize("value", [1.1, 0.7, 1.37])
def test_long_sums_are_accurate_outside_xla_too(shape, axes, value):
    """TensorFlow adds one after another: 90 ulp at 4096 equal rows, if nothing is done."""
    x = np.full(shape, value, "float32")
    length = math.prod(shape[a] for a in axes)
    exact = length * float(x.flat[0])
    ulps = np.abs(numpy(total(tensor(x), axes)) - exact) / np.spacing(np.float32(exact))
    # In units of the sum: twice what the norm may have, because the root halves the error.
    assert ulps.max() <= 2 * (4 + math.log2(length))


@pytest.mark.parametrize("length", [257, 521, 4099, 8191, 10007, 65536, 2**20])
@pytest.mark.parametrize("place", ["leading", "middle", "trailing"])
def test_no_length_and_no_compiler_spoils_a_sum(length, place):
    """XLA may merge runs, and a length without divisors leaves a rest."""
    shape, axes = {
        "leading": ((length, 4), (0,)),
        "middle": ((2, length, 4), (1,)),
        "trailing": ((4, length), (1,)),
    }[place]
    column = (np.array([3, 4.11, 4.83, 5.79]) / np.sqrt(length)).astype("float32")
    x = np.broadcast_to(column[:, None] if place == "trailing" else column, shape)
    exact = length * np.float64(column)

    def summed(w):
        return total(w, axes)

    for function in (summed, compiled(summed), compiled(summed, xla=False)):
        found = np.asarray(ops.convert_to_numpy(function(tensor(np.ascontiguousarray(x)))))
        error = np.abs(found.reshape(-1, 4) - exact) / exact / 2.0**-23
        assert error.max() <= 2 * (4 + math.log2(length)), error.max()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("axis", [0, 1, (0, 2), None])
def test_a_large_weight_is_projected_like_a_small_one(axis, dtype):
    w = tensor(random((3, 997, 1009)), dtype)  # on PyTorch, done in parts that no length divides
    exact = numpy(w)
    norm = np.sqrt((exact**2).sum(axis=axis, keepdims=True))
    exact = exact * 0.7 / np.maximum(norm, 0.7)
    result = numpy(kn.MaxNorm(0.7, axis=axis)(w))
    # Half an ulp from rounding the result, and what the norm of 3e6 entries can be off.
    allowed = EPS[dtype] / 2 + (4 + np.log2(w.shape[0] * 997 * 1009)) * EPS["float32"]
    assert np.abs(result - exact).max() <= allowed * np.abs(exact).max()


@pytest.mark.parametrize(
    "constraint",
    [kn.MaxNorm(1.0), kn.UnitNorm(), kn.MinMaxNorm(0.5, 1.0), kn.MaxNorm(1.0, ord=1), kn.Simplex()],
    ids=repr,
)
def test_nan_fills_its_group_and_no_other(constraint):
    """Under PyTorch, `ops.sign(nan)` is 0; elsewhere, `ops.threshold(nan, ...)` is the value."""
    w = np.array([[np.nan, 3.0], [4.0, 4.0], [0.25, 0.0]], "float32")
    graph = compiled(constraint, one_graph=False)
    for function, rows in ((constraint, w), (graph, w), (constraint, w[:1])):  # one entry each
        got = numpy(function(tensor(rows)))
        assert np.isnan(got[:, 0]).all()
        np.testing.assert_array_equal(got[:, 1:], numpy(constraint(tensor(rows[:, 1:]))))


@pytest.mark.parametrize("size", [1e-13, 1e-17, 1e-15])
def test_the_gradient_of_a_tiny_group_is_finite(size):
    w = tensor(np.array([[size], [0.0]], "float32"))
    slope = numpy(gradient(lambda x: ops.sum(kn.UnitNorm()(x)), w))
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(numpy(kn.UnitNorm()(w))[:, 0], [1, 0], rtol=2.0**-23)


FEASIBLE = [
    (scale, bound)
    for scale in (1e-37, 1e-28, 1e-20, 1e-10, 1.0, 1e18)
    for bound in (1e-37, 1e-20, 1.0, 1e15, 1e20, 3e38)
    if 2 * scale < bound
]


@pytest.mark.parametrize(("scale", "max_value"), FEASIBLE)
def test_feasible_weights_come_back_whatever_the_bound(scale, max_value):
    w = (np.array([[1.0, -0.5], [0.25, 0.75]]) * scale).astype("float32")
    np.testing.assert_array_equal(numpy(kn.MaxNorm(max_value)(tensor(w))), w)


@pytest.mark.parametrize("constraint", [kn.MaxNorm(0.3), kn.UnitNorm(), kn.MinMaxNorm(0.1, 0.3)])
def test_float64_is_computed_in_float64(constraint):
    w = ops.convert_to_tensor(random((20, 5), 3))
    if ops.convert_to_numpy(w).dtype != "float64":
        pytest.skip("JAX has float64 only if x64 is enabled")
    found = np.sqrt((ops.convert_to_numpy(constraint(w)) ** 2).sum(axis=0))
    bound = getattr(constraint, "max_value", 1.0)
    np.testing.assert_allclose(found, bound, rtol=(4 + math.log2(20)) * 2.0**-52)
    gone = np.asarray(ops.convert_to_numpy(constraint.excess(constraint.project(w))))
    assert gone.max() <= (4 + math.log2(20)) * 2.0**-52


def test_lists_arrays_and_variables_are_accepted():
    w = np.array([[3.0], [4.0]], "float32")
    for given in (w.tolist(), w, keras.Variable(w), ops.convert_to_tensor(w)):
        np.testing.assert_allclose(
            numpy(kn.MaxNorm(1.0)(given)), [[0.6], [0.8]], rtol=EPS["float32"]
        )


def test_lists_have_the_dtype_of_keras():
    if ops.convert_to_numpy(ops.convert_to_tensor(np.ones(1))).dtype != "float64":
        pytest.skip("JAX has float64 only if x64 is enabled")
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        result = ops.convert_to_numpy(kn.MaxNorm(1.0)([[0.1], [0.2]]))
        np.testing.assert_array_equal(result, [[0.1], [0.2]])
    finally:
        keras.config.set_floatx(before)


@pytest.mark.parametrize(("shape", "axes"), [((1024, 3), (0,)), ((2, 4, 512), (0, 1, 2))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rounding_that_is_promised(shape, axes, dtype):
    eps, size = np.finfo(dtype).eps, math.prod(shape[a] for a in axes)
    w = keras.KerasTensor(shape, dtype)
    assert rounding(w, axes) == pytest.approx((4 + math.log2(size)) * eps)


@pytest.mark.parametrize(
    "constraint",
    [
        *(kn.MaxNorm(2.0), kn.MaxNorm(1e-20), kn.MaxNorm(2.0, ord=1), kn.UnitNorm(), kn.ZeroMean()),
        *(kn.MinMaxNorm(0.5, 1.0), kn.MinMaxNorm(1e-20, 1.0), kn.Chain(kn.NonNeg(), kn.MaxNorm())),
    ],
    ids=repr,
)
def test_groups_without_entries(constraint):
    w = np.zeros((0, 3), "float32")
    assert tuple(constraint(w).shape) == (0, 3)
    assert tuple(constraint.excess(w).shape) == (3,)


WITH_METHODS_OF_NUMPY = """
import numpy as np
from tensorflow.experimental.numpy import experimental_enable_numpy_behavior

import keras_norms as kn

experimental_enable_numpy_behavior()
w = np.linspace(-3, 5, 36, dtype="float32").reshape(12, 3)
for each in (kn.MaxNorm(1.0), kn.MinMaxNorm(0.5, 1.0), kn.Simplex(1.0), kn.MaxNorm(1.0, ord=1)):
    assert float(np.max(each.excess(each(w)))) < 1e-6, each
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's can be given")
def test_tensors_that_were_given_methods_of_numpy():
    subprocess.run([sys.executable, "-c", WITH_METHODS_OF_NUMPY], check=True)
