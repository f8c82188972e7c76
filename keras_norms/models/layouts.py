"""Layouts: one word per axis for every weight of every Keras layer, and the axes of a unit's group.

A layout names each axis of a weight: a Conv2D kernel has "y x in unit". The axes named "unit" tell
units apart; all others lie inside a unit's group, the weights that one output unit sees. No layout
is guessed from the rank of a weight: for a layer that is not in the table, you get an error that
says how to register one. No tensors are handled here.
"""

import functools
import operator
from typing import Any

import keras
from keras import layers

from keras_norms.keras_internals import (
    attribute_names,
    children_of,
    held_variable,
    is_from_keras,
)
from keras_norms.models.layouts_elsewhere import layouts_of_class
from keras_norms.numerics.groups import axes_of_layout

_SPACE = {1: "x", 2: "y x", 3: "z y x"}

# The layouts of Keras' own layers, by the name of the class, because Keras does not export each,
# and by the attribute that holds the weight. "*" is an elementwise weight of any rank, one number
# per unit; "..." stands for any number of axes; "einsum" is what the layer's equation says.
_OF_KERAS: dict[str, dict[str, str]] = {
    "Dense": {"kernel": "in unit", "bias": "*"},
    "EinsumDense": {"kernel": "einsum", "bias": "*"},
    "Embedding": {"embeddings": "unit dim"},
    "ReversibleEmbedding": {"embeddings": "unit dim", "reverse_embeddings": "dim unit"},
    "SimpleRNNCell": {"kernel": "in unit", "recurrent_kernel": "in unit", "bias": "*"},
    "LSTMCell": {"kernel": "in unit", "recurrent_kernel": "in unit", "bias": "*"},
    "GRUCell": {"kernel": "in unit", "recurrent_kernel": "in unit", "bias": "*"},
    "ConvLSTMCell": {"kernel": "... in unit", "recurrent_kernel": "... in unit", "bias": "*"},
    "BatchNormalization": {"gamma": "*", "beta": "*"},
    "GroupNormalization": {"gamma": "*", "beta": "*"},
    "LayerNormalization": {"gamma": "*", "beta": "*"},
    "RMSNormalization": {"scale": "*"},
    "LayerScale": {"gamma": "*"},  # of keras.applications.ConvNeXt
    "PReLU": {"alpha": "*"},
    "Attention": {"scale": "*", "concat_score_weight": "*"},
    "AdditiveAttention": {"scale": "*"},
    "STFTSpectrogram": {"real_kernel": "x in unit", "imag_kernel": "x in unit"},
}
for _rank, _axes in _SPACE.items():
    _OF_KERAS[f"Conv{_rank}D"] = {"kernel": f"{_axes} in unit", "bias": "*"}
    _OF_KERAS[f"Conv{_rank}DTranspose"] = {"kernel": f"{_axes} unit in", "bias": "*"}
for _rank, _axes in list(_SPACE.items())[:2]:
    # Every input channel has units of its own.
    _OF_KERAS[f"DepthwiseConv{_rank}D"] = {"kernel": f"{_axes} unit unit", "bias": "*"}
    _OF_KERAS[f"SeparableConv{_rank}D"] = {
        "depthwise_kernel": f"{_axes} unit unit",
        "pointwise_kernel": f"{_axes} in unit",
        "bias": "*",
    }

# What a user's class derives from, or one that Keras adds. All others transpose nothing.
_OF_KERAS["BaseConv"] = {"kernel": "... in unit", "bias": "*"}

# The layouts of other classes, which `register_layout` fills.
_REGISTERED: dict[type, dict[str, str]] = {}


