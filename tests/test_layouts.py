"""The layouts against the truth: which weights the gradient of one output unit touches."""

import importlib
import inspect
import pkgutil
import re

import keras
import numpy as np
import pytest
from keras import ops
from older_keras import HAS_NO_SUCH_LAYER, fails_before

import keras_norms as kn
from keras_norms.testing import backends

L = keras.layers
# layer, input shape, the index of one unit in the output, and the number of groups it sees.
UNITS = {
    "Dense": (L.Dense(3), (2, 4), (..., 1), {"kernel": 1}),
    "Conv1D": (L.Conv1D(3, 2), (1, 6, 2), (..., 1), {"kernel": 1}),
    "Conv2D": (L.Conv2D(3, 2), (1, 5, 5, 2), (..., 1), {"kernel": 1}),
    "Conv2D, groups": (L.Conv2D(4, 2, groups=2), (1, 5, 5, 4), (..., 1), {"kernel": 1}),
    "Conv3D": (L.Conv3D(3, 2), (1, 4, 4, 4, 2), (..., 1), {"kernel": 1}),
    "Conv1DTranspose": (L.Conv1DTranspose(3, 2), (1, 6, 2), (..., 1), {"kernel": 1}),
    "Conv2DTranspose": (L.Conv2DTranspose(3, 2), (1, 5, 5, 2), (..., 1), {"kernel": 1}),
    "Conv3DTranspose": (L.Conv3DTranspose(3, 2), (1, 4, 4, 4, 2), (..., 1), {"kernel": 1}),
    "DepthwiseConv1D": (
        L.DepthwiseConv1D(2, depth_multiplier=2),
        (1, 6, 3),
        (..., 1),
        {"kernel": 1},
    ),
    "DepthwiseConv2D": (
        L.DepthwiseConv2D(2, depth_multiplier=2),
        (1, 5, 5, 3),
        (..., 1),
        {"kernel": 1},
    ),
    # One filter of the pointwise kernel sees every filter of the depthwise one.
    "SeparableConv1D": (
        L.SeparableConv1D(3, 2),
        (1, 6, 2),
        (..., 1),
        {"pointwise_kernel": 1, "depthwise_kernel": 2},
    ),
    "SeparableConv2D": (
        L.SeparableConv2D(3, 2),
        (1, 5, 5, 2),
        (..., 1),
        {"pointwise_kernel": 1, "depthwise_kernel": 2},
    ),
    "EinsumDense, like Dense": (L.EinsumDense("ab,bc->ac", 3), (2, 4), (..., 1), {"kernel": 1}),
    "EinsumDense, heads": (
        L.EinsumDense("abc,cde->abde", (None, 2, 3)),
        (1, 3, 4),
        (..., 1, 2),
        {"kernel": 1},
    ),
    "EinsumDense, output of attention": (
        L.EinsumDense("abcd,cde->abe", (None, 5)),
        (1, 3, 2, 4),
        (..., 1),
        {"kernel": 1},
    ),
    "EinsumDense, reordered": (L.EinsumDense("ab,cb->ac", 3), (2, 4), (..., 1), {"kernel": 1}),
    # One step from a zero state: all gates of one unit, and of the recurrent kernel nothing.
    "SimpleRNN": (L.SimpleRNN(3), (2, 1, 4), (..., 1), {"kernel": 1}),
    "LSTM": (L.LSTM(3), (2, 1, 4), (..., 1), {"kernel": 3}),
    "GRU": (L.GRU(3), (2, 1, 4), (..., 1), {"kernel": 2}),
}


def groups_touched(gradient, axes):
    """How many groups have all entries not zero; a group that has some only is an error."""
    outside = [a for a in range(gradient.ndim) if a not in axes]
    rows = np.transpose(gradient, (*outside, *axes)).reshape(
        -1, int(np.prod([gradient.shape[a] for a in axes]))
    )
    nonzero = (rows != 0).sum(axis=1)
    assert set(nonzero) <= {0, rows.shape[1]}, "a unit sees a part of a group"
    return int((nonzero > 0).sum())


