"""One exception type and message per mistake, on every backend, quoting what was received."""

import keras
import numpy as np
import pytest

import keras_norms as kn
from keras_norms import constraints, regularizers

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: kn.MaxNorm(-1),
            ValueError,
            "`max_value` must be positive and finite in float32. Received: max_value=-1",
        ),
        (lambda: kn.MaxNorm(0), ValueError, "Received: max_value=0"),
        (lambda: kn.Clip(0, 10**400), ValueError, "Received: max_value=an integer of 401 digits"),
        (
            lambda: kn.L1() + kn.MaxNorm(),
            TypeError,
            "Received: regularizers=MaxNorm.*, a constraint",
        ),
        (lambda: kn.MaxNorm(NAN), ValueError, "Received: max_value=nan"),
        (lambda: kn.MaxNorm(INF), ValueError, "Received: max_value=inf"),
        (lambda: kn.MaxNorm(1e300), ValueError, r"Received: max_value=1e\+300"),
        (lambda: kn.MaxNorm(1e-50), ValueError, "at least 1.18e-38, .*Received: max_value=1e-50"),
        (
            lambda: kn.MaxNorm(None),
            TypeError,
            "`max_value` must be a number. Received: max_value=None",
        ),
        (lambda: kn.MaxNorm("2"), TypeError, "Received: max_value='2'"),
        (lambda: kn.MaxNorm(True), TypeError, "Received: max_value=True"),
        (lambda: kn.MaxNorm(2 + 0j), TypeError, "Received: max_value="),
        (lambda: kn.MaxNorm(np.ones(2)), TypeError, "Received: max_value="),
        (
            lambda: kn.MinMaxNorm(-0.5),
            ValueError,
            "`min_value` must be non-negative and finite in float32. Received: min_value=-0.5",
        ),
        (lambda: kn.MinMaxNorm(NAN), ValueError, "Received: min_value=nan"),
        (lambda: kn.MinMaxNorm(5, 1), ValueError, "Received: min_value=5, max_value=1"),
        (
            lambda: kn.MinMaxNorm(rate=7),
            ValueError,
            r"`rate` must be in \[0, 1\]. Received: rate=7",
        ),
        (lambda: kn.MinMaxNorm(rate=-0.1), ValueError, "Received: rate=-0.1"),
        (lambda: kn.MinMaxNorm(rate=NAN), ValueError, "Received: rate=nan"),
        (lambda: kn.MinMaxNorm(rate="all"), TypeError, "Received: rate='all'"),
        (lambda: kn.MaxNorm(axis=1.5), TypeError, "`axis` must be an integer.* Received: axis=1.5"),
        (lambda: kn.MaxNorm(axis="0"), TypeError, "Received: axis='0'"),
        (lambda: kn.MaxNorm(axis=b"ab"), TypeError, "Received: axis=b'ab'"),
        (lambda: kn.NormHistory(logs="no"), TypeError, "`logs` must be True.* logs='no'"),
        (lambda: kn.NormHistory(spectra=1), TypeError, "`spectra` must be True.* spectra=1"),
        (
            lambda: kn.FactorSchedule(float, field=3),
            *(TypeError, "`field` must be the name of a factor. Received: field=3"),
        ),
        (
            lambda: kn.unit_axes(keras.layers.Dense(1), np.zeros(3)),
            *(TypeError, "`weight` must be the name of an attribute or a variable"),
        ),
        (lambda: kn.MaxNorm(axis=[0, "1"]), TypeError, r"Received: axis=\[0, '1'\]"),
        (lambda: kn.MaxNorm(axis=True), TypeError, "Received: axis=True"),
        (lambda: kn.UnitNorm(axis=[0, 0]), ValueError, r"Received: axis=\[0, 0\]"),
        (lambda: kn.UnitNorm(axis=[]), ValueError, r"Received: axis=\[\]"),
        (
            lambda: kn.L1(-0.1),
            ValueError,
            "`l1` must be non-negative and finite in float32. Received: l1=-0.1",
        ),
        (lambda: kn.L2(NAN), ValueError, "Received: l2=nan"),
        (lambda: kn.L1L2(l2=INF), ValueError, "Received: l2=inf"),
        (lambda: kn.L2("0.1"), TypeError, "Received: l2='0.1'"),
        (lambda: kn.OrthogonalRegularizer(-1), ValueError, "Received: factor=-1"),
        (lambda: kn.OrthogonalRegularizer(None), TypeError, "Received: factor=None"),
        (
            lambda: kn.OrthogonalRegularizer(mode="row"),
            ValueError,
            'Expected one of {"rows", "columns"}. Received: mode=row$',
        ),
        (
            lambda: kn.MaxNorm(ord=3),
            ValueError,
            '`ord` must be 1, 2 or "inf". Received: ord=3',
        ),
        (lambda: kn.MaxNorm(ord="fro"), ValueError, "Received: ord='fro'"),
        (lambda: kn.MaxNorm(ord=True), ValueError, "Received: ord=True"),
        (lambda: kn.MaxNorm(ord=np.ones(2)), ValueError, "Received: ord="),
        (lambda: kn.Clip(1, 0), ValueError, "Received: min_value=1, max_value=0"),
        (lambda: kn.Clip(NAN, 0), ValueError, "Received: min_value=nan"),
        (lambda: kn.Clip(None, 0), TypeError, "Received: min_value=None"),
        (lambda: kn.Simplex(0), ValueError, "Received: total=0"),
        (lambda: kn.Simplex(axis=[1, 1]), ValueError, r"Received: axis=\[1, 1\]"),
        (lambda: kn.Chain(kn.NonNeg()), ValueError, r"two or more constraints. Received: \[NonNeg"),
        (lambda: kn.Chain(kn.NonNeg(), None), TypeError, "Received: None"),
        (
            lambda: kn.Chain(kn.NonNeg(), keras.constraints.NonNeg()),
            TypeError,
            "A Chain is made of the constraints of keras_norms.* Received: <keras",
        ),
        (lambda: kn.L2() + 3, TypeError, "unsupported operand"),
        (lambda: 3 + kn.L2(), TypeError, "unsupported operand"),
        (lambda: kn.Sum(kn.L2(), None), ValueError, "Received: regularizers=None"),
        (
            lambda: kn.FactorSchedule(float, where=keras.layers.Dense),
            TypeError,
            "`where` must be a regular expression. Received: where=<class",
        ),
        (
            lambda: kn.SparsitySchedule(0.5, -1, 2),
            ValueError,
            "`begin_epoch` must be at least 0. Received: begin_epoch=-1",
        ),
        (
            lambda: kn.BatchMean(kn.MaxNorm(2)),
            TypeError,
            r"must be a regularizer. Received: regularizer=MaxNorm\(.*\), a constraint",
        ),
        (lambda: kn.BatchMean(None), ValueError, "Received: regularizer=None"),
        (lambda: kn.BatchMean(kn.BatchMean("l2")), ValueError, "Received: regularizer=BatchMean"),
        (lambda: kn.BatchMean("l3"), ValueError, "Received: 'l3'"),
        (lambda: kn.BatchMean(3), TypeError, "Received: 3"),
        (
            lambda: constraints.get("maxnorm"),
            ValueError,
            "known names are .*max_norm.* Received: 'maxnorm'",
        ),
        (lambda: constraints.get(3), TypeError, "Received: 3"),
        (lambda: regularizers.get("l3"), ValueError, "known names are .*l1_l2.* Received: 'l3'"),
    ],
)
def test_at_construction(make, error, message):
    with pytest.raises(error, match=message) as caught:
        make()
    assert type(caught.value) is error


