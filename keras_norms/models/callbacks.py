"""Callbacks: project weights where Keras does not, record norms, and change factors."""

import dataclasses
import numbers
import re
from collections.abc import Callable
from typing import Any

import keras

from keras_norms.constraints import Constraint
from keras_norms.models.attach import project
from keras_norms.models.describe import drop_in_of
from keras_norms.models.holders import renew_steps
from keras_norms.models.measures import (
    columns_of,
    excess_axes_of,
    excess_of,
    largest_singular_value,
    norms_of,
    penalty_in_loss,
    rounding_of,
)
from keras_norms.models.penalties import penalties_of
from keras_norms.models.selection import compiled, select
from keras_norms.models.weights import contents_of

# A group counts as on its bound if growing by this much would take it out of its set. It is more
# than the rounding of bfloat16, which is 0.4 %.
GROWTH = 1e-2


class ProjectWeights(keras.callbacks.Callback):
    """Puts constrained weights into their sets where Keras does not.

    Keras applies constraints after optimizer steps only. This callback projects the weights and
    their moving averages, exactly, whenever training, an epoch, evaluation or prediction begins or
    ends. That puts into their sets:

    - initial and loaded weights;
    - the moving averages of `use_ema=True`, which Keras takes before it applies the constraint;
    - averages that `keras.callbacks.SwapEMAWeights` puts into the model, whichever of the two
      callbacks comes first in the list.

    A second `fit` with moving averages then works under JAX, too, where Keras alone leaves weights
    and averages in one buffer.

    Under TensorFlow, a model that is not built yet has its weights after the first step only.

    Raises:
        ValueError: When training begins, or at the end of the epoch if the model has no weights
            before, if no weight of the model has a constraint.

    Example:
    >>> import keras, numpy as np, keras_norms as kn
    >>> layer = keras.layers.Dense(1, kernel_constraint=kn.MaxNorm(1.0), kernel_initializer="ones")
    >>> model = keras.Sequential([keras.layers.Input((4,)), layer])
    >>> model.compile(keras.optimizers.SGD(0.0, use_ema=True), "mse")
    >>> x, y = np.ones((2, 4)), np.ones((2, 1))
    >>> _ = model.fit(x, y, callbacks=[kn.ProjectWeights()], verbose=0)
    >>> print(keras.ops.convert_to_numpy(layer.kernel)[:, 0])
    [0.5 0.5 0.5 0.5]
    """

    def on_train_begin(self, logs=None):
        """Projects initial and loaded weights."""
        self._project_if_built()

    def on_train_end(self, logs=None):
        """Projects the averages that Keras has put into the model."""
        self.project()

    def on_epoch_begin(self, epoch, logs=None):
        """Projects weights that another callback has set."""
        self._project_if_built()

    def on_epoch_end(self, epoch, logs=None):
        """Projects averages, which other callbacks may swap in."""
        self.project()

    def on_test_begin(self, logs=None):
        """Projects, as at the end of an epoch."""
        self._project_if_built()

    def on_test_end(self, logs=None):
        """Projects, as at the end of an epoch."""
        self.project()

    def on_predict_begin(self, logs=None):
        """Projects, as at the end of an epoch."""
        self._project_if_built()

    def on_predict_end(self, logs=None):
        """Projects, as at the end of an epoch."""
        self.project()

    def project(self):
        """Puts the constrained weights of the model into their sets, and their averages."""
        project(self.model)

    def _project_if_built(self):
        if self.model.built:
            self.project()


