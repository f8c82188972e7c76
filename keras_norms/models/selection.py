"""Selection: which weights a `where` names, and why a setting cannot go to some of them.

What is left out is never passed over in silence: each such weight has a reason and a fix.
"""

import dataclasses
import inspect
import re

import keras

from keras_norms.keras_internals import is_from_keras
from keras_norms.models.expressions import layer_expression
from keras_norms.models.layouts import has_layout, layout_of, usual_words
from keras_norms.models.weights import SETTERS


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A weight that keeps what it has, or a layer whose weights do not exist yet.

    Attributes:
        path: Its path.
        shape: The weight's shape; () for a layer.
        reason: Why, as a clause.
        fix: What to do about it, or "" if nothing needs to be done.
    """

    path: str
    shape: tuple[int, ...]
    reason: str
    fix: str

    def __str__(self):
        return f"{self.path} {self.shape}: {self.reason}" + (f"; {self.fix}" if self.fix else "")


def select(weights, where, unbuilt=()):
    """The weights that `where` names, those without a known layout too.

    Args:
        weights: The weights of a model, a sequence of `Weight`.
        unbuilt: Layers whose weights do not exist yet, for the error message.
        where: None for every kernel; a layer class or a tuple of them, for the kernels and
            embedding tables of such layers and of the layers that they enclose; a regular
            expression, searched in the path; or a function `(layer, variable) -> bool`.

    Raises:
        TypeError: If `where` is none of these.
        ValueError: If no weight matches, or if `where` is no regular expression.
    """
    check_where(where)
    if where is None:
        chosen = [w for w in weights if w.layout is None or w.is_kernel]
    elif isinstance(where, (str, re.Pattern)):
        pattern = compiled(where)
        chosen = [w for w in weights if pattern.search(w.path)]
    elif _is_class(where):
        of_class = [
            w for w in weights if any(isinstance(x, where) for x in (w.layer, *w.enclosing))
        ]
        chosen = [w for w in of_class if w.layout is None or w.has_units]
        if of_class and not chosen:
            raise ValueError(
                f"`where` names layers that have no kernel or embedding table, only "
                f"{_some(of_class)}; name weights by a regular expression, such as "
                f'where=r"{re.escape(of_class[0].path)}$". Received: where={_title(where)}'
            )
    else:
        chosen = [w for w in weights if where(w.layer, w.variable)]
    if not chosen:
        raise ValueError(
            f"`where` must select a weight; the model has {_some(weights)}{_hint(where, unbuilt)}. "
            f"Received: where={_title(where)}"
        )
    return chosen


def check_where(where):
    """Refuse what can be no `where`, whatever the model.

    Raises:
        TypeError, ValueError: As `select` does.
    """
    if where is None or _is_class(where):
        return
    if isinstance(where, (str, re.Pattern)):
        compiled(where)
    elif callable(where) and not inspect.isclass(where) and not isinstance(where, _Layer):
        _check_takes_two(where)
    else:
        raise TypeError(
            "`where` must be None, a layer class or a tuple of them, a regular expression, or a "
            f"function (layer, variable) -> bool{_instead_of(where)}. "
            f"Received: where={where!r}"
        )


def unbuilt_in(contents, where):
    """The layers that were never called and that `where` may mean: all, if it is a function."""
    layers = contents.unbuilt
    if isinstance(where, (str, re.Pattern)):
        pattern = compiled(where)
        return [layer for layer in layers if pattern.search(f"{layer.path or layer.name}/")]
    if where is not None and _is_class(where):
        enclosing = {id(layer): outer for layer, outer in contents.layers}
        return [x for x in layers if any(isinstance(y, where) for y in (x, *enclosing[id(x)]))]
    return list(layers)


def _hint(where, unbuilt):
    """What to write for what was probably meant, if nothing was selected."""
    if unbuilt:
        return f"; {unbuilt[0].name} was never called, so it has no weights yet"
    if where is None:
        return "; None is every kernel, and where=keras.layers.Embedding is every table"
    if isinstance(where, str) and inspect.isclass(getattr(keras.layers, where, None)):
        return f"; a string is searched in these paths, and where=keras.layers.{where} is a class"
    return ""


_Layer = keras.layers.Layer


def _is_class(where):
    classes = where if isinstance(where, tuple) and where else (where,)
    return all(inspect.isclass(c) and issubclass(c, _Layer) for c in classes)


def _check_takes_two(where):
    """Refuse a function that does not take a layer and a variable, before Python does."""
    try:
        inspect.signature(where).bind(None, None)
    except TypeError:
        raise TypeError(
            "`where` must be a function of two arguments, the layer and the variable. "
            f"Received: where={where!r}"
        ) from None
    except ValueError:  # a function of C has no signature
        pass


def compiled(where):
    """The regular expression of a `where`.

    Raises:
        ValueError: If it is none.
    """
    try:
        return re.compile(where)
    except re.error as error:
        raise ValueError(
            f"`where` must be a regular expression ({error}). Received: where={where!r}"
        ) from None


def _instead_of(where):
    """What to write in place of a layer, or of a list of layers or names."""
    parts = list(where) if isinstance(where, (list, tuple, set)) else [where]
    if parts and all(isinstance(part, _Layer) for part in parts):
        names = "|".join(re.escape(part.path or part.name) for part in parts)
        return f'; for these layers, where=r"^({names})/"'
    if parts and all(isinstance(part, str) for part in parts):
        return f'; for these names, where=r"(^|/)({"|".join(map(re.escape, parts))})/"'
    if parts and all(inspect.isclass(part) for part in parts):
        return "; a tuple of classes, not a list"
    return ""


def _title(where):
    if _is_class(where) and not isinstance(where, tuple):
        return where.__name__
    return repr(where)


def _some(weights, most=8):
    """The paths of some weights, for a message."""
    paths = ", ".join(w.path for w in weights[:most])
    return (f"{paths}, ..." if len(weights) > most else paths) or "none"


def left_out(weight, reason, fix=""):
    """The entry for a weight that is left out."""
    return Skipped(weight.path, tuple(weight.variable.shape), reason, fix)


OBSTACLES = {
    "frozen": ("the weight is frozen", "set `trainable = True` on its layer first"),
    "lora": ("LoRA trains other weights in its place", ""),
    "quantized": ("the weight is quantized", "{verb} the model first, and quantize it last"),
    "no floats": ("the weight does not hold floating-point numbers", ""),
}


def without_settings(weights):
    """What a message about a model without settings says more, if quantization took them away."""
    if any(weight.obstacle == "quantized" for weight in weights):
        return " Quantization has taken away those of the quantized weights, which are not trained."
    return ""


def never_applied(weight, kind):
    """A weight that Keras does not train, so that it would never apply a setting of this kind."""
    reason, fix = OBSTACLES[weight.obstacle]
    return left_out(weight, reason, fix.format(verb=SETTERS[kind]))


def normalized(weight):
    """A weight that a wrapper sets in each training step, whatever a constraint made of it."""
    return left_out(
        weight,
        f"{weight.normalizer.name} scales it to a spectral norm of 1 in each training step",
        "constrain the layer without `SpectralNormalization`",
    )


def never_called(layer):
    """The entry for a layer that was never called, whose weights do not exist."""
    reason = "this layer was never called, so it has no weights yet"
    return Skipped(layer.path or layer.name, (), reason, "call it, and then set this again")


def table(weight):
    """An embedding table, which is selected only if it is named."""
    return left_out(
        weight,
        "an embedding table is no kernel",
        f'name it: where=r"^{re.escape(weight.path)}$"',
    )


def without_layout(weight):
    """A weight of a layer that no table knows: nothing is guessed from its rank."""
    if weight.name is None:
        return left_out(
            weight,
            f"no attribute of {weight.layer.name} holds it, so it can have no layout",
            _with_axis(weight),
        )
    if not has_layout(weight.layer, weight.name):
        reason = f"no layout is known for {type(weight.layer).__name__}"
        return left_out(weight, reason, register_call(weight))
    try:
        layout_of(weight.layer, weight.name)
    except ValueError as error:  # it does not fit the weight
        reason = str(error)
    # A layout of an EinsumDense follows from its equation; one that is registered would be for all.
    is_of_keras = is_from_keras(weight.layer)
    return left_out(weight, reason, _with_axis(weight) if is_of_keras else register_call(weight))


def _with_axis(weight):
    return f'name it, with an axis: where=r"^{re.escape(weight.path)}$", axis="own"'


def without_units(weight, kind, needs_units):
    """A weight without groups: an elementwise one, such as a bias, or a factor of LoRA."""
    if weight.layout == "...":
        return left_out(
            weight,
            "LoRA multiplies it by another weight, so it has no units of its own",
            'give an axis and `axis="own"`',
        )
    if not needs_units:
        return left_out(
            weight,
            "it has one number per unit, so it is no kernel",
            'name it in `keras_norms.constrain`, with `keras_norms.Sparse` and `axis="own"`',
        )
    entries = {
        "constraint": "limit its entries with `keras_norms.Clip`",
        "regularizer": "penalise its entries with `keras_norms.L1` or `L2`",
    }
    return left_out(
        weight,
        "it has one number per unit, so each group would be a single entry",
        f'{entries[kind]}, or give an axis and `axis="own"`',
    )


def register_call(weight):
    """Python that says that the last axis of a weight tells units apart, to be corrected."""
    layer = layer_expression(weight.outermost, weight.layer)
    cls = type(weight.layer)
    name = cls.__name__ if layer is None else f"type({layer})"
    known = f"from {cls.__module__} import {cls.__name__}; " if layer is None else ""
    words = usual_words(len(weight.variable.shape))
    call = f'kn.register_layout({name}, {weight.name}="{words}")'
    return f'{known}{call}  # if its last axis is "unit"'