@pytest.mark.parametrize("name", UNITS)
def test_one_output_unit_sees_whole_groups(name):
    layer, shape, unit, expected = UNITS[name]
    x = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype("float32")
    layer(x)
    owner = layer.cell if isinstance(layer, L.RNN) else layer
    for attribute, groups in expected.items():
        variable = getattr(owner, attribute)
        start = np.random.default_rng(1).uniform(0.1, 0.5, variable.shape).astype("float32")
        variable.assign(start)

        def output(w, owner=owner, attribute=attribute):
            return ops.sum(with_weight(layer, owner, attribute, w, x)[unit])

        gradient = ops.convert_to_numpy(backends.gradient(output, start))
        axes = kn.unit_axes(layer, attribute)
        assert groups_touched(gradient, axes) == groups
        assert kn.unit_axes(layer, variable) == axes


def with_weight(layer, owner, attribute, w, x):
    """The output of a layer with one weight replaced by a tensor."""
    variable = getattr(owner, attribute)
    trainable = [w if v is variable else v.value for v in layer.trainable_variables]
    fixed = [v.value for v in layer.non_trainable_variables]
    return layer.stateless_call(trainable, fixed, ops.convert_to_tensor(x))[0]


@fails_before((3, 13), HAS_NO_SUCH_LAYER)
def test_a_token_sees_its_row():
    for layer in (L.Embedding(6, 3), L.ReversibleEmbedding(6, 3, tie_weights=False)):
        layer.build((None, 2))

        def output(w, layer=layer):
            return ops.sum(with_weight(layer, layer, "embeddings", w, np.array([[4, 4]])))

        gradient = ops.convert_to_numpy(backends.gradient(output, np.ones((6, 3), "float32")))
        assert groups_touched(gradient, kn.unit_axes(layer, "embeddings")) == 1
    reverse = kn.unit_axes(layer, "reverse_embeddings")
    assert reverse == (0,)  # (dim, vocabulary): a logit sees its column


def test_a_frequency_sees_its_window():
    layer = L.STFTSpectrogram(frame_length=4, frame_step=2, fft_length=4, trainable=True)
    layer.build((None, 16, 1))
    for name in ("real_kernel", "imag_kernel"):
        assert kn.unit_axes(layer, name) == tuple(range(len(getattr(layer, name).shape) - 1))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_cells_of_convolutional_recurrence(rank):
    layer = getattr(L, f"ConvLSTM{rank}D")(2, 2, padding="same")
    layer.build((None, 3, *(5,) * rank, 4))
    for name in ("kernel", "recurrent_kernel"):
        assert kn.unit_axes(layer, name) == tuple(range(rank + 1))


def test_attention_is_found_by_its_equations():
    for layer in (L.MultiHeadAttention(2, 3), L.GroupQueryAttention(4, 4, 2)):
        layer.build((None, 4, 8), (None, 4, 8))
        found = {
            dense.name: kn.unit_axes(dense, "kernel")
            for dense in layer._flatten_layers(include_self=False)
            if isinstance(dense, L.EinsumDense)
        }
        assert found.pop("attention_output") == (0, 1)
        assert found == {"query": (0,), "key": (0,), "value": (0,)}


