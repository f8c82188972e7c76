"""FactorSchedule: a callback that changes the factors of penalties while a model is trained."""

import numbers
import re
from collections.abc import Callable

import keras
from keras import ops

from keras_norms.models.describe import drop_in_of, title
from keras_norms.models.holders import renew_steps
from keras_norms.models.penalties import penalties_of, set_penalties
from keras_norms.models.selection import compiled
from keras_norms.models.weights import check_built, contents_of
from keras_norms.setting import ask, same
from keras_norms.warning import warn


class FactorSchedule(keras.callbacks.Callback):
    """Sets the factor of penalties when an epoch begins, as a function of the epoch.

    It does for penalties what `keras.callbacks.LearningRateScheduler` does for the learning rate.
    TensorFlow and JAX compile the factor into the train and test steps, so these are made anew when
    it changes, which costs a compilation. Training and validation then use exactly the new factor.
    After training, the last factor stays, and is saved with the model. There is a warning when
    training begins if all selected penalties are of frozen weights, which Keras leaves out.

    Args:
        schedule: A function that takes the epoch, an integer from 0, and returns the factor, not
            negative.
        where: A regular expression, searched in "path/of/the/kernel" for the penalty of a weight
            and in "path/of/the/layer/activity" for an activity penalty. None is all of them.
        field: The name of the factor, such as "l2" for an `L1L2`; None for penalties that have
            only one.

    Raises:
        TypeError: If `schedule` is not callable, `where` no string or pattern, or `field` no
            string; when an epoch begins, if `schedule` returns no number.
        ValueError: If `where` is no regular expression; when training begins, if the model is not
            built, as may be under TensorFlow, no penalty is selected, or one is not a regularizer
            of keras_norms or of Keras with that factor; when an epoch begins, if the factor is
            negative or not finite.

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
        where: str | re.Pattern[str] | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                f"`schedule` must be a function of the epoch. Received: schedule={schedule!r}"
            )
        if where is not None and not isinstance(where, (str, re.Pattern)):
            raise TypeError(f"`where` must be a regular expression. Received: where={where!r}")
        if field is not None and not isinstance(field, str):
            raise TypeError(f"`field` must be the name of a factor. Received: field={field!r}")
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
        """Checks that there are penalties with that factor, and warns if none of them counts."""
        check_built(self)
        found = self._find(contents_of(self.model))
        for penalty in found:
            _factor_of(penalty, self.field)
        if not any(penalty.is_counted for penalty in found):
            warn(
                "FactorSchedule selects only penalties of frozen weights, which Keras leaves out "
                f"of the loss: {', '.join(penalty.path for penalty in found)}. Make the layers "
                "trainable, and compile the model again, or select other penalties with `where`."
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the factor, and makes the compiled steps anew if it has changed."""
        factor = self.schedule(epoch)
        if getattr(factor, "shape", None) == ():  # of `keras.optimizers.schedules`, say
            factor = ops.convert_to_numpy(factor).item()
        if not isinstance(factor, numbers.Real):
            raise TypeError(f"`schedule` must return a number. Received: {factor!r}")
        contents, changed = contents_of(self.model), []
        for penalty in self._find(contents):  # all are made before one is set: it may be refused
            old = drop_in_of(penalty.regularizer)
            new = old.with_factor(_factor_of(penalty, self.field), factor)
            if not same(new, old):
                changed.append((penalty, new))
        if changed:
            set_penalties(contents, changed)
            renew_steps(layer for layer, _ in contents.layers)


def _factor_of(penalty, field):
    """The name of the field that holds the factor of a penalty."""
    regularizer = drop_in_of(penalty.regularizer)
    factors = ask(regularizer, "factors", ())
    chosen = [name for name in factors if field in (None, name)]
    if len(chosen) != 1:
        have = f"it has {', '.join(factors)}" if factors else "it has no factor"
        if len(ask(regularizer, "members", ())) > 1:
            have = "each of its terms has factors of its own; use an `L1L2`, or a single term"
        raise ValueError(
            "FactorSchedule is for regularizers with one factor, or with the one that `field` "
            f"names; {have}. Received: field={field!r} for {penalty.path} with {title(regularizer)}"
        )
    return chosen[0]
