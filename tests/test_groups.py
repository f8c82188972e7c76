"""Groups of a weight, some at a time: the parts are the whole weight, and no group is cut."""

import math
import types

import keras
import numpy as np
import pytest
from keras import ops

import keras_norms as kn
from keras_norms.numerics import groups
from keras_norms.numerics.groups import CACHED, map_parts, parts_of
from keras_norms.testing.backends import compiled, gradient


@pytest.mark.parametrize("most", [1, 7, 60, 1000])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        *(((12, 10), (0,)), ((12, 10), (1,)), ((13, 11), (0,)), ((5, 31), (0,))),
        *(((4, 6, 5), (0, 2)), ((3, 2, 4, 7), (0, 1, 2)), ((6, 1), (0,)), ((1, 6), (0,))),
        *(((8, 9), (0, 1)), ((120,), (0,)), ((3, 5, 7), (1,))),
    ],
)
def test_parts_make_up_the_weight_and_cut_no_group(shape, axes, most):
    w = np.arange(math.prod(shape)).reshape(shape)
    parts = [w[index] for index in parts_of(shape, axes, most)]
    assert sorted(np.concatenate([part.ravel() for part in parts])) == list(range(w.size))
    assert all(part.shape[axis] == shape[axis] for part in parts for axis in axes)
    # As few as hold at most so many entries, and as long as one another, but for one.
    outside = [length for axis, length in enumerate(shape) if axis not in axes]
    assert len(parts) == min(math.ceil(w.size / most), max(outside, default=1))
    sizes = [part.size for part in parts]
    assert max(sizes) - min(sizes) <= w.size // max(outside, default=1)


@pytest.mark.parametrize(
    ("shape", "axes"), [((2100, 1000), (0,)), ((1000, 2100), (1,)), ((7, 1000, 300), (0, 1))]
)
def test_a_function_of_groups_gives_the_same_part_by_part(shape, axes):
    w = np.random.default_rng(0).standard_normal(shape).astype("float32")
    seen = []

    def over_its_sum(part):
        seen.append(math.prod(part.shape))
        return part / ops.sum(ops.abs(part), axis=axes, keepdims=True)

    found = ops.convert_to_numpy(map_parts(over_its_sum, ops.convert_to_tensor(w), axes))
    np.testing.assert_allclose(found, w / np.abs(w).sum(axis=axes, keepdims=True), rtol=1e-5)
    assert sum(seen) == w.size
    assert max(seen) <= CACHED


def test_what_is_compiled_or_spread_over_devices_stays_whole(monkeypatch):
    w = ops.ones((2100, 1000))
    seen = []

    def same(part):
        seen.append(math.prod(part.shape))
        return part

    if keras.backend.backend() != "torch":  # which has no tensors that are known to be traced
        compiled(lambda w: map_parts(same, w, (0,)))(w)
        assert seen == [2100 * 1000]
    seen.clear()
    monkeypatch.setattr(groups, "is_known", lambda w: True)
    of_two_devices = types.SimpleNamespace(shape=(2100, 1000), devices=lambda: {0, 1})
    assert map_parts(same, of_two_devices, (0,)) is of_two_devices
    assert seen == [2100 * 1000]


@pytest.mark.parametrize("constraint", [kn.MaxNorm(1.0, ord=1), kn.MaxNorm(1.0)])
def test_a_large_weight_can_be_differentiated(constraint):
    """Inside the set, a map is the identity: of the sum, each slope is 1."""
    w = ops.cast(ops.full((2100, 1000), 2.0**-12), "float16")
    slopes = gradient(lambda w: ops.sum(ops.cast(constraint(w), "float32")), w)
    assert float(ops.amin(slopes)) == float(ops.amax(slopes)) == 1.0