SHAPES = {"rank 2": (2, 4), "rank 3": (2, 4, 4), "rank 4": (2, 6, 6, 4), "rank 5": (2, 3, 6, 6, 4)}
ARGUMENTS = {
    "Conv": {"filters": 2, "kernel_size": 2},
    "SeparableConv": {"filters": 2, "kernel_size": 2},
    "DepthwiseConv": {"kernel_size": 2},
    "EinsumDense": {"equation": "ab,bc->ac", "output_shape": 3},
    "Dense": {"units": 2},
    "Embedding": {"input_dim": 5, "output_dim": 2},
    "ReversibleEmbedding": {"input_dim": 5, "output_dim": 2, "tie_weights": False},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 2},
    "GroupQueryAttention": {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1},
    **{name: {"units": 2} for name in ("SimpleRNN", "LSTM", "GRU")},
    "GroupNormalization": {"groups": 2},
    "BatchNormalization": {},
    "LayerNormalization": {},
    "RMSNormalization": {},
    "PReLU": {},
    "Attention": {"use_scale": True, "score_mode": "concat"},
    "AdditiveAttention": {},
    "STFTSpectrogram": {"trainable": True, "frame_length": 4, "frame_step": 2, "fft_length": 4},
}
# Made of other layers or of the user's code, which have layouts of their own, or none.
WRAPPERS = {
    *("Layer", "Wrapper", "RNN", "StackedRNNCells", "Bidirectional", "TimeDistributed"),
    *("SpectralNormalization", "Lambda", "Pipeline", "JaxLayer", "FlaxLayer", "TFSMLayer"),
    *("TorchModuleWrapper", "InputLayer"),
}


def arguments_of(name):
    if name in ARGUMENTS:
        return ARGUMENTS[name]
    prefix = next((p for p in ARGUMENTS if name.startswith(p)), None)
    return ARGUMENTS[prefix] if prefix else None


def layer_classes():
    for name in sorted(dir(L)):
        cls = getattr(L, name)
        if inspect.isclass(cls) and issubclass(cls, L.Layer) and name not in WRAPPERS:
            yield name


# What makes weights that no optimizer trains: statistics and vocabularies.
NOT_TRAINED = {"Normalization", "Discretization"}


def makes_weights(cls):
    """Whether a class of Keras' layers, or one that it derives from, adds weights of its own."""
    bases = [c for c in cls.__mro__ if ".layers." in c.__module__ and c is not L.Layer]
    return any(re.search(r"\.add_(weight|variable)\(", inspect.getsource(c)) for c in bases)


@pytest.mark.parametrize("name", list(layer_classes()))
def test_every_layer_of_keras_with_weights_has_layouts(name):
    cls = getattr(L, name)
    arguments = arguments_of(name)
    if arguments is None:
        assert not makes_weights(cls) or name in NOT_TRAINED, f"give {name} a layout"
        return
    layer = cls(**arguments)
    build(layer)
    assert layer.trainable_variables
    for owner in layer._flatten_layers():
        for variable in owner._trainable_variables:
            assert kn.unit_axes(owner, variable) is not None


def test_control_a_new_layer_with_weights_would_be_seen():
    assert makes_weights(L.Dense)
    assert makes_weights(L.Conv2D)  # by the class that it derives from
    assert not makes_weights(L.ReLU)


def build(layer):
    """Build for the first shape that the layer takes."""
    name = type(layer).__name__
    if "Attention" in name:
        shape = (2, 4, 4)
        if name in ("MultiHeadAttention", "GroupedQueryAttention"):
            layer.build(shape, shape)
        else:
            layer.build([shape, shape])
        return
    error = None
    for shape in SHAPES.values():
        try:
            layer.build(shape)
        except Exception as reason:
            error = reason
        else:
            return
    raise ValueError(f"{name} takes none of {SHAPES}") from error


def test_layers_of_the_applications_have_layouts():
    from keras.src import applications

    found = {}
    modules = pkgutil.iter_modules(applications.__path__, f"{applications.__name__}.")
    for module in (m for m in modules if not m.name.endswith("_test")):
        for cls in vars(importlib.import_module(module.name)).values():
            own = (
                inspect.isclass(cls)
                and issubclass(cls, L.Layer)
                and ".applications" in (cls.__module__)
            )
            if own and "add_weight(" in inspect.getsource(cls):
                found[cls.__name__] = cls
    assert set(found) == {"LayerScale"}
    layer = found["LayerScale"](1e-6, 8)
    layer.build((None, 4, 4, 8))
    assert kn.unit_axes(layer, "gamma") == ()


