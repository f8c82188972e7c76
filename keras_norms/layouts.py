"""Layouts: one word per axis for every weight of every Keras layer, and the axes of a unit's group.

A layout names each axis of a weight: "y x in unit" is a Conv2D kernel. The axes named "unit" tell
units apart; all others lie inside a unit's group, the weights that one output unit sees. No tensors
here, and no guess by rank: a layer that is not in the table raises, and says how to register it.
"""

import keras
from keras import layers

_CONV = {1: "x", 2: "y x", 3: "z y x"}

# The layouts of a class by the name of the attribute that holds the weight. "*" is elementwise: a
# number per unit, of any rank.
_LAYOUTS: dict[type, dict[str, str]] = {
    layers.Dense: {"kernel": "in unit", "bias": "*"},
    layers.Embedding: {"embeddings": "unit dim"},
    layers.SimpleRNNCell: {"kernel": "in unit", "recurrent_kernel": "in unit", "bias": "*"},
    layers.LSTMCell: {"kernel": "in unit", "recurrent_kernel": "in unit", "bias": "*"},
    layers.GRUCell: {"kernel": "in unit", "recurrent_kernel": "in unit", "bias": "*"},
    layers.BatchNormalization: {"gamma": "*", "beta": "*"},
    layers.GroupNormalization: {"gamma": "*", "beta": "*"},
    layers.LayerNormalization: {"gamma": "*", "beta": "*"},
    layers.RMSNormalization: {"scale": "*"},
    layers.PReLU: {"alpha": "*"},
    layers.Attention: {"scale": "*", "concat_score_weight": "*"},
    layers.AdditiveAttention: {"scale": "*"},
    layers.STFTSpectrogram: {"real_kernel": "x in unit", "imag_kernel": "x in unit"},
}
for _rank, _space in _CONV.items():
    _LAYOUTS[getattr(layers, f"Conv{_rank}D")] = {"kernel": f"{_space} in unit", "bias": "*"}
    _LAYOUTS[getattr(layers, f"Conv{_rank}DTranspose")] = {
        "kernel": f"{_space} unit in",
        "bias": "*",
    }
for _rank, _space in list(_CONV.items())[:2]:
    # Every input channel has units of its own.
    _LAYOUTS[getattr(layers, f"DepthwiseConv{_rank}D")] = {
        "kernel": f"{_space} unit unit",
        "bias": "*",
    }
    _LAYOUTS[getattr(layers, f"SeparableConv{_rank}D")] = {
        "depthwise_kernel": f"{_space} unit unit",
        "pointwise_kernel": f"{_space} in unit",
        "bias": "*",
    }
if hasattr(layers, "ReversibleEmbedding"):  # from Keras 3.12
    _LAYOUTS[layers.ReversibleEmbedding] = {
        "embeddings": "unit dim",
        "reverse_embeddings": "dim unit",
    }


# A class that Keras does not export, by its name; "..." is any number of axes.
_UNEXPORTED = {
    "ConvLSTMCell": {"kernel": "... in unit", "recurrent_kernel": "... in unit", "bias": "*"},
    "LayerScale": {"gamma": "*"},  # of keras.applications.ConvNeXt
}


