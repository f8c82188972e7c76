"""Sparse sets on inputs that no golden case holds: large, odd, spoiled, in half precision."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest
from keras import ops

import keras_norms as kn
from keras_norms.testing.backends import compiled


def array(x):
    return ops.convert_to_numpy(x)


def sorted_out(w, sparsity, axis=None):
    """What NumPy's stable sort keeps."""
    inside = tuple(range(w.ndim)) if axis is None else np.atleast_1d(axis) % w.ndim
    order = [a for a in range(w.ndim) if a not in inside] + sorted(inside)
    moved = w.transpose(order)
    rows = moved.reshape(-1, int(np.prod([w.shape[a] for a in inside]))).copy()
    count = round(rows.shape[1] * (1 - sparsity))
    places = np.argsort(-np.abs(rows), axis=1, kind="stable")[:, count:]
    np.put_along_axis(rows, places, 0, axis=1)
    return rows.reshape(moved.shape).transpose(np.argsort(order))


WAYS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "few values": lambda rng, shape: rng.integers(-2, 3, shape),
    "60 powers of ten": lambda rng, shape: rng.standard_normal(shape) * 1e30 ** rng.uniform(-1, 1),
    "one huge": lambda rng, shape: np.where(rng.random(shape) < 0.05, 3e38, 1e-3),
    "zeros": lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) < 0.2),
}


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_the_same_entries_stay_as_after_a_stable_sort(kind, axis):
    rng = np.random.default_rng(0)
    for shape in ((1,), (7,), (13, 11), (5, 3, 17)):
        w = WAYS[kind](rng, shape).astype("float32")
        for sparsity in (0.0, 0.1, 0.5, 0.93, 1.0):
            found = array(kn.Sparse(sparsity, axis=axis)(w))
            np.testing.assert_array_equal(found, sorted_out(w, sparsity, axis))


def test_more_entries_than_float32_can_count():
    w = np.ones((2**24 + 10,), "float32")  # one more than 2**24 is 2**24 there
    w[::2] = 2
    found = array(kn.Sparse(3 / w.size)(w))
    assert np.count_nonzero(found) == w.size - 3
    assert (found[::2] == 2).all()
    assert (found[1:-6:2] == 1).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_has_ties_that_are_decided_by_index(dtype):
    w = ops.cast(np.random.default_rng(0).standard_normal((60, 70)).astype("float32"), dtype)
    numbers = array(ops.cast(w, "float32"))
    found = array(ops.cast(kn.Sparse(0.8)(w), "float32"))
    np.testing.assert_array_equal(found, sorted_out(numbers, 0.8))


@pytest.mark.parametrize("constraint", [kn.Sparse(0.6, axis=0), kn.SparseNM(1, 3)])
def test_a_nan_makes_its_group_nan_and_infinity_is_the_largest(constraint):
    w = np.array([[1, 2, 1], [np.nan, 3, -np.inf], [3, 1, 2]], "float32")
    found = array(constraint(w))
    assert np.isnan(found[:, 0]).all()
    assert found[:, 1].tolist() == [0, 3, 0]
    assert found[:, 2].tolist() == [0, -np.inf, 0]


def test_units_with_equal_norms_and_of_any_rank():
    w = np.stack([[3.0, 4], [5, 0], [0, 5], [1, 1]], axis=1).astype("float32")
    assert array(kn.SparseUnits(0.5)(w)).any(axis=0).tolist() == [True, True, False, False]
    filters = np.random.default_rng(0).standard_normal((3, 3, 4, 10)).astype("float32")
    stays = array(kn.SparseUnits(0.7, axis=(0, 1, 2))(filters)).any(axis=(0, 1, 2))
    norms = np.sqrt((filters.astype("float64") ** 2).sum(axis=(0, 1, 2)))
    assert set(np.flatnonzero(stays)) == set(np.argsort(-norms)[:3])


def test_a_compiled_function_keeps_the_same_entries():
    w = ops.convert_to_tensor(np.random.default_rng(0).integers(-4, 5, (31, 8)).astype("float32"))
    constraint = kn.Sparse(0.6, axis=0)  # with ties, which take another way
    one, two = array(constraint(w)), array(compiled(constraint, one_graph=False)(w))
    np.testing.assert_array_equal(one, two)


