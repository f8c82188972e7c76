"""Weights of a model: each with its layer, its name there, and where its settings are held.

A *setting* is a constraint or a regularizer. Keras applies what a variable holds, and saves what
its layer holds; whoever sets, looks for or compares a setting of a built model needs both.
"""

import collections
import dataclasses
import functools
import os
import re
from typing import Any

import keras

from keras_norms.keras_internals import (
    QUANTIZED,
    attribute_names,
    children_of,
    has_lora,
    has_lost_value,
    hold_values,
    is_quantized,
    models_with,
    quantization_of,
    trainable_variables_of,
)
from keras_norms.models.layouts import has_layout, layout_of, name_of
from keras_norms.models.operators import DEPTHWISE
from keras_norms.numerics.groups import axes_of_layout
from keras_norms.numerics.precision import has_floats


@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight that is trainable, or was created so and is frozen now.

    Attributes:
        layer: The layer that owns it; of a recurrent layer, the cell.
        name: The layer's attribute that holds it; None if none does.
        variable: The `keras.Variable`.
        enclosing: The layers that enclose `layer`, the model first.
        label: Its path. If several weights have the same, the second has ":2" after it, and so on.
        has_twin: Whether another weight of the model has the same path, but for the model's name.
    """

    layer: Any
    name: str | None
    variable: Any
    enclosing: tuple[Any, ...]
    label: str
    has_twin: bool

    @property
    def path(self):
        """The variable's path, as in "block1/conv/kernel"."""
        return self.variable.path

    @functools.cached_property
    def layout(self):
        """One word per axis, "*" for an elementwise weight, None if the layout is not known.

        A vector of which nothing is known has one number per unit.
        """
        if len(self.variable.shape) == 0:
            return "*"
        try:
            return layout_of(self.layer, self.name)
        except ValueError:
            is_vector = len(self.variable.shape) == 1
            return "*" if is_vector and not has_layout(self.layer, self.name) else None

    @property
    def has_units(self):
        """Whether some axis tells units apart; False if the layout is not known."""
        return "unit" in (self.layout or "").split()

    @property
    def is_kernel(self):
        """Whether it has units and is no embedding table; False if the layout is not known."""
        words = (self.layout or "").split()
        return "unit" in words and "dim" not in words

    @property
    def norm_axes(self):
        """The axes that its norms sum over: those inside a unit's group; all without units."""
        if self.has_units:
            return axes_of_layout(self.layout)
        return tuple(range(len(self.variable.shape)))

    @property
    def outermost(self):
        """The model that was given, or the layer itself if that was."""
        return (*self.enclosing, self.layer)[0]

    @property
    def is_trained(self):
        """Whether Keras trains it: not if the outermost model is frozen, whatever is inside."""
        return self.variable.trainable and self.outermost.trainable

    @property
    def obstacle(self):
        """Why a setting is of no use to it; None if Keras applies it.

        "quantized", "lora" and "frozen" are weights that Keras does not train, and "no floats" are
        integers and complex numbers, which have no place in our sets.
        """
        if not self.variable.trainable and is_quantized(self.layer):
            return "quantized"
        if not has_floats(self.variable):
            return "no floats"
        if self.is_trained:
            return None
        return "lora" if has_lora(self.layer) else "frozen"

    @property
    def has_norms(self):
        """Whether it holds numbers whose norm is that of the weight: not integers, as quantized."""
        return self.obstacle not in ("quantized", "no floats")

    @property
    def value(self):
        """What the layer computes with: the variable, or with LoRA its sum with the two factors."""
        if self.name is None or self.obstacle != "lora":
            return self.variable
        return getattr(self.layer, self.name)

    @property
    def normalizer(self):
        """The `SpectralNormalization` that scales it in each training step; None if none does."""
        return next(
            (
                layer
                for layer in self.enclosing
                if isinstance(layer, keras.layers.SpectralNormalization)
                and getattr(layer, "kernel", None) is self.variable
            ),
            None,
        )

    def holders(self, kind):
        """The attributes from which Keras may save this weight's setting, the nearest layer first.

        Args:
            kind: "constraint" or "regularizer".

        Returns:
            A list of (layer, attribute name).
        """
        if self.name is None:
            return []
        name = self.name.removeprefix(QUANTIZED)
        stem = name.removesuffix("_kernel")
        own = [f"{name}_{kind}", f"{stem}_{kind}"]
        if isinstance(self.layer, DEPTHWISE) and name == "kernel":
            own = [f"depthwise_{kind}"]
        lora = _OF_LORA.fullmatch(name)
        if lora and kind == "regularizer":  # which Keras takes from the weight they stand in for
            own = [f"{lora[1]}_regularizer"]
        found = [(self.layer, a) for a in own if _may_hold(self.layer, a)][:1]
        # Attention holds one setting for its four dense layers.
        shared = attribute_names(f"{name}_{kind}")
        return found + [(x, a) for x in self.enclosing[::-1] for a in shared if _may_hold(x, a)]


def _may_hold(layer, attribute):
    """Whether an attribute holds a setting, its name or config, or None.

    A class of a user's may have the factor of a penalty there, which is no setting.
    """
    value = vars(layer).get(attribute)
    return attribute in vars(layer) and (
        value is None or callable(value) or isinstance(value, (str, dict))
    )


# The attributes of a variable that hold its settings, and the functions that set them.
SETTERS = {"constraint": "constrain", "regularizer": "regularize"}
KINDS = tuple(SETTERS)
_OF_LORA = re.compile("lora_(.+)_[ab]")


