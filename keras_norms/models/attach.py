"""Attach: constraints and regularizers for a model that is built already, pretrained or not.

What they choose for each weight, `setters.py` sets.
"""

from typing import Any, Literal

import keras

from keras_norms.config import one_of
from keras_norms.constraints import Constraint
from keras_norms.constraints import get as get_constraint
from keras_norms.models.averages import project_averages
from keras_norms.models.changes import Changes
from keras_norms.models.describe import checked_drop_in_of, title
from keras_norms.models.planning import planned
from keras_norms.models.selection import without_settings
from keras_norms.models.setters import (
    project_weight,
    set_on_weights,
    warn_if_lost,
    warn_if_not_finite,
)
from keras_norms.models.weights import contents_of
from keras_norms.regularizers import Regularizer
from keras_norms.regularizers import get as get_regularizer
from keras_norms.setting import ask


def constrain(
    model: Any,
    constraint: Any,
    where: Any = None,
    axis: Literal["unit", "own"] = "unit",
    unknown: Literal["warn", "raise"] = "warn",
) -> Changes:
    """Constrain weights of a built model, and put them into the set at once.

    By default every kernel gets one norm per unit, with the axes that its layer needs; for
    embedding tables, use `where=keras.layers.Embedding`. You may call it before or after `compile`
    and `fit`, and from a callback when an epoch begins or ends. Other models that have a layer of
    this one use the new constraint, too. A constraint that a weight has already is replaced.

    Weights that cannot have the constraint stay as they are, and the result lists them: those that
    Keras does not train or constrain, weights that are not floating-point numbers, kernels in a
    `SpectralNormalization`, biases if the constraint has groups, and weights of layers whose layout
    is not known. No layout is guessed; `keras_norms.register_layout` says what it is.

    Args:
        model: A built Keras model or layer.
        constraint: A constraint, ours or Keras', or its name; with `axis="own"` also any callable.
            None removes constraints, and needs `where`.
        where: None for every kernel of known layout, depthwise and recurrent ones too; a layer
            class or a tuple of them, for the kernels and embedding tables of such layers and of
            the layers that they enclose; a regular expression searched in the weight's path, such
            as "block1/.*kernel" (automatic names such as `dense_1` count the layers made before in
            the same process); or a function `(layer, variable) -> bool` of each weight, biases too,
            and the layer that owns it, such as the cell of an LSTM.
        axis: "unit" finds the axes of one norm per unit for each weight; "own" keeps the axis of
            the constraint.
        unknown: What to do about weights whose layout would be needed and is not known: "warn"
            leaves them out, with one warning; "raise" raises a ValueError.

    Returns:
        A tuple of `Change`, which says for each weight what it had, what it has now, and whether
        a saved model keeps it; its attribute `skipped` says what was left out, and why. You also
        get a warning about settings that are not kept: an attention layer, for example, has one
        attribute for four kernels with different axes, so that it loses constraints with groups.

    Raises:
        ValueError: If no weight matches, or none of those that match can have the constraint; if
            the model is not built; if a layout is not known and `unknown="raise"`; if
            `axis="unit"` and the constraint has an axis of its own; or if `constraint` is None and
            there is no `where`.
        TypeError: If an argument has another type, such as a penalty for a constraint.

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
    >>> kn.constrain(model, kn.MaxNorm(1.0))
    digits/conv/kernel (3, 3, 1, 8): MaxNorm(max_value=1.0, axis=(0, 1, 2), ord=2),
        from its layout "y x in unit"
    digits/head/kernel (5408, 10): MaxNorm(max_value=1.0, axis=0, ord=2)
    """
    _check_axis("MaxNorm", axis)
    _check_order(model, constraint)
    constraint = get_constraint(constraint)
    if isinstance(constraint, keras.regularizers.Regularizer):
        raise TypeError(
            "`constraint` must be a constraint; `keras_norms.regularize` sets penalties. "
            f"Received: constraint={title(constraint)}"
        )
    if axis == "unit" and constraint is not None:
        constraint = checked_drop_in_of(constraint)
        _check_axis_can_change(constraint)
        _check_default_axis("constraint", constraint)
    contents = contents_of(model)
    settings, skipped = planned(
        contents, constraint, where, to_units=axis == "unit", unknown=unknown
    )
    changes = set_on_weights(contents, constraint, settings, skipped, "constraint")
    warn_if_lost(changes, "constraint")
    if constraint is not None:
        for weight, _ in settings:
            project_weight(weight.variable)
        warn_if_not_finite(settings)
    return changes