def register_layout(layer_class: type, **layouts: str) -> None:
    """Say what the axes of a custom layer's weights are.

    Args:
        layer_class: The class of the layer; subclasses have the same layout. The layouts of
            its other weights stay.
        **layouts: For each attribute that holds a weight, one word per axis, separated by
            spaces: "unit" for an axis that tells units apart, any other word for an axis inside
            a unit's group. "*" is elementwise.

    Raises:
        TypeError: If `layer_class` is not a class of layers, or a layout is not a string.
        ValueError: If a layout lacks the word "unit" and is not "*", or there is none.

    Example:
    >>> import keras, keras_norms as kn
    >>> class Projection(keras.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.matrix = self.add_weight(shape=(8, input_shape[-1]))
    >>> kn.register_layout(Projection, matrix="unit in")
    >>> layer = Projection()
    >>> layer.build((None, 3))
    >>> kn.unit_axes(layer, "matrix")
    (1,)
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, layers.Layer)):
        raise TypeError(
            f"`layer_class` must be a subclass of keras.layers.Layer. Received: {layer_class!r}"
        )
    if not layouts:
        raise ValueError(
            "`register_layout` must be given the layout of a weight, as in "
            f'register_layout({layer_class.__name__}, kernel="in unit"). Received: none'
        )
    for name, layout in layouts.items():
        if not isinstance(layout, str):
            raise TypeError(
                f'`{name}` must be one word per axis, as in "in unit". Received: {layout!r}'
            )
        if layout != "*" and "unit" not in layout.split():
            raise ValueError(
                f'`{name}` must have the word "unit", for the axes that tell units apart, or be '
                f'"*" if it is elementwise. Received: {layout!r}'
            )
    _REGISTERED[layer_class] = _REGISTERED.get(layer_class, {}) | layouts


def unit_axes(layer: Any, weight: Any) -> tuple[int, ...]:
    """The axes inside one unit's group: what `axis` must be for one norm per unit.

    Args:
        layer: A built layer. For a recurrent layer, its cell is looked at.
        weight: The attribute's name, as in "kernel", or the variable.

    Returns:
        A tuple of axes; `()` for a weight that is elementwise, such as a bias.

    Raises:
        TypeError: If `layer` is not a Keras layer, or `weight` neither a name nor a variable.
        ValueError: If the layer has no such weight, or its layout is not known or has no axis
            that tells units apart.

    Example:
    >>> import keras, keras_norms as kn
    >>> layer = keras.layers.Conv2D(8, 3)
    >>> layer.build((None, 28, 28, 1))
    >>> kn.unit_axes(layer, "kernel")  # (rows, cols, in, out)
    (0, 1, 2)
    """
    if not isinstance(layer, layers.Layer):
        raise TypeError(f"`layer` must be a Keras layer. Received: layer={layer!r}")
    if not isinstance(weight, (str, keras.Variable)) and not keras.ops.is_tensor(weight):
        raise TypeError(
            "`weight` must be the name of an attribute or a variable, as in "
            f'unit_axes(layer, "kernel"). Received: weight={weight!r}'
        )
    if isinstance(layer, layers.RNN) and not isinstance(layer.cell, layers.StackedRNNCells):
        layer = layer.cell
    name = weight if isinstance(weight, str) else name_of(layer, weight)
    if name is None:
        path = weight.path if isinstance(weight, keras.Variable) else repr(weight)
        raise ValueError(
            f"{type(layer).__name__} has no weight with a layout that is this variable. "
            f"Received: {path}"
        )
    _check_has(layer, name)
    layout = layout_of(layer, name)
    return () if layout == "*" else axes_of_layout(layout)


def _check_has(layer, name):
    """Refuse the name of a weight that a built layer does not have itself."""
    held = getattr(layer, name, None)
    if not layer.built or isinstance(held, keras.Variable) or keras.ops.is_tensor(held):
        return
    own = [n.lstrip("_") for n, value in vars(layer).items() if isinstance(value, keras.Variable)]
    inside = ", ".join(each.name for each in children_of(layer))
    has = f"it has {', '.join(own)}" if own else "it has none of its own"
    more = f"; ask the layers in it: {inside}" if inside else ""
    raise ValueError(
        f"{type(layer).__name__} has no weight of this name; {has}{more}. Received: weight={name!r}"
    )


def layout_of(layer, name):
    """The layout of a layer's weight: one word per axis, or "*" for an elementwise one.

    Raises:
        ValueError: If the layout is not known, has no units, or does not fit the weight.
    """
    if name is None:
        raise ValueError(
            "No attribute of the layer holds this weight, so it can have no layout. "
            f"Received: a weight of {layer.name}"
        )
    if name.startswith("lora_"):
        return "..."  # LoRA multiplies two weights, neither of which has units of its own
    known = _of_class(type(layer))
    if name not in known and not layer.built:  # it may hold this weight, or layers that have one
        raise _not_built(layer)
    if name not in known:
        rank = len(getattr(held_variable(layer, name), "shape", (0, 0)))
        has = f"it has layouts for {', '.join(known)}" if known else "its class has no layouts"
        raise ValueError(
            f"No layout is known for `{name}` of {type(layer).__name__}: {has}. Say what its axes "
            f"are: `keras_norms.register_layout({type(layer).__name__}, "
            f'{name}="{usual_words(rank)}")`, with "unit" for the axes that tell units '
            f"apart. Received: {layer.name}"
        )
    if known[name] == "einsum":
        return _einsum_layout(layer)
    words = known[name].split()
    if words == ["*"]:
        return "*"
    if not layer.built:
        raise _not_built(layer)
    shape = held_variable(layer, name).shape
    if words[0] == "...":
        words[:1] = ["space"] * (len(shape) - len(words) + 1)
    if len(words) != len(shape):
        raise ValueError(
            f"The layout of `{name}` must have one word per axis of {tuple(shape)}. "
            f"Received: {known[name]!r}"
        )
    return " ".join(words)


def _not_built(layer):
    return ValueError(
        "The layer must be built, so that its weights exist; call it on a batch, or "
        f"`layer.build(input_shape)`. Received: {layer.name}, which is not built"
    )


def has_layout(layer, name):
    """Whether a layout is given for a layer's weight, be it one that does not fit."""
    return name in _of_class(type(layer))


def usual_words(rank):
    """A layout of as many words as a weight has axes, to be corrected by whoever knows it."""
    return " ".join(["in"] * (rank - 1) + ["unit"]) if rank > 1 else "*"


def name_of(layer, variable):
    """The attribute under which a layer's variable has a layout; None if it has none."""
    held = vars(layer)
    for name in _of_class(type(layer)):
        if any(held.get(attribute) is variable for attribute in attribute_names(name)):
            return name
    return None


def _of_class(layer_class):
    """The layouts of the nearest base class that has some, and those registered for a nearer one.

    A class counts as its own base class.
    """
    registered, known = [], None
    for cls in layer_class.__mro__:
        registered.append(_REGISTERED.get(cls, {}))
        known = _OF_KERAS.get(cls.__name__) if is_from_keras(cls) else layouts_of_class(cls)
        if known:
            break
    return functools.reduce(operator.or_, reversed(registered), known or {})


def _einsum_layout(layer):
    """The layout of an EinsumDense kernel: its letters in the output tell units apart.

    A kernel that has only such letters has one number per unit, with which it scales the inputs.
    """
    inputs, output = layer.equation.replace("...", "").replace(" ", "").split("->")
    kernel = inputs.split(",")[1]
    if not set(kernel) & set(output):
        raise ValueError(
            "No letter of the kernel is in the output, so it has no units; name the axes "
            f"yourself. Received: equation={layer.equation!r}"
        )
    if set(kernel) <= set(output):
        return "*"
    return " ".join("unit" if letter in output else "in" for letter in kernel)