@dataclasses.dataclass(frozen=True)
class Contents:
    """What is in a model, found in one walk.

    Attributes:
        layers: Pairs of a layer and the layers that enclose it. Each layer is there once, the
            model first.
        weights: Each weight that is trainable, or was created so and is frozen now, once.
        unbuilt: The layers that were never called, whose weights do not exist.
    """

    layers: tuple[tuple[Any, tuple[Any, ...]], ...]
    weights: tuple[Weight, ...]
    unbuilt: tuple[Any, ...]

    @property
    def model(self):
        """The model itself."""
        return self.layers[0][0]

    @property
    def constrained(self):
        """The weights that have a constraint."""
        return [w for w in self.weights if w.variable.constraint is not None]


_PATHS = (str, os.PathLike)


def contents_of(model):
    """The layers and weights of a model, in one walk.

    Raises:
        TypeError: If `model` is not a layer.
        ValueError: If the model is not built, so that its weights do not exist yet, or if they have
            lost their values in a step of `fit` that failed.
    """
    if not isinstance(model, keras.layers.Layer):
        load = "; `keras.saving.load_model` reads a file" if isinstance(model, _PATHS) else ""
        raise TypeError(f"`model` must be a Keras model or layer{load}. Received: {model!r}")
    layers = _layers_of(model)
    owners: dict[int, tuple] = {}
    for layer, enclosing in layers:
        for variable in _own_variables(layer):
            # A wrapper may track the weight of the layer it wraps; the path tells whose it is.
            if id(variable) not in owners or variable.path.rpartition("/")[0] == layer.path:
                owners[id(variable)] = (layer, _name_in(layer, variable), variable, enclosing)
    unbuilt = tuple(layer for layer, _ in layers if not layer.built and _makes_weights(layer))
    if unbuilt and (not model.built or not owners):
        first = unbuilt[0]
        raise ValueError(
            f"The model must be built, so that its weights exist; call it on a batch, or "
            f"`model.build(input_shape)`. Received: {first.name} ({type(first).__name__}), "
            "which is not built"
        )
    _see_that_they_hold_values(model, [variable for _, _, variable, _ in owners.values()])
    own = {i: v.path.removeprefix(f"{model.name}/") for i, (_, _, v, _) in owners.items()}
    total = collections.Counter(own.values())
    seen: collections.Counter[str] = collections.Counter()
    weights = []
    for i, (layer, name, variable, enclosing) in owners.items():
        path = variable.path
        seen[path] += 1
        label = path if seen[path] == 1 else f"{path}:{seen[path]}"
        weights.append(Weight(layer, name, variable, enclosing, label, total[own[i]] > 1))
    return Contents(tuple(layers), tuple(weights), unbuilt)


def _see_that_they_hold_values(model, variables):
    """Let the variables of a model hold their values, which JAX takes out of them in `fit`.

    Raises:
        ValueError: If nothing has them any more.
    """
    hold_values(model)
    if any(map(has_lost_value, variables)):  # another model, which has this one in it, is trained
        for each in models_with([model]):
            hold_values(each)
    lost = next(filter(has_lost_value, variables), None)
    if lost is not None:
        raise ValueError(
            "The weights have no values any more, because a step of `fit` failed, and Keras does "
            "not put them back under JAX; make the model anew, and load its weights there. "
            f"Received: {model.name}, whose {lost.path} has none"
        )


def is_built(model):
    """Whether its weights exist. Keras never calls a model built that has no `call`, as a GAN."""
    if model.built:
        return True
    try:
        return bool(contents_of(model).weights)
    except ValueError:
        return False


def check_built(callback):
    """Refuse a model without weights.

    Raises:
        ValueError: If the model is not built.
    """
    model = callback.model
    if not is_built(model):
        raise ValueError(
            f"{type(callback).__name__} needs the weights when training begins, and under "
            "TensorFlow, `fit` makes them later. Begin the model with `keras.Input`, or call "
            f"`model.build(input_shape)` before. Received: {model.name}, which is not built"
        )


def _makes_weights(layer):
    """Whether building the layer may make weights of its own.

    A layer without a `build` makes none, and the build of a Sequential is that of its layers.
    """
    return type(layer).build not in (keras.layers.Layer.build, keras.Sequential.build)


def _layers_of(model):
    """Each layer of a model once, itself first, with the layers that enclose it."""
    order, left, children = [], [], {}

    def visit(layer, above):
        order.append(layer)
        # A layer may hold one that encloses it.
        children[id(layer)] = [c for c in children_of(layer) if c is not layer and c not in above]
        for child in children[id(layer)]:
            if id(child) not in children:
                visit(child, (*above, layer))
        left.append(layer)

    visit(model, ())
    enclosing: dict[int, dict] = {id(layer): {} for layer in order}
    for layer in reversed(left):  # each layer after all that enclose it
        for child in children[id(layer)]:
            for each in (*enclosing[id(layer)].values(), layer):
                enclosing[id(child)].setdefault(id(each), each)
    return [(layer, tuple(enclosing[id(layer)].values())) for layer in order]


def _own_variables(layer):
    """Its trainable variables, and those that quantization has taken out of them."""
    own = trainable_variables_of(layer)
    if quantization_of(layer) is None:
        return own
    others = {id(v) for v in own}
    return [*own, *(v for v in layer.variables if id(v) not in others and _is_weight(layer, v))]


def _is_weight(layer, variable):
    """Whether a variable that is not trained is the weight itself, and no scale or history."""
    if name_of(layer, variable):
        return True
    return any(n.startswith(QUANTIZED) for n, value in vars(layer).items() if value is variable)


def _name_in(layer, variable):
    """The attribute that holds a variable: one with a layout if there is one, else the first."""
    names = [n for n, value in vars(layer).items() if value is variable]
    if name_of(layer, variable) or not names:
        return name_of(layer, variable)
    public = names[0].lstrip("_")  # as Keras' base classes hold it, and show it by a property
    return public if hasattr(type(layer), public) else names[0]