def regularize(
    model: Any,
    regularizer: Any,
    where: Any = None,
    axis: Literal["unit", "own"] = "unit",
    unknown: Literal["warn", "raise"] = "warn",
) -> Changes:
    """Penalise weights of a built model.

    Args:
        model: A built Keras model or layer.
        regularizer: A regularizer, its name, or any callable. None removes regularizers, and
            needs `where`.
        where: As for `constrain`; None is every kernel of known layout.
        axis: As for `constrain`; it matters for penalties that have an axis.
        unknown: As for `constrain`.

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
    _check_axis("GroupLasso", axis)
    _check_order(model, regularizer)
    regularizer = get_regularizer(regularizer)
    if isinstance(regularizer, keras.constraints.Constraint):
        raise TypeError(
            "`regularizer` must be a penalty; `keras_norms.constrain` sets constraints. "
            f"Received: regularizer={title(regularizer)}"
        )
    if ask(regularizer, "for_activations", False):
        raise ValueError(
            "`regularizer` must be for weights, which have no batch. "
            f"Received: regularizer={regularizer}"
        )
    if axis == "unit" and isinstance(regularizer, Regularizer):
        _check_default_axis("regularizer", regularizer)
    contents = contents_of(model)
    settings, skipped = planned(
        *(contents, regularizer, where),
        to_units=axis == "unit",
        unknown=unknown,
        kind="regularizer",
    )
    changes = set_on_weights(contents, regularizer, settings, skipped, "regularizer")
    warn_if_lost(changes, "regularizer")
    return changes


def project(model: Any) -> list[str]:
    """Put every constrained weight of a model into its set, exactly, and its moving average too.

    Keras applies constraints after optimizer steps only. Initial, loaded and frozen weights, and
    the moving averages of an optimizer with `use_ema=True`, may therefore be outside their sets.
    Averages are looked for in the optimizer that the model is compiled with, in no other one. A
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
    return project_with(model, lambda constraint: constraint)


def project_with(model, what):
    """What `project` does, with as much of each constraint as `what` returns of it."""
    contents = contents_of(model)
    constrained = contents.constrained
    if not constrained:
        raise ValueError(
            "No weight of the model has a constraint; `keras_norms.constrain` sets one."
            f"{without_settings(contents.weights)} Received: model={model.name}"
        )
    for weight in constrained:
        project_weight(weight.variable, what)
    project_averages(getattr(model, "optimizer", None), what)
    return [w.path for w in constrained]


def _check_axis(example, axis):
    """Refuse what is neither word; axes belong to the setting, `example` or another one."""
    if axis is None or isinstance(axis, (int, list, tuple)):
        raise ValueError(
            '`axis` must be "unit" or "own". The axes inside a group are given to the setting: '
            f'{example}(axis={axis!r}) and `axis="own"`. Received: axis={axis!r}'
        )
    one_of("unit", "own")("axis", axis)


def _check_order(model, setting):
    if isinstance(setting, keras.layers.Layer):
        raise TypeError(
            "The model comes first, then what to set on it. Received: "
            f"{title(model)}, and then {setting.name}"
        )


def _check_axis_can_change(constraint):
    if not isinstance(constraint, Constraint):
        raise TypeError(
            '`axis="unit"` is for constraints whose axis can be changed; use one of keras_norms or '
            f'of Keras, or `axis="own"`. Received: {title(constraint)}'
        )


def _check_default_axis(kind, setting):
    if not setting.has_default_axis:
        raise ValueError(
            f"The {kind} has an axis of its own. Leave it out, so that each unit is one group "
            '(`axis="unit"`), or keep it (`axis="own"`). '
            f"Received: {setting} and axis='unit'"
        )