def register_layout(layer_class, **words):
    """Say what the axes of a custom layer's weights are.

    Args:
        layer_class: The class of the layer; subclasses have the same layout. What is known of
            its other weights stays.
        **words: For each attribute that holds a weight, one word per axis, separated by spaces:
            "unit" where units are told apart, any other word inside a unit's group. "*" is
            elementwise.

    Raises:
        TypeError: If `layer_class` is not a class of layers, or a layout not a text.
        ValueError: If a layout is neither "*" nor has the word "unit".

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
    for name, layout in words.items():
        if not isinstance(layout, str):
            raise TypeError(
                f'`{name}` must be one word per axis, as in "in unit". Received: {layout!r}'
            )
        if layout != "*" and "unit" not in layout.split():
            raise ValueError(
                f'`{name}` must have the word "unit", for the axes that tell units apart, or be '
                f'"*" if it is elementwise. Received: {layout!r}'
            )
    inherited = next((_LAYOUTS[c] for c in layer_class.__mro__ if c in _LAYOUTS), {})
    _LAYOUTS[layer_class] = inherited | words


def unit_axes(layer, weight):
    """The axes inside one unit's group: what `axis` must be for one norm per unit.

    Args:
        layer: A built layer. A recurrent layer stands for its cell.
        weight: The attribute's name, as in "kernel", or the variable.

    Returns:
        A tuple of axes; `()` for a weight that is elementwise, such as a bias.

    Raises:
        ValueError: If the layer's class or the weight has no layout, or its units no axis.

    Example:
    >>> import keras, keras_norms as kn
    >>> layer = keras.layers.Conv2D(8, 3)
    >>> layer.build((None, 28, 28, 1))
    >>> kn.unit_axes(layer, "kernel")  # (rows, cols, in, out)
    (0, 1, 2)
    """
    if isinstance(layer, layers.RNN) and not isinstance(layer.cell, layers.StackedRNNCells):
        layer = layer.cell
    name = weight if isinstance(weight, str) else name_of(layer, weight)
    if name is None:
        path = weight.path if isinstance(weight, keras.Variable) else repr(weight)
        raise ValueError(
            f"{type(layer).__name__} has no weight with a layout that is this variable. "
            f"Received: {path}"
        )
    words = layout(layer, name)
    if words == "*":
        return ()
    words = words.split()
    if "unit" not in words:
        raise ValueError(
            f"No axis of `{name}` tells units apart; name the axes yourself. "
            f"Received: {' '.join(words)!r}"
        )
    held = vars(layer)  # a property over it may compute, as `kernel` does with LoRA
    shape = (held[f"_{name}"] if f"_{name}" in held else getattr(layer, name)).shape
    if words[0] == "...":
        words[:1] = ["space"] * (len(shape) - len(words) + 1)
    if len(words) != len(shape):
        raise ValueError(
            f"The layout of `{name}` must have one word per axis of {tuple(shape)}. "
            f"Received: {' '.join(words)!r}"
        )
    return tuple(axis for axis, word in enumerate(words) if word != "unit")


def layout(layer, name):
    """The words for the axes of a layer's weight, or "*" for an elementwise one."""
    if isinstance(layer, layers.EinsumDense) and name == "kernel":
        return _einsum_layout(layer)
    known = _known(layer) | ({"bias": "*"} if isinstance(layer, layers.EinsumDense) else {})
    if name is not None and name.startswith("lora_"):
        return "..."  # any axes, of a product of two weights: neither has units of its own
    if name not in known:
        has = f"it has layouts for {', '.join(known)}" if known else "its class has no layouts"
        raise ValueError(
            f"No layout is known for `{name}` of {type(layer).__name__}: {has}. Say what its axes "
            f'are: `keras_norms.register_layout({type(layer).__name__}, {name}="in unit")`, with '
            f'"unit" for the axes that tell units apart. Received: {layer.name}'
        )
    return known[name]


def _known(layer):
    """The layouts of the nearest class that has some."""
    for cls in type(layer).__mro__:
        if cls in _LAYOUTS:
            return _LAYOUTS[cls]
        if cls.__module__.startswith("keras.") and cls.__name__ in _UNEXPORTED:
            return _UNEXPORTED[cls.__name__]
    return {}


def name_of(layer, variable):
    """The name of a layer's weight that has a layout; None if the variable is none of them."""
    names = ["kernel", "bias"] if isinstance(layer, layers.EinsumDense) else _known(layer)
    for name in names:
        # `Dense.kernel` is a property over `_kernel`, which with LoRA is another tensor.
        if any(vars(layer).get(attribute) is variable for attribute in (name, f"_{name}")):
            return name
    return None


def _einsum_layout(layer):
    """Letters of the kernel that are in the output tell units apart."""
    inputs, output = layer.equation.replace("...", "").replace(" ", "").split("->")
    kernel = inputs.split(",")[1]
    if not set(kernel) & set(output):
        raise ValueError(
            "No letter of the kernel is in the output, so it has no units; name the axes "
            f"yourself. Received: equation={layer.equation!r}"
        )
    return " ".join("unit" if letter in output else "in" for letter in kernel)