W = np.ones((3, 4), "float32")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: kn.MaxNorm(axis=2)(W),
            ValueError,
            r"`axis` must lie in \[-2, 2\).* Received: axis=2",
        ),
        (lambda: kn.MaxNorm(axis=-3)(W), ValueError, "Received: axis=-3"),
        (lambda: kn.MaxNorm(axis=[0, -2])(W), ValueError, r"twice.* Received: axis=\(0, -2\)"),
        (lambda: kn.MaxNorm(axis=2).project(W), ValueError, "Received: axis=2"),
        (lambda: kn.MaxNorm(axis=2).excess(W), ValueError, "Received: axis=2"),
        (
            lambda: kn.MaxNorm()(np.float32(3)),
            ValueError,
            "A scalar weight has no axes.* Received: axis=0",
        ),
        (
            lambda: kn.UnitNorm()(W.astype("int32")),
            TypeError,
            "Weights must be floating-point.* Received: dtype=int32",
        ),
        (
            lambda: kn.UnitNorm()(keras.ops.ones((2, 2), dtype="int32")),
            *(TypeError, "Received: dtype=int32"),
        ),
        (lambda: kn.NonNeg()(W.astype("bool")), TypeError, "Received: dtype=bool"),
        (lambda: kn.NonNeg()(W.astype("complex64")), TypeError, "Received: dtype=complex64"),
        (lambda: kn.MaxNorm()([[1, 2]]), TypeError, "Received: dtype=int64"),
        (lambda: kn.MaxNorm()("weights"), TypeError, "Received: dtype=<U7"),
        (
            lambda: kn.L2()(W > 0),
            TypeError,
            "Regularized values must be floating-point.* Received: dtype=bool",
        ),
        (lambda: kn.BatchMean("l1")(W > 0), TypeError, "Received: dtype=bool"),
        (
            lambda: kn.MaxNorm()(keras.KerasTensor((None, 3))),
            *(ValueError, r"shape of weights must be known. Received: shape=\(None, 3\)"),
        ),
        (
            lambda: kn.OrthogonalRegularizer()(np.float32(3)),
            ValueError,
            "Received: a scalar weight",
        ),
        *(
            (lambda each=each: each([[1.0, 2.0], [3.0]]), ValueError, "whose rows have one length.")
            for each in (
                kn.MaxNorm(),
                kn.MaxNorm().project,
                kn.NonNeg().excess,
                kn.L2(),
                kn.L2().value,
            )
        ),
    ],
)
def test_at_the_first_call(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error


@pytest.mark.parametrize("constraint", [kn.NonNeg(), kn.MaxNorm(axis=None), kn.UnitNorm(None)])
def test_scalars_are_accepted_where_no_axis_is_named(constraint):
    assert constraint(np.float32(0.5)).shape == ()


def test_numpy_numbers_are_accepted():
    constraint = kn.MaxNorm(np.float32(0.5), axis=np.int64(1))
    assert constraint == kn.MaxNorm(0.5, axis=1)
    assert type(constraint.max_value) is float
    assert type(constraint.axis) is int
    assert kn.L1(np.float64(0.5)) == kn.L1(0.5)


@pytest.mark.parametrize("cls", [kn.Chain, kn.Sum])
def test_members_in_a_list(cls):
    parts = [kn.NonNeg(), kn.MaxNorm()] if cls is kn.Chain else [kn.L1(), kn.L2()]
    with pytest.raises(TypeError, match=r"are arguments, not a list: \w+\(\*\w+\)\. Received: "):
        cls(parts)


@pytest.mark.parametrize("name", ["clip", "fixed_mask", "Clip", kn.Clip])
def test_a_name_of_what_needs_arguments(name):
    with pytest.raises(TypeError, match=r"needs arguments .*; give an object, as \w+\(\.\.\.\)"):
        constraints.get(name)


def test_a_config_of_an_unknown_class_is_quoted():
    config = {"class_name": "Foo", "config": {}}
    with pytest.raises(ValueError, match=r"Unknown constraint 'Foo'; register .* Received: \{'cla"):
        constraints.get(config)


def test_lists_of_integers_are_penalised_as_arrays_are():
    assert float(kn.L2()([1, 2])) == float(kn.L2()(np.array([1, 2]))) == pytest.approx(0.05)
    with pytest.raises(TypeError, match="Received: dtype=<U1"):
        kn.L2()(["a"])


def built_dense():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    return layer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kn.FixedMask([0.5, 1.0]), r"Received: mask=\[0.5, 1.0\] of dtype float64"),
        (lambda: kn.MaxSpectralNorm(1.0, ["clip"]), r"Received: mode=\['clip'\]"),
        (lambda: kn.OrthogonalRegularizer(1.0, np.ones(2)), r"Received: mode=\[1. 1.\]"),
        (
            lambda: kn.SoftOrthogonalRegularizer(1.0, np.ones(2)),
            '"coherence", "so", "dso" or "mc". Received: mode=array',
        ),
        (lambda: kn.prune(built_dense(), 0.5, np.ones(2)), "Received: distribution=array"),
        (
            lambda: kn.constrain(built_dense(), kn.MaxNorm(), unknown=np.ones(2)),
            "Received: unknown=array",
        ),
    ],
)
def test_what_was_received_is_quoted(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_mask_that_does_not_fit_names_the_weight():
    layer = keras.layers.Dense(2, name="head")
    layer.build((None, 4))
    with pytest.raises(
        ValueError, match=r"for weights of shape \(4, 2\) for the weight head/kernel"
    ):
        kn.FixedMask([[True] * 3])(layer.kernel)


@pytest.mark.parametrize("name", ["bias", "units", "weights", "kernel_initializer"])
def test_what_is_no_weight_of_a_layer(name):
    layer = keras.layers.Dense(2, use_bias=False)
    layer.build((None, 4))
    with pytest.raises(ValueError, match="Dense has no weight of this name; it has kernel"):
        kn.unit_axes(layer, name)


def test_a_layer_that_is_not_built():
    with pytest.raises(ValueError, match=r"must be built.* Received: \w+, which is not built"):
        kn.unit_axes(keras.layers.Dense(2), "kernel")


def test_whole_bounds_beyond_int32_are_floats():
    bounds = kn.Clip(-(2**40), 2**40)
    assert isinstance(bounds.max_value, float)
    assert isinstance(kn.Clip(-1, 1).max_value, int)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_infinity_is_refused_in_every_precision(dtype):
    infinite, three = (np.dtype(dtype).type(x) for x in (np.inf, 3))
    for make in (kn.MaxNorm, kn.L2):
        with pytest.raises(ValueError, match="finite in float32"):
            make(infinite)
        assert make(three) == make(3.0)
