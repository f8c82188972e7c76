"""NormHistory: a callback that records the norms of weights and the values of penalties."""

import math
from typing import Any

import keras

from keras_norms.config import flag
from keras_norms.constraints import Constraint
from keras_norms.models.describe import drop_in_of, is_sparse, part_of
from keras_norms.models.measures import (
    columns_of,
    excess_axes_of,
    excess_of,
    largest_singular_value,
    norms_of,
    penalty_in_loss,
    rounding_of,
)
from keras_norms.models.selection import check_where, select, without_settings
from keras_norms.models.weights import contents_of

# A group counts as on its bound if growing by this much would take it out of its set. It is more
# than the rounding of bfloat16, which is 0.4 %.
GROWTH = 1e-2


class NormHistory(keras.callbacks.Callback):
    """Records the norms of weights and the values of penalties after each epoch.

    They are in the `History` that `fit` returns. The keys, for each weight's path:

    - "mean_norm/path" and "max_norm/path": the mean and the largest norm of its units; the norm of
      the whole weight if it is elementwise or its layout is not known. If several weights have the
      same path, the second has ":2" after it, and so on.
    - "on_bound/path", if it has a constraint that is no sparse one: the share of its groups that
      would leave their set if they grew by 1 %. Near 1, the constraint decides the norms; at 0, it
      does nothing.
    - "zeros/path", if it has a sparse constraint: the share of its weights that are zero; likewise
      what `audit_columns` of a constraint of your own says, under its headings.
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
        TypeError, ValueError: If `where` is none, as for `keras_norms.constrain`.
        TypeError: If `logs` or `spectra` is neither True nor False.
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
        check_where(where)
        self.where = where
        self.logs = flag("logs", logs)
        self.spectra = flag("spectra", spectra)

    def on_train_begin(self, logs=None):
        """Finds the weights, if they exist already."""
        history = getattr(self.model, "history", None)
        if not self.logs and history is None:
            raise ValueError(
                "NormHistory needs a `History` to write to; use `logs=True`, or make the list by "
                "`keras.callbacks.CallbackList(callbacks, add_history=True, model=model)`. "
                f"Received: model={self.model.name} without a history"
            )
        self._weights = self._find() if self.model.built else None
        earlier = {} if history is None else history.history
        self._before = {key: len(values) for key, values in earlier.items()}
        self._epochs = 0

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
                f"before this one in the list.{without_settings(weights)} Received: where=None"
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
                self._write(key, [] if key in (logs or ()) else [value])
        self._epochs += 1

    def _write(self, key, numbers):
        """Puts numbers of this epoch into the history: none of what `History` finds in the logs.

        A second NormHistory in the list writes at the same place.
        """
        history = getattr(self.model, "history", None)
        if history is not None:
            place = self._before.get(key, 0) + self._epochs
            history.history.setdefault(key, [])[place:] = numbers


def _measures_of(weight, spectra):
    """The numbers of one weight, by the name that they have in the logs."""
    variable = weight.variable
    if not weight.has_norms:
        return {"mean_norm": math.nan, "max_norm": math.nan}
    norms = norms_of(variable, weight.norm_axes)
    if norms.size == 0:  # a weight without entries
        return {"mean_norm": math.nan, "max_norm": math.nan}
    measures = {"mean_norm": float(norms.mean()), "max_norm": float(norms.max())}
    bounding = part_of(variable.constraint, lambda member: not is_sparse(member))
    if bounding is not None:
        measures["on_bound"] = _share_on_bound(bounding, variable)
    measures |= columns_of(drop_in_of(variable.constraint), variable)
    penalty = penalty_in_loss(weight)
    if penalty is not None:
        measures["penalty"] = penalty
    if spectra and weight.is_kernel:
        measures["singular_value"] = largest_singular_value(weight)
    return measures


def _share_on_bound(constraint, variable):
    """The share of groups that would leave their set if they grew a little."""
    axes = excess_axes_of(constraint, len(variable.shape))
    excess = excess_of(constraint, variable, times=1 + GROWTH)
    # Keras' own constraints shrink feasible groups, by less than half the growth. Of ours, a single
    # entry may grow out of the set, or a single direction.
    is_ours = isinstance(constraint, Constraint)
    least = rounding_of(constraint, variable) if is_ours else GROWTH / 2
    return float((excess > least * norms_of(variable, axes)).mean())