class NormHistory(keras.callbacks.Callback):
    """Records the norms of weights and the values of penalties after each epoch.

    They are in the `History` that `fit` returns. The keys, for each weight's path:

    - "mean_norm/path" and "max_norm/path": the mean and the largest norm of its units; the norm of
      the whole weight if it is elementwise or its layout is not known. If several weights have the
      same path, the second has ":2" after it, and so on.
    - "on_bound/path", if it has a constraint: the share of its groups that would leave their set
      if they grew by 1 %. Near 1, the constraint decides the norms; at 0, it does nothing.
    - "zeros/path", if its constraint is a sparse one: the share of its weights that are zero.
    - "penalty/path", if it has a regularizer and is not frozen: what that adds to the loss.
    - "singular_value/path", for kernels and with `spectra=True`: the largest singular value of its
      units, as an upper bound that is at most 0.1 % above it. It takes some 10 products of the
      smaller Gram matrix of the kernel with itself.

    Args:
        where: The weights, as for `keras_norms.constrain`; None is every weight that has a
            constraint or a regularizer.
        logs: Whether the logs have them, too, which Keras hands to all callbacks: `TensorBoard` and
            `CSVLogger` write them, if they come after this one in the list, and the progress bar
            shows them.
        spectra: Whether to record the largest singular values.

    Raises:
        ValueError: When training begins, if nothing records: a training loop of your own needs
            `keras.callbacks.CallbackList(..., add_history=True)`; or if there is no such weight.
            Under TensorFlow, a model that is not built yet has none before the end of the epoch.

    Example:
    >>> import keras, numpy as np, keras_norms as kn
    >>> layer = keras.layers.Dense(2, kernel_constraint=kn.MaxNorm(1.0), name="head")
    >>> model = keras.Sequential([keras.layers.Input((4,)), layer], name="digits")
    >>> model.compile(keras.optimizers.SGD(1.0), "mse")
    >>> x, y = np.ones((2, 4)), np.full((2, 2), 100.0)
    >>> history = model.fit(x, y, callbacks=[kn.NormHistory()], verbose=0)
    >>> {key: round(float(values[-1]), 3) for key, values in history.history.items() if "/" in key}
    {'mean_norm/digits/head/kernel': 1.0, 'max_norm/digits/head/kernel': 1.0,
     'on_bound/digits/head/kernel': 1.0}
    """

    def __init__(self, where: Any = None, logs: bool = False, spectra: bool = False) -> None:
        super().__init__()
        self.spectra = spectra
        self.where = where
        self.logs = logs

    def on_train_begin(self, logs=None):
        """Finds the weights, if they exist already."""
        if not self.logs and getattr(self.model, "history", None) is None:
            raise ValueError(
                "NormHistory needs a `History` to write to; use `logs=True`, or make the list by "
                "`keras.callbacks.CallbackList(callbacks, add_history=True, model=model)`. "
                f"Received: model={self.model.name} without a history"
            )
        self._weights = self._find() if self.model.built else None

    def _find(self):
        weights = contents_of(self.model).weights
        if self.where is not None:
            return select(weights, self.where)
        chosen = [
            w
            for w in weights
            if w.variable.constraint is not None or w.variable.regularizer is not None
        ]
        if not chosen:
            raise ValueError(
                "No weight of the model has a constraint or a regularizer; `where` selects others, "
                "as in NormHistory(where=keras.layers.Dense), and a callback that sets some comes "
                "before this one in the list. Received: where=None"
            )
        return chosen

    def on_epoch_end(self, epoch, logs=None):
        """Records the norms and penalties."""
        if self._weights is None:
            self._weights = self._find()
        for weight in self._weights:
            for name, value in _measures_of(weight, self.spectra).items():
                key = f"{name}/{weight.label}"
                if self.logs:
                    logs[key] = value
                else:
                    self.model.history.history.setdefault(key, []).append(value)


def _measures_of(weight, spectra):
    """The numbers of one weight, by the name that they have in the logs."""
    variable = weight.variable
    norms = norms_of(variable, weight.norm_axes)
    measures = {"mean_norm": float(norms.mean()), "max_norm": float(norms.max())}
    if variable.constraint is not None:
        axes = excess_axes_of(variable.constraint, len(variable.shape))
        excess = excess_of(variable.constraint, variable, times=1 + GROWTH)
        # Keras' own constraints shrink feasible groups, by less than half the growth. Of ours, a
        # single entry may grow out of the set, or a single direction.
        is_ours = isinstance(variable.constraint, Constraint)
        least = rounding_of(variable.constraint, variable) if is_ours else GROWTH / 2
        outside = excess > least * norms_of(variable, axes)
        measures["on_bound"] = float(outside.mean())
        measures |= columns_of(drop_in_of(variable.constraint), variable)
    penalty = penalty_in_loss(variable)
    if penalty is not None:
        measures["penalty"] = penalty
    if spectra and weight.is_kernel:
        measures["singular_value"] = largest_singular_value(weight)
    return measures


