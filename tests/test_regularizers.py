"""The promises of the regularizers, against NumPy in float64."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from older_keras import CANNOT_BE_TRACED, fails_before

import keras_norms as kn
from keras_norms import regularizers
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES
from keras_norms.regularizers import Regularizer, activities
from keras_norms.testing import backends

ALL = [
    kn.L1(0.5),
    kn.L2(0.5),
    kn.L1L2(0.5, 0.25),
    kn.OrthogonalRegularizer(0.5),
    kn.OrthogonalRegularizer(0.5, "columns"),
    kn.BatchMean(kn.L2(0.5)),
]


def gradient(penalty, w):
    return ops.convert_to_numpy(backends.gradient(penalty, w))


W = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("penalty", ALL, ids=repr)
def test_a_penalty_is_a_float32_scalar(penalty, dtype):
    result = penalty(ops.cast(W, dtype))
    assert result.shape == ()
    assert keras.backend.standardize_dtype(result.dtype) == "float32"


def slope_of_cosines(w):
    """The gradient of the mean abs cosine between columns, by central differences."""

    def mean(w):
        u = w / np.sqrt((w**2).sum(axis=0))
        cosines = np.abs(u.T @ u)
        n = w.shape[1]
        return (cosines.sum() - n) / (n * (n - 1))

    result = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = 1e-6
        result[place] = (mean(w + step) - mean(w - step)) / 2e-6
    return result


@pytest.mark.parametrize(
    ("penalty", "exact"),
    [
        (kn.L1(0.5), lambda w: 0.5 * np.sign(w)),
        (kn.L2(0.5), lambda w: w),
        (kn.L1L2(0.5, 0.25), lambda w: 0.5 * np.sign(w) + 0.5 * w),
        (kn.OrthogonalRegularizer(1.0, "columns"), slope_of_cosines),
    ],
    ids=lambda value: value.__name__ if hasattr(value, "__name__") else repr(value),
)
def test_gradients(penalty, exact):
    # The central differences are good to 1e-9; in float32 a slope of up to 1 is the sum of up to
    # 12 products, each rounded to 2**-24.
    np.testing.assert_allclose(
        gradient(penalty, W), exact(W.astype("float64")), rtol=2e-6, atol=2e-7
    )


@pytest.mark.parametrize("penalty", ALL, ids=repr)
def test_the_gradient_at_zero_is_zero(penalty):
    np.testing.assert_array_equal(gradient(penalty, np.zeros((4, 3), "float32")), 0)


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_the_gradient_is_finite_at_a_zero_vector(mode):
    w = W.copy()
    w[:, 1] = 0
    w[2] = 0
    slope = gradient(kn.OrthogonalRegularizer(1.0, mode), w)
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[2] if mode == "rows" else slope[:, 1], 0)


def test_float16_penalties_do_not_overflow():
    x = ops.cast(np.full((4096, 1), 8.0, "float32"), "float16")
    # Sums of equal whole numbers are exact; the factor and the product round once each.
    rtol = 2 * 2.0**-23
    np.testing.assert_allclose(float(kn.L2(1e-4)(x)), 1e-4 * 64 * 4096, rtol=rtol)
    x = ops.cast(np.ones((20000, 8), "float32"), "float16")
    np.testing.assert_allclose(float(kn.L1(1e-4)(x)), 16.0, rtol=rtol)


def test_a_factor_of_zero_leaves_its_term_out():
    assert float(kn.L1L2(l1=0.5)(np.full(2, 2.0**70, "float32"))) == 2.0**70


def test_few_vectors_or_none():
    for shape in ((1, 3), (0, 3), (1,)):
        assert float(kn.OrthogonalRegularizer(1.0, "rows")(np.ones(shape, "float32"))) == 0
    assert float(kn.OrthogonalRegularizer(1.0, "columns")(np.ones((3,), "float32"))) == 1


def test_more_vectors_than_entries_cannot_be_orthogonal():
    best = min(
        float(kn.OrthogonalRegularizer(1.0, "rows")(np.linalg.qr(w)[0].astype("float32")))
        for w in np.random.default_rng(1).standard_normal((20, 6, 4))
    )
    assert best > 0.1
    columns = np.linalg.qr(W)[0]
    assert float(kn.OrthogonalRegularizer(1.0, "columns")(columns)) < 1e-6


class TestBatchMean:
    outputs = np.full((5, 2), 4.0, "float32")

    def test_value_is_the_mean_over_the_batch(self):
        assert float(kn.BatchMean(kn.L2(1.0)).value(self.outputs)) == 32
        twice = np.concatenate([self.outputs, self.outputs])
        assert float(kn.BatchMean(kn.L2(1.0)).value(twice)) == 32

    @pytest.mark.parametrize(("keras_divides", "called"), [(True, 160), (False, 32)])
    def test_the_call_leaves_keras_its_own_division(self, monkeypatch, keras_divides, called):
        monkeypatch.setattr(activities, "DIVIDES_ACTIVITY_PENALTIES", keras_divides)
        assert float(kn.BatchMean(kn.L2(1.0))(self.outputs)) == called

    def test_the_constant_says_what_this_keras_does(self):
        """A layer is asked, not the version."""
        layer = keras.layers.Identity(activity_regularizer=lambda x: ops.sum(ops.square(x)))
        layer(ops.convert_to_tensor(self.outputs))
        assert float(layer.losses[0]) == (32 if DIVIDES_ACTIVITY_PENALTIES else 160)

    @pytest.mark.parametrize(
        "inner", [kn.L2(1.0), keras.regularizers.L2(1.0), lambda x: ops.sum(ops.square(x))]
    )
    def test_a_layer_adds_the_mean(self, inner):
        layer = keras.layers.Identity(activity_regularizer=kn.BatchMean(inner))
        layer(ops.convert_to_tensor(self.outputs))
        assert float(layer.losses[0]) == 32

    def test_scalars_and_empty_batches(self):
        assert float(kn.BatchMean("l2").value(np.float32(10))) == 1
        for penalty in (kn.BatchMean("l2"), kn.BatchMean("hoyer"), kn.KLSparsity()):
            assert float(penalty.value(np.ones((0, 3), "float32"))) == 0
        assert np.isnan(float(kn.KLSparsity().value(np.float32([[np.nan], [0.5]]))))


def test_names_mean_what_keras_documents():
    assert regularizers.get("l1_l2") == kn.L1L2(0.01, 0.01)
    assert regularizers.get("L1L2") == regularizers.get("l1l2") == kn.L1L2()
    assert regularizers.get("l1") == kn.L1(0.01)
    assert kn.L1(None) == kn.L1()
    assert kn.L1L2(None, None) == kn.L1L2() == kn.L1L2(0.0, 0.0)


def test_sums_take_penalties_of_keras_and_of_batches():
    x = np.array([[3.0, -4.0], [0.0, 1.0]], "float32")
    both = sum([kn.L1(0.5), keras.regularizers.L2(0.5), kn.BatchMean(kn.L1(1.0))])
    assert isinstance(both, kn.Sum)
    # What enters the loss: Keras divides the first two by the batch size, too, or none of them.
    per_batch = 2 if DIVIDES_ACTIVITY_PENALTIES else 1
    assert float(both.value(x)) == (0.5 * 8 + 0.5 * 26) / per_batch + 8 / 2
    layer = keras.layers.Identity(activity_regularizer=both)
    layer(ops.convert_to_tensor(x))
    assert float(layer.losses[0]) == float(both.value(x))
    # Keras' own on either side, and half precision, which Keras' own would overflow.
    for penalty in (
        keras.regularizers.L2(1e-4) + kn.L1(0.0),
        kn.L1(0.0) + keras.regularizers.L2(1e-4),
    ):
        result = penalty(ops.cast(np.full((4096, 1), 8.0, "float32"), "float16"))
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
        np.testing.assert_allclose(float(result), 26.2144, rtol=1e-6)  # 12 ulp of float32
        restored = type(penalty).from_config(penalty.get_config())
        assert float(restored(x)) == float(penalty(x))


def test_a_sum_as_activity_penalty_divides_once():
    layer = keras.layers.Dense(
        2, kernel_initializer="ones", activity_regularizer=kn.L1(0.5) + kn.BatchMean(kn.L2(1.0))
    )
    layer(np.ones((4, 3), "float32"))  # outputs 3: L1 is 0.5 * 24, L2 is 72
    divided = DIVIDES_ACTIVITY_PENALTIES
    np.testing.assert_allclose(
        float(ops.convert_to_numpy(layer.losses[0])), (3 if divided else 12) + 18, rtol=1e-6
    )


@pytest.mark.parametrize("floatx", ["float16", "bfloat16"])
def test_under_half_floatx_losses_have_its_dtype(floatx):
    """TensorFlow adds penalties to a loss of floatx, and takes no other dtype."""
    before = keras.config.floatx()
    keras.config.set_floatx(floatx)
    try:
        penalty = kn.L2(1e-3) + kn.BatchMean("l1")
        layer = keras.layers.Dense(4, kernel_regularizer=kn.L2(1e-3), activity_regularizer=penalty)
        model = keras.Sequential([keras.layers.Input((3,)), layer])
        model.compile("sgd", "mse")
        model.fit(np.ones((8, 3)), np.ones((8, 4)), verbose=0)
        model(np.ones((8, 3)))  # JAX puts no losses of the outputs back after `fit`
        dtypes = [keras.backend.standardize_dtype(loss.dtype) for loss in model.losses]
        assert dtypes == [floatx] * 2
    finally:
        keras.config.set_floatx(before)


def test_a_factor_of_zero_is_no_penalty_even_of_what_overflows():
    for penalty in (kn.L1(0.0), kn.L2(0.0), kn.L1L2(0.0, 0.0), kn.GroupLasso(0.0)):
        assert float(penalty(np.full(3, 1e38, "float32"))) == 0
    for mode in ("frobenius", "double", "coherence"):
        penalty = kn.SoftOrthogonalRegularizer(0.0, mode)
        assert float(penalty(np.full((3, 2), 1e38, "float32"))) == 0


@dataclasses.dataclass(frozen=True)
class AddsToKeras(Regularizer):
    """Its call says more than `compute_penalty`."""

    def compute_penalty(self, x):
        return keras.ops.sum(x)

    def __call__(self, x):
        return 1 + super().__call__(x)


def test_a_class_may_call_the_base_class():
    assert float(AddsToKeras()([2.0, 3.0])) == 6


def test_integers_are_not_rounded_to_half_precision():
    keras.config.set_floatx("float16")
    try:
        assert float(kn.L1(1e-3).value(np.array([70000]))) == pytest.approx(70, rel=1e-6)
    finally:
        keras.config.set_floatx("float32")


def test_outputs_may_be_integers():
    """Keras takes them too, but makes its factor an integer, so that the penalty is 0."""
    x = np.array([[1, -2], [3, 0]], "int32")
    assert float(kn.L2(0.5)(x)) == 7
    layer = keras.layers.Identity(activity_regularizer=kn.BatchMean("l1"), dtype="int32")
    layer(ops.convert_to_tensor(x))
    assert float(layer.losses[0]) == pytest.approx(0.03)


def test_members_of_keras_stay_those_of_keras():
    for penalty in (kn.BatchMean(keras.regularizers.L1(0.5)), kn.L2() + keras.regularizers.L1(0.5)):
        restored = type(penalty).from_config(penalty.get_config())
        kinds = [
            {
                type(part)
                for part in getattr(each, "regularizers", [getattr(each, "regularizer", 0)])
            }
            for each in (penalty, restored)
        ]
        assert kinds[0] == kinds[1]
        assert keras.regularizers.L1 in kinds[0]


@pytest.mark.parametrize("make", [lambda each: each + each + each, kn.BatchMean])
def test_under_half_floatx_a_sum_is_rounded_once(make):
    before = keras.config.floatx()
    keras.config.set_floatx("bfloat16")
    try:
        term = np.float32(1 + 0.75 * 2.0**-8)  # bfloat16 has 1 and 1 + 2**-7
        penalty = make(kn.L1(1.0))
        outputs = ops.convert_to_tensor(np.full((3, 1), term / 3, "float32"), dtype="float32")
        result = float(ops.cast(penalty.compute_loss(outputs), "float32"))
    finally:
        keras.config.set_floatx(before)
    mean = term if DIVIDES_ACTIVITY_PENALTIES else term / 3  # the first, Keras divides itself
    assert result == pytest.approx(3 * term if isinstance(penalty, kn.Sum) else mean, rel=1e-6)


class Batches(keras.utils.PyDataset):
    """Batches of several sizes, which TensorFlow compiles for any size."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        size = (4, 3)[index]
        return np.ones((size, 3), "float32"), np.full((size, 2), 3.0, "float32")


