"""Weights of a model: each with its layer, its name there, and where its settings are held.

Keras applies what a *variable* holds, and saves what its *layer* holds. So whoever sets, looks for
or compares a constraint or regularizer of a built model needs both, and they are found here.
"""

import collections
import dataclasses
import inspect
import re
from typing import Any

import keras

from keras_norms.layouts import layout as layout_of
from keras_norms.layouts import name_of, unit_axes


@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight that is made to be trained.

    Attributes:
        layer: The layer that owns it; of a recurrent layer, the cell.
        name: The layer's attribute that holds it; None if none does.
        variable: The `keras.Variable`.
        inside: The layers that enclose `layer`, the model first.
        has_twin: Whether another weight of the model has the same path.
    """

    layer: Any
    name: str | None
    variable: Any
    inside: tuple[Any, ...]
    has_twin: bool = False

    @property
    def path(self):
        """The variable's path, as in "block1/conv/kernel"."""
        return self.variable.path

    @property
    def layout(self):
        """One word per axis, "*" for an elementwise weight; an unknown one raises `ValueError`."""
        if len(self.variable.shape) == 0:
            return "*"
        if self.name is None:
            raise ValueError(
                f"No attribute of {self.layer.name} holds this weight, so it can have no layout; "
                f'leave it out by `where`, or use `axis="own"`. Received: {self.path}'
            )
        return layout_of(self.layer, self.name)

    @property
    def words(self):
        """The layout, None if it is unknown."""
        try:
            return self.layout
        except ValueError:
            return None

    @property
    def has_units(self):
        """Whether some axis tells units apart; False if the layout is unknown."""
        return "unit" in (self.words or "").split()

    @property
    def is_kernel(self):
        """Whether it has units and is no table of vectors; an unknown layout raises."""
        words = self.layout.split()
        return "unit" in words and "dim" not in words

    @property
    def unit_axes(self):
        """The axes inside one unit's group; an unknown layout raises `ValueError`."""
        return unit_axes(self.layer, self.name) if self.layout != "*" else ()

    @property
    def norm_axes(self):
        """The axes that its norms go over: a unit's, or all if it has no units that are known."""
        return self.unit_axes if self.has_units else tuple(range(len(self.variable.shape)))

    def holders(self, kind):
        """Where Keras may find this weight's setting when it saves, nearest first.

        Args:
            kind: "constraint" or "regularizer".

        Returns:
            A list of (layer, attribute name).
        """
        if self.name is None:
            return []
        stem = self.name.removesuffix("_kernel")
        own = [f"{self.name}_{kind}", f"{stem}_{kind}"]
        if isinstance(self.layer, _DEPTHWISE) and self.name == "kernel":
            own = [f"depthwise_{kind}"]
        found = [(self.layer, a) for a in own if a in vars(self.layer)][:1]
        # Attention holds one setting for its four dense layers.
        shared = [f"{self.name}_{kind}", f"_{self.name}_{kind}"]
        return found + [(x, a) for x in self.inside[::-1] for a in shared if a in vars(x)]

    @property
    def obstacle(self):
        """Why Keras never applies a setting of it: "quantized", "lora", "frozen", else None."""
        if getattr(self.layer, "quantization_mode", None) not in (None, "float8"):
            return None if self.variable.trainable else "quantized"
        if self.variable.trainable:
            return None
        return "lora" if getattr(self.layer, "lora_enabled", False) else "frozen"


_Layer = keras.layers.Layer
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def weights_of(model):
    """The weights of all layers that are made to be trained, frozen ones too, each once.

    Raises:
        TypeError: If `model` is not a layer.
        ValueError: If a layer is not built, so that its weights do not exist yet.
    """
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"`model` must be a Keras model or layer. Received: {model!r}")
    found = {}
    for layer, inside in layers_of(model):
        if not layer.built:
            raise ValueError(
                f"The model must be built, so that its weights exist; call it on a batch, or "
                f"`model.build(input_shape)`. Received: {layer.name} ({type(layer).__name__}), "
                "which is not built"
            )
        for variable in _variables(layer):
            # A wrapper may track the weight of the layer it wraps; the path tells whose it is.
            if id(variable) not in found or variable.path.rpartition("/")[0] == layer.path:
                weight = Weight(layer, _name(layer, variable), variable, inside)
                found[id(variable)] = weight
    count = collections.Counter(weight.path for weight in found.values())
    return [
        dataclasses.replace(w, has_twin=True) if count[w.path] > 1 else w for w in found.values()
    ]


def layers_of(model):
    """Each layer of a model once, itself first, with the layers that enclose it."""
    inside: dict[int, list] = {}
    order = []

    def visit(layer, above):
        if layer in above:
            return
        if id(layer) not in inside:
            inside[id(layer)] = []
            order.append(layer)
        inside[id(layer)] += [a for a in above if a not in inside[id(layer)]]
        for child in layer._flatten_layers(include_self=False, recursive=False):
            visit(child, (*above, layer))

    visit(model, ())
    return [(layer, tuple(inside[id(layer)])) for layer in order]


def _variables(layer):
    if not layer.quantization_mode:
        return layer._trainable_variables
    # Quantization stops training the kernel, and adds scales and histories, which have no settings.
    return [v for v in layer.variables if name_of(layer, v)]


def _name(layer, variable):
    names = [n for n, value in vars(layer).items() if value is variable]
    # `Dense.kernel` is a property over `_kernel`.
    return name_of(layer, variable) or (names[0] if names else None)


def select(weights, where):
    """The weights that `where` means.

    Args:
        weights: A list of `Weight`.
        where: None for every kernel, depthwise and recurrent ones too; a layer class or a tuple
            of them, for the kernels and embedding tables of such layers and of those inside;
            a regular expression searched in the path; or a function
            `(layer, variable) -> bool`.

    Raises:
        TypeError: If `where` is nothing of that.
        ValueError: If it selects nothing, or is no regular expression, or needs a layout that is
            not known.
    """
    if where is None:
        chosen = [w for w in weights if w.is_kernel]
    elif isinstance(where, str):
        try:
            pattern = re.compile(where)
        except re.error as error:
            raise ValueError(
                f"`where` must be a regular expression ({error}). Received: where={where!r}"
            ) from None
        chosen = [w for w in weights if pattern.search(w.path)]
    elif _is_class(where):
        inside = [w for w in weights if any(isinstance(x, where) for x in (w.layer, *w.inside))]
        chosen = [w for w in inside if "unit" in w.layout.split()]  # an unknown layout raises
    elif callable(where) and not inspect.isclass(where) and not isinstance(where, _Layer):
        chosen = [w for w in weights if where(w.layer, w.variable)]
    else:
        raise TypeError(
            "`where` must be None, a layer class or a tuple of them, a regular expression, or a "
            f"function (layer, variable) -> bool. Received: where={where!r}"
        )
    if not chosen:
        paths = ", ".join(w.path for w in weights[:8]) + (", ..." if len(weights) > 8 else "")
        raise ValueError(
            f"`where` must select a weight; the model has {paths or 'none'}. "
            f"Received: where={where!r}"
        )
    return chosen


def _is_class(where):
    classes = where if isinstance(where, tuple) else (where,)
    return all(inspect.isclass(c) and issubclass(c, keras.layers.Layer) for c in classes)


def unique(paths):
    """The paths, of which the second of the same has ":2" at its end, and so on."""
    seen: dict[str, int] = {}
    for path in paths:
        seen[path] = seen.get(path, 0) + 1
        yield path if seen[path] == 1 else f"{path}:{seen[path]}"
