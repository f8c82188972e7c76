"""Attach: constraints and regularizers for a model that is built already, pretrained or not.

A setting goes to the variable, which Keras applies, and to the layer, which Keras saves. The
compiled step functions are made anew, because those of TensorFlow and JAX hold the old settings.
"""

import dataclasses
import warnings

from keras_norms.constraints import Constraint
from keras_norms.constraints import get as get_constraint
from keras_norms.models.averages import project_averages
from keras_norms.models.describe import title
from keras_norms.models.holders import apply_settings, lost_on_save, renew_steps
from keras_norms.models.measures import projected
from keras_norms.models.weights import contents_of, select
from keras_norms.regularizers import Regularizer
from keras_norms.regularizers import get as get_regularizer


@dataclasses.dataclass(frozen=True)
class Change:
    """What was set on one weight.

    Attributes:
        path: The weight's path.
        shape: Its shape.
        layout: One word per axis, "*" if it is elementwise, None if it is not known.
        before: The constraint or regularizer that it had, or None.
        after: The one that it has now, or None.
        saved: Whether `model.save` and `keras.saving.load_model` keep it.
    """

    path: str
    shape: tuple[int, ...]
    layout: str | None
    before: object
    after: object
    saved: bool

    def __str__(self):
        line = f"{self.path} {self.shape}: {title(self.after)}"
        if self.before is not None and self.before != self.after:
            line += f", in place of {title(self.before)}"
        return line if self.saved else f"{line}, lost when the model is saved"


class Changes(tuple):
    """A tuple of `Change`, printed as one line each."""

    __slots__ = ()

    def __str__(self):
        return "\n".join(map(str, self))


def constrain(model, constraint, where=None, axis="unit"):
    """Constrain weights of a built model, and put them into the set at once.

    By default every kernel gets one norm per unit, with the axes that its layer needs; for
    embedding tables, use `where=keras.layers.Embedding`. You may call it before or after `compile`
    and `fit`, and from a callback when an epoch begins or ends. Other models that have a layer of
    this one use the new constraint, too. A constraint that a weight has already is replaced.

    Args:
        model: A built Keras model or layer.
        constraint: A constraint of keras_norms or its name; with `axis="own"` also one of Keras,
            or any callable. None removes constraints, and needs `where`.
        where: None for every kernel, depthwise and recurrent ones too; a layer class or a tuple
            of them, for the kernels and embedding tables of such layers and of the layers that
            they enclose; a regular expression searched in the weight's path, such as
            "block1/.*kernel" (names that Keras numbers by itself change from run to run); or a
            function `(layer, variable) -> bool`.
        axis: "unit" finds the axes of one norm per unit for each weight; "own" keeps the axis of
            the constraint.

    Returns:
        A tuple of `Change`, which says for each weight what it had, what it has now, and whether
        a saved model keeps it. You also get a warning about those that are not kept: an attention
        layer, for example, has one attribute for four kernels with different axes, so that it
        loses constraints with groups.

    Raises:
        ValueError: If no weight matches; if a selected weight is frozen, quantized or replaced by
            LoRA, so that Keras would never constrain it; if the model is not built; if a layout is
            not known; if `axis="unit"` and the constraint has an axis of its own; or if
            `constraint` is None and there is no `where`.
        TypeError: If an argument has another type.

    Example:
    >>> import keras, keras_norms as kn
    >>> model = keras.Sequential(
    ...     [
    ...         keras.layers.Input((28, 28, 1)),
    ...         keras.layers.Conv2D(8, 3, name="conv"),
    ...         keras.layers.Flatten(),
    ...         keras.layers.Dense(10, name="head"),
    ...     ],
    ...     name="digits",
    ... )
    >>> print(kn.constrain(model, kn.MaxNorm(1.0)))
    digits/conv/kernel (3, 3, 1, 8): MaxNorm(max_value=1.0, axis=(0, 1, 2), ord=2)
    digits/head/kernel (5408, 10): MaxNorm(max_value=1.0, axis=0, ord=2)
    """
    if axis not in ("unit", "own"):
        raise ValueError(f'`axis` must be "unit" or "own". Received: axis={axis!r}')
    constraint = get_constraint(constraint)
    if axis == "unit" and constraint is not None:
        _check_default_axis(constraint)
    contents = contents_of(model)
    settings = []
    for weight in _selected(contents, constraint, where):
        setting = constraint
        if axis == "unit" and constraint is not None:
            setting = _for_units(constraint, weight)
        elif isinstance(constraint, Constraint):
            constraint.group_axes(len(weight.variable.shape))  # raises before anything is changed
        settings.append((weight, setting))
    changes = _set(contents, settings, "constraint")
    for weight, setting in settings:
        if setting is not None:
            _project(weight.variable)
    return changes


def regularize(model, regularizer, where=None):
    """Penalise weights of a built model.

    Args:
        model: A built Keras model or layer.
        regularizer: A regularizer, its name, or any callable. None removes regularizers, and
            needs `where`.
        where: As for `constrain`; None is every kernel.

    Returns:
        What `constrain` returns.

    Raises:
        ValueError: As for `constrain`, and for a `BatchMean` or another regularizer of activations,
            because weights have no batch.
        TypeError: If an argument has another type.

    Example:
    >>> import keras, keras_norms as kn
    >>> model = keras.Sequential([keras.layers.Dense(3, name="head")], name="digits")
    >>> model.build((None, 4))
    >>> print(kn.regularize(model, kn.L2(1e-4)))
    digits/head/kernel (4, 3): L2(l2=0.0001)
    """
    regularizer = get_regularizer(regularizer)
    if getattr(regularizer, "for_activations", False):
        raise ValueError(
            "`regularizer` must be for weights, which have no batch. "
            f"Received: regularizer={regularizer}"
        )
    contents = contents_of(model)
    weights = _selected(contents, regularizer, where)
    settings = [(weight, _for_units(regularizer, weight)) for weight in weights]
    return _set(contents, settings, "regularizer")