class FactorSchedule(keras.callbacks.Callback):
    """Sets the factor of penalties when an epoch begins, as a function of the epoch.

    It does for penalties what `keras.callbacks.LearningRateScheduler` does for the learning rate.
    TensorFlow and JAX compile the factor into the train and test steps, so these are made anew when
    it changes, which costs a compilation. Training and validation then use exactly the new factor.
    After training, the last factor stays.

    Args:
        schedule: A function that takes the epoch, an integer from 0, and returns the factor, not
            negative.
        where: A regular expression, searched in "path/of/the/kernel" for the penalty of a weight
            and in "path/of/the/layer/activity" for an activity penalty. None is all of them.
        field: The name of the factor, such as "l2" for an `L1L2`; None for penalties that have
            only one.

    Raises:
        TypeError: If `schedule` is not callable, or `where` no string or pattern; when an epoch
            begins, if `schedule` returns no number.
        ValueError: If `where` is no regular expression; when training begins, if the model is not
            built, as may be under TensorFlow, no penalty is selected, or one is not a regularizer
            of keras_norms with that factor; when an epoch begins, if the factor is negative or not
            finite.

    Example:
    >>> import keras, numpy as np, keras_norms as kn
    >>> layer = keras.layers.Dense(1, kernel_regularizer=kn.L2(0.0))
    >>> model = keras.Sequential([keras.layers.Input((4,)), layer])
    >>> model.compile("sgd", "mse")
    >>> warm_up = kn.FactorSchedule(lambda epoch: min(1e-3, 1e-4 * epoch))
    >>> x, y = np.ones((2, 4)), np.ones((2, 1))
    >>> _ = model.fit(x, y, epochs=3, callbacks=[warm_up], verbose=0)
    >>> layer.kernel_regularizer
    L2(l2=0.0002)
    """

    def __init__(
        self,
        schedule: Callable[[int], float],
        where: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                f"`schedule` must be a function of the epoch. Received: schedule={schedule!r}"
            )
        if where is not None and not isinstance(where, (str, re.Pattern)):
            raise TypeError(f"`where` must be a regular expression. Received: where={where!r}")
        self.schedule = schedule
        self.where = where if where is None else compiled(where)
        self.field = field

    def _find(self, contents):
        found = penalties_of(contents)
        chosen = [p for p in found if self.where is None or self.where.search(p.path)]
        if not chosen:
            paths = ", ".join(p.path for p in found) or "none"
            raise ValueError(
                f"`where` must select a penalty; the model has {paths}. "
                f"Received: where={self.where and self.where.pattern!r}"
            )
        return chosen

    def on_train_begin(self, logs=None):
        """Checks that there are penalties with that factor."""
        check_built(self)
        for penalty in self._find(contents_of(self.model)):
            _factor_of(penalty, self.field)

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the factor, and makes the compiled steps anew if it has changed."""
        factor = self.schedule(epoch)
        if not isinstance(factor, numbers.Real):
            raise TypeError(f"`schedule` must return a number. Received: {factor!r}")
        changed = False
        contents = contents_of(self.model)
        for penalty in self._find(contents):
            old = penalty.regularizer
            new = dataclasses.replace(old, **{_factor_of(penalty, self.field): factor})
            if new != old:
                penalty.set(new)
                changed = True
        if changed:
            renew_steps(layer for layer, _ in contents.layers)


def check_built(callback):
    """Refuse a model without weights.

    Raises:
        ValueError: If the model is not built.
    """
    model = callback.model
    if not model.built:
        raise ValueError(
            f"{type(callback).__name__} needs the weights when training begins, and under "
            "TensorFlow, `fit` makes them later. Begin the model with `keras.Input`, or call "
            f"`model.build(input_shape)` before. Received: {model.name}, which is not built"
        )


def _factor_of(penalty, field):
    """The name of the field that holds the factor of a penalty."""
    regularizer = penalty.regularizer
    factors = getattr(regularizer, "factors", ())
    chosen = [name for name in factors if field in (None, name)]
    if len(chosen) != 1:
        have = f"it has {', '.join(factors)}" if factors else "it has no factor"
        raise ValueError(
            "FactorSchedule is for regularizers of keras_norms with one factor, or with the one "
            f"that `field` names; {have}. Received: field={field!r} for {penalty.path} with "
            f"{regularizer}"
        )
    return chosen[0]