@dataclasses.dataclass(frozen=True)
class FirstSample(kn.regularizers.ActivityRegularizer):
    def compute_penalty(self, x):
        return ops.sum(x[0] ** 2)


@fails_before((3, 14), CANNOT_BE_TRACED, "torch")
def test_a_mean_over_many_outputs_is_exact_where_it_is_compiled():
    """Under XLA, one long sum would be off by a thousandth."""
    x = ops.full((256, 10007, 1), 9018 / 65536, dtype="float32")
    compiled = backends.compiled(kn.KLSparsity(1.0, rho=0.05).value)
    assert float(compiled(x)) == pytest.approx(_divergence(0.05, 9018 / 65536), rel=1e-5)


def _divergence(rho, mean):
    return rho * np.log(rho / mean) + (1 - rho) * np.log((1 - rho) / (1 - mean))


@pytest.mark.parametrize(
    "penalty",
    [
        *(kn.GroupLasso(0.1, axis=axis) for axis in (0, 1, 2, (1, 2), None)),
        *(kn.BatchMean(kn.Hoyer(0.1, axis=axis)) for axis in (1, None)),
    ],
    ids=repr,
)
def test_groups_of_a_batch_of_unknown_size(penalty):
    x = np.linspace(-1, 1, 2 * 700 * 3, dtype="float32").reshape(2, 700, 3)
    kernel = np.array([[1, 0.5, 0], [0, 1, -1], [0.25, 0, 1]], "float32")
    layer = keras.layers.Dense(3, use_bias=False, activity_regularizer=penalty)
    model = keras.Sequential([keras.layers.Input((700, 3)), layer])
    layer.kernel.assign(kernel)
    model.compile(keras.optimizers.SGD(0.01), "mse")

    def loss(k):
        found = penalty(ops.matmul(x, k))
        return found / len(x) if DIVIDES_ACTIVITY_PENALTIES else found

    slope = ops.convert_to_numpy(backends.gradient(loss, kernel))
    history = model.fit(x, x @ kernel, verbose=0).history
    assert history["loss"] == [pytest.approx(float(loss(kernel)), rel=1e-5)]
    np.testing.assert_allclose(layer.get_weights()[0], kernel - 0.01 * slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("penalty", [kn.BatchMean(kn.L2(1.0)), FirstSample()])
def test_a_batch_of_unknown_size(penalty):
    layer = keras.layers.Dense(2, kernel_initializer="ones", activity_regularizer=penalty)
    model = keras.Sequential([keras.layers.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    # Each sample has two outputs of 3, which are the targets.
    assert model.evaluate(Batches(), verbose=0) == pytest.approx(18, rel=1e-6)
    assert model.fit(Batches(), verbose=0).history["loss"][0] == pytest.approx(18, rel=1e-6)


def test_a_penalty_that_reaches_0_is_the_same_penalty_of_other_groups():
    better = kn.SoftOrthogonalRegularizer(0.1, axis=(0, 3)).reaching_zero((1, 2, 3, 2))
    assert better.axis == (1, 2)
    better = kn.SoftOrthogonalRegularizer(0.1, "coherence").reaching_zero((2, 5))
    assert (better.mode, better.axis) == ("coherence", 1)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 by default")
def test_integers_have_the_precision_of_floatx():
    keras.config.set_floatx("float64")
    try:
        penalty = kn.L2(1.0)(np.ones((2, 2), "int32"))
        assert keras.backend.standardize_dtype(penalty.dtype) == "float64"
    finally:
        keras.config.set_floatx("float32")