def test_an_empty_weight_and_a_scalar():
    empty = np.zeros((0, 3), "float32")
    for constraint in (kn.Sparse(), kn.SparseNM(), kn.SparseUnits(), kn.FixedMask([1, 0, 1])):
        assert array(constraint(empty)).shape == (0, 3)
    assert float(array(kn.Sparse(0.4)(np.float32(3)))) == 3
    assert float(array(kn.Sparse(0.6)(np.float32(3)))) == 0


MASK = np.random.default_rng(0).random((40, 50)) < 0.1


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_mask_survives_copies(again):
    mask = kn.FixedMask(MASK)
    found = again(mask)
    assert found == mask
    assert hash(found) == hash(mask)
    np.testing.assert_array_equal(array(found(np.ones((40, 50), "float32"))), MASK)
    assert found != kn.FixedMask(~MASK)
    assert found != kn.FixedMask(MASK.T)


def test_a_mask_takes_a_sixth_of_a_byte_for_each_weight():
    config = kn.constraints.serialize(kn.FixedMask(np.ones((1000, 1000))))
    assert len(json.dumps(config)) < 0.2 * 1e6
    assert kn.constraints.deserialize(json.loads(json.dumps(config))) == kn.FixedMask(
        np.ones((1000, 1000))
    )


def test_a_mask_cannot_be_changed():
    given = MASK.copy()
    mask = kn.FixedMask(given)
    given[:] = False
    assert mask.mask.any()
    with pytest.raises(ValueError, match="read-only"):
        mask.mask[0, 0] = True


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        *(([0.5, 1], ValueError), ([2], ValueError), (["a"], ValueError), (None, ValueError)),
        *(([[1, 0], [1]], ValueError), ({}, ValueError), ({"bits": 1, "shape": [3]}, ValueError)),
        *(({"bits": "zz", "shape": [3]}, ValueError), ({"bits": "", "shape": [3]}, ValueError)),
    ],
)
def test_a_mask_of_anything_else_is_refused(mask, error):
    with pytest.raises(error, match=r"`mask` must (hold|be an array).* Received: mask="):
        kn.FixedMask(mask)


def test_a_mask_that_does_not_fit_is_refused_before_anything_is_changed():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    before = model.get_weights()[0]
    with pytest.raises(ValueError, match=r"mask of shape \(3, 4\)"):
        kn.constrain(model, kn.FixedMask(np.ones((3, 4))), where="kernel")
    assert model.layers[0].kernel.constraint is None
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_a_chain_refuses_a_mask_that_does_not_fit():
    chain = kn.Chain(kn.NonNeg(), kn.FixedMask(np.ones((3, 4))))
    with pytest.raises(ValueError, match=r"mask of shape \(3, 4\)"):
        chain(np.ones((3, 1), "float32"))


class Masked(keras.layers.Layer):
    """A layer that makes its mask when it is built, as in MADE."""

    def build(self, shape):
        self.bias = self.add_weight(shape=(3,), name="bias")
        mask = kn.FixedMask(np.tri(shape[-1], 3))
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel", constraint=mask)

    def call(self, x):
        return x @ self.kernel + self.bias


class Net(keras.Model):
    """It has no `build` of its own, so Keras builds its layers while it traces them."""

    def __init__(self):
        super().__init__()
        self.masked = Masked()

    def call(self, x):
        return self.masked(x)


def test_a_mask_may_be_made_while_a_model_is_traced():
    net = Net()
    net.compile("sgd", "mse")
    net.fit(np.ones((8, 4), "float32"), np.ones((8, 3), "float32"), verbose=0)
    assert len(net.weights) == 2
    assert not net.get_weights()[1][~np.tri(4, 3, dtype=bool)].any()


def test_a_unit_with_nan_makes_all_nan():
    w = np.array([[np.nan, 2.0, 3.0, 4.0]], "float32")
    assert np.isnan(keras.ops.convert_to_numpy(kn.SparseUnits(0.5)(w))).all()


def test_entries_below_the_normal_numbers_count_as_equal():
    tiny = np.array([1e-40, 3e-40, 2e-40, 0.0], "float32")
    kept = keras.ops.convert_to_numpy(kn.SparseNM(2, 4)(tiny))
    assert not kept[2:].any()  # the first two are kept, or flushed to 0
