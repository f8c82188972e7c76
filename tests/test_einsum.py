"""EinsumDense: the equation of a layer says which axes of its kernel tell units apart."""

import keras
import numpy as np
import pytest
from whole_models import L

import keras_norms as kn


def model_of(equation, shape, output_shape, inputs=(5, 4)):
    """A layer with this equation, before one that is like a Dense."""
    layer = L.EinsumDense(equation, output_shape=output_shape, name="odd")
    x = layer(L.Input(inputs, name="in"))
    other = L.EinsumDense("abc,dc->abd", output_shape=(None, 6), name="dense")
    model = keras.Model(layer.input, [x, other(layer.input)], name="m")
    assert tuple(layer.kernel.shape) == shape
    return model


@pytest.mark.parametrize(
    ("equation", "shape", "output_shape"),
    [("abc,c->ab", (4,), (5,)), ("abc,cb->a", (4, 5), ())],
)
def test_a_kernel_without_units_is_listed(equation, shape, output_shape):
    """The layout of its class cannot be registered: it would be that of every EinsumDense."""
    model = model_of(equation, shape, output_shape)
    with pytest.warns(kn.KerasNormsWarning, match="odd/kernel"):
        changes = kn.constrain(model, kn.MaxNorm(0.1))
    assert [change.path for change in changes] == ["dense/kernel"]
    (skipped,) = changes.skipped
    assert skipped.fix == 'name it, with an axis: where=r"^odd/kernel$", axis="own"'
    assert not kn.audit(model).findings
    with pytest.raises(ValueError, match="odd/kernel"):
        kn.constrain(model, kn.MaxNorm(0.1), unknown="raise")
    kn.constrain(model, kn.MaxNorm(0.1, axis=None), where=r"^odd/kernel$", axis="own")
    assert np.linalg.norm(model.get_layer("odd").get_weights()[0]) <= 0.1 * (1 + 1e-6)
    assert not kn.audit(model).findings


@pytest.mark.parametrize(
    ("equation", "shape"), [("abc,c->abc", (4,)), ("abc,bc->abc", (5, 4)), ("abc,cb->abc", (4, 5))]
)
def test_a_kernel_that_scales_is_no_kernel_with_units(equation, shape):
    model = model_of(equation, shape, (5, 4))
    changes = kn.constrain(model, kn.MaxNorm(0.1))
    assert [change.path for change in changes] == ["dense/kernel"]
    kn.prune(model, 0.5)
    assert np.all(model.get_layer("odd").get_weights()[0] != 0)
    with pytest.raises(ValueError, match="it has one number per unit"):
        kn.constrain(model, kn.MaxNorm(0.1), where="odd/kernel")