def project(model):
    """Put every constrained weight of a model into its set, exactly, and its moving average too.

    Keras applies constraints after optimizer steps only. Initial, loaded and frozen weights, and
    the moving averages of an optimizer with `use_ema=True`, may therefore be outside their sets. A
    constraint of keras_norms is applied by its `project`, any other by a call.

    Args:
        model: A built Keras model or layer.

    Returns:
        The paths of the projected weights, a list.

    Raises:
        ValueError: If no weight of the model has a constraint, or the model is not built.

    Example:
    >>> import keras, keras_norms as kn
    >>> layer = keras.layers.Dense(1, kernel_constraint=kn.MaxNorm(1.0), name="head")
    >>> layer.build((None, 2))
    >>> _ = layer.kernel.assign([[3.0], [4.0]])  # Keras does not constrain what is assigned
    >>> kn.project(layer)
    ['head/kernel']
    >>> print(keras.ops.convert_to_numpy(layer.kernel))
    [[0.6]
     [0.8]]
    """
    constrained = contents_of(model).constrained
    if not constrained:
        raise ValueError(
            "No weight of the model has a constraint; `keras_norms.constrain` sets one. "
            f"Received: model={model.name}"
        )
    for weight in constrained:
        _project(weight.variable)
    project_averages(getattr(model, "optimizer", None))
    return [w.path for w in constrained]


def _project(variable):
    variable.assign(projected(variable.constraint, variable))


def _selected(contents, setting, where):
    """The weights that `where` selects; an error if Keras would never apply the setting to one."""
    if setting is None and where is None:
        raise ValueError(
            'Removing needs an explicit `where`, for example `where=""`, which is every weight. '
            "Received: None and where=None"
        )
    chosen = select(contents.weights, where)
    refused = [w for w in chosen if w.obstacle] if setting is not None else []
    if refused:
        more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise ValueError(
            f"Keras would never apply it, because {_WHY[refused[0].obstacle]}. "
            "`where=lambda layer, variable: variable.trainable and "
            'variable.name.endswith("kernel")` selects the kernels that are trained. '
            f"Received: {setting} for {refused[0].path}{more}"
        )
    return chosen


_WHY = {
    "frozen": "the weight is frozen; set `trainable = True` on its layer, or leave it out",
    "lora": "LoRA trains other weights in its place; leave it out",
    "quantized": "the weight is quantized; constrain the model first, and quantize it last",
}


def _check_default_axis(constraint):
    if not isinstance(constraint, Constraint):
        raise TypeError(
            '`axis="unit"` is for the constraints of keras_norms, whose axis can be changed; use '
            f'one of them, or `axis="own"`. Received: {constraint!r}'
        )
    if not constraint.has_default_axis:
        raise ValueError(
            "The constraint has an axis of its own. Leave it out, for one norm per unit "
            '(`axis="unit"`), or keep it (`axis="own"`). '
            f"Received: {constraint} and axis='unit'"
        )


def _for_units(setting, weight):
    """The setting with one group for each unit of the weight, if it has groups."""
    if not getattr(setting, "has_groups", False):
        return setting
    layout = weight.find_layout()
    if layout == "*":
        raise ValueError(
            f"{weight.path} has one number per unit, hence no norm per unit; use "
            '`keras_norms.Clip`, leave it out by `where=".*kernel"`, or give an axis and '
            f'`axis="own"`. Received: {setting}'
        )
    return setting.for_layout(layout)


def _set(contents, settings, kind):
    """Set each setting on its weight, make the compiled steps anew, and say what was done."""
    before = [getattr(weight.variable, kind) for weight, _ in settings]
    for weight, setting in settings:
        _try(setting, weight, kind)
    apply_settings(contents.weights, settings, kind)
    renew_steps(layer for layer, _ in contents.layers)
    lost = {id(w.variable) for w in lost_on_save(contents.model, [w for w, _ in settings], kind)}
    changes = Changes(
        Change(
            path=weight.path,
            shape=tuple(weight.variable.shape),
            layout=weight.layout,
            before=old,
            after=setting,
            saved=id(weight.variable) not in lost,
        )
        for (weight, setting), old in zip(settings, before, strict=True)
    )
    if lost:
        paths = [change.path for change in changes if not change.saved]
        warnings.warn(
            f"The {kind} of {', '.join(paths)} will be lost when the model is saved, because no "
            "config can hold it. After loading, set it again, by the same call.",
            stacklevel=3,
        )
    return changes


def _try(setting, weight, kind):
    """Refuse what cannot be applied, before anything is changed."""
    if setting is None or isinstance(setting, (Constraint, Regularizer)):
        return  # it checked its parameters when it was made
    try:
        result = setting(weight.variable)
    except Exception as error:
        # A function of the user's, or a constraint of Keras, fails in its own way on each backend.
        raise ValueError(
            f"{title(setting)} cannot be applied to {weight.path}, of shape "
            f"{tuple(weight.variable.shape)}: {error}"
        ) from error
    wanted = tuple(weight.variable.shape) if kind == "constraint" else ()
    found = tuple(getattr(result, "shape", ()))
    if found != wanted:
        must = "keep the shape" if kind == "constraint" else "return one number, of shape"
        raise ValueError(
            f"{title(setting)} must {must} {wanted} for {weight.path}. Received: shape={found}"
        )