class Custom(L.Layer):
    def build(self, input_shape):
        self.matrix = self.add_weight(shape=(8, input_shape[-1]))


def test_a_custom_layer_says_how_to_register_it():
    layer = Custom()
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"register_layout\(Custom, matrix=\"in unit\"\)"):
        kn.unit_axes(layer, "matrix")
    with pytest.raises(ValueError, match="no weight with a layout that is this variable"):
        kn.unit_axes(layer, layer.matrix)


def test_a_layout_of_the_wrong_length_is_refused():
    class Other(Custom):
        pass

    layer = Other()
    layer.build((None, 3))
    for layout in ("a b unit", "unit"):
        kn.register_layout(Other, matrix=layout)
        with pytest.raises(ValueError, match=f"one word per axis of .* Received: '{layout}'"):
            kn.unit_axes(layer, "matrix")


def test_a_subclass_has_the_layout_of_its_base():
    class Mine(L.Dense):
        pass

    layer = Mine(2)
    layer.build((None, 3))
    assert kn.unit_axes(layer, layer.kernel) == (0,)
    assert kn.unit_axes(layer, "bias") == ()


def test_an_equation_without_units_is_refused():
    layer = L.EinsumDense("ab,b->a", ())
    layer.build((None, 3))
    with pytest.raises(ValueError, match="No letter of the kernel is in the output"):
        kn.unit_axes(layer, "kernel")


def test_a_weight_that_a_layer_lacks_is_named():
    dense, both = L.Dense(3), L.Bidirectional(L.LSTM(2, name="both"))
    dense.build((None, 4))
    both.build((None, 5, 4))
    with pytest.raises(ValueError, match=r"it has kernel, bias\. Received: weight='kernal'"):
        kn.unit_axes(dense, "kernal")
    with pytest.raises(ValueError, match="ask the layers in it: forward_both, backward_both"):
        kn.unit_axes(both, "kernel")
    with pytest.raises(TypeError, match=r"must be a Keras layer\. Received: layer='dense'"):
        kn.unit_axes("dense", "kernel")
    with pytest.raises(TypeError, match=r"must be the name .* Received: weight=5"):
        kn.unit_axes(dense, 5)


@pytest.mark.parametrize("layer", [L.Bidirectional(L.LSTM(2)), L.MultiHeadAttention(2, 2)])
def test_a_layer_must_be_built_before_its_layouts_are_asked_for(layer):
    with pytest.raises(ValueError, match="The layer must be built, so that its weights exist"):
        kn.unit_axes(layer, "kernel")


@pytest.mark.parametrize("arguments", [(3, {"w": "in"}), (Custom, {"matrix": 3})])
def test_a_layout_must_be_words_for_a_layer(arguments):
    cls, words = arguments
    with pytest.raises(TypeError, match="Received: 3"):
        kn.register_layout(cls, **words)


def test_what_is_registered_for_a_base_class_reaches_its_subclasses_whenever():
    class Base(L.Layer):
        def build(self, shape):
            self.first, self.second = (self.add_weight(shape=(4, 3)) for _ in range(2))

    class Sub(Base):
        pass

    kn.register_layout(Sub, first="unit in")
    kn.register_layout(Base, first="in unit", second="in unit")
    layer = Sub()
    layer.build((None, 4))
    assert kn.unit_axes(layer, "first") == (1,)
    assert kn.unit_axes(layer, "second") == (0,)


def test_the_layout_to_register_has_a_word_for_each_axis():
    class Odd(keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(2, 3, 4), name="w")

    layer = Odd()
    layer.build((None, 2))
    with pytest.raises(ValueError, match=r'register_layout\(Odd, w="in in unit"\)'):
        kn.unit_axes(layer, "w")
