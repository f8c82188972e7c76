"""SparsitySchedule: a callback that prunes a model step by step while it is trained."""

from typing import Any

import numpy as np

from keras_norms.config import fraction, whole
from keras_norms.models.describe import is_sparse, members_of
from keras_norms.models.distributions import (
    Distribution,
    check_distribution,
    masks_for,
    masks_in,
)
from keras_norms.models.measures import worst_excess
from keras_norms.models.project_weights import ProjectWeights
from keras_norms.models.pruning import has_sparse, set_masks, to_prune
from keras_norms.models.selection import Skipped, check_where
from keras_norms.models.setters import warn_if_lost
from keras_norms.models.weights import check_built, contents_of
from keras_norms.warning import warn


class SparsitySchedule(ProjectWeights):
    """Prunes weights step by step, as epochs begin.

    At epoch `t`, from `begin_epoch` to `end_epoch`, the sparsity is

        final + (initial - final) * (1 - (t - begin) / (end - begin)) ** 3

    so that most weights go early, when there are many to choose from. Whenever it changes, the
    largest entries are kept, and a `FixedMask` holds the zeros until the next change and after the
    training. A training step then costs next to nothing more. Entries that a mask has pruned never
    come back, also in a second `fit`: to begin anew, remove the masks by
    `keras_norms.constrain(model, None, where=...)`.

    A constraint of another kind stays: it is applied before the mask. Like `ProjectWeights`, this
    callback also puts zeros into the moving averages of `use_ema=True`. With an
    `ema_overwrite_frequency`, Keras writes averages into the weights after it has applied the mask;
    then zeros are missing until the next step or the end of the epoch. The target lives in this
    callback, so a run that is resumed at an epoch goes on as if it had not stopped: the masks are
    made of the weights and the epoch alone. TensorFlow and JAX compile the training step anew
    whenever the masks change. If the training ends before `end_epoch`, you get a warning.

    From the start of the training, each weight without a sparse constraint has a mask of ones. A
    sparse constraint that a weight has stays until `begin_epoch`. A callback that looks for
    constraints, such as `NormHistory`, comes after this one in the list.
    `EarlyStopping(restore_best_weights=True)` comes before it, with `start_from_epoch=end_epoch`:
    else it may restore weights from before the last mask. These are then put to zero, and you get a
    warning. If it comes after this callback, nobody notices.

    Args:
        final_sparsity: The share of zeros from `end_epoch` on.
        begin_epoch: The epoch, from 0, at which pruning begins.
        end_epoch: The epoch from which on the sparsity is final, not before `begin_epoch`.
        initial_sparsity: The share of zeros at `begin_epoch`.
        distribution: How zeros are shared out over the weights, as for `prune`.
        where: The weights, as for `constrain`; None is every kernel of known layout.

    Attributes:
        skipped: The weights that are left out, such as frozen ones, and why, as `prune` returns
            them; from the start of the training. If you give `where`, you get a warning as well.

    Raises:
        ValueError: If a sparsity is not in [0, 1], the final one is below the initial one,
            `distribution` is unknown, an epoch is negative or before `begin_epoch`, or the initial
            sparsity would never be held; when training begins, if no weight matches, or the model
            is not built, as may be under TensorFlow.
        TypeError: If an argument has another type; when training begins, for such constraints as
            `prune` refuses.

    Source: Zhu, Gupta, "To prune, or not to prune", ICLR Workshop 2018.

    Example:
    >>> import keras, numpy as np, keras_norms as kn
    >>> layer = keras.layers.Dense(10)
    >>> model = keras.Sequential([keras.layers.Input((64,)), layer])
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((8, 64)), np.ones((8, 10))
    >>> schedule = kn.SparsitySchedule(0.9, begin_epoch=1, end_epoch=3)
    >>> _ = model.fit(x, y, epochs=4, callbacks=[schedule], verbose=0)
    >>> print(np.mean(layer.get_weights()[0] == 0))
    0.9
    """

    def __init__(
        self,
        final_sparsity: float,
        begin_epoch: int,
        end_epoch: int,
        initial_sparsity: float = 0.0,
        distribution: Distribution = "uniform",
        where: Any = None,
    ) -> None:
        super().__init__()
        self.final_sparsity = fraction("final_sparsity", final_sparsity)
        self.initial_sparsity = fraction("initial_sparsity", initial_sparsity)
        self.begin_epoch = whole(0)("begin_epoch", begin_epoch)
        self.end_epoch = whole(0)("end_epoch", end_epoch)
        if self.end_epoch < self.begin_epoch:
            raise ValueError(
                "`end_epoch` must not be before `begin_epoch`. "
                f"Received: begin_epoch={begin_epoch}, end_epoch={end_epoch}"
            )
        if self.final_sparsity < self.initial_sparsity:
            raise ValueError(
                "`final_sparsity` must not be below `initial_sparsity`, because pruned entries do "
                f"not come back. Received: final_sparsity={final_sparsity}, "
                f"initial_sparsity={initial_sparsity}"
            )
        if self.begin_epoch == self.end_epoch and self.initial_sparsity not in (
            0,
            self.final_sparsity,
        ):
            raise ValueError(
                "`initial_sparsity` needs a `begin_epoch` before `end_epoch`, or it is never held. "
                f"Received: initial_sparsity={initial_sparsity}, begin_epoch={begin_epoch}, "
                f"end_epoch={end_epoch}"
            )
        check_distribution(distribution)
        check_where(where)
        self.distribution = distribution
        self.where = where
        self.skipped: list[Skipped] = []
        self._held: float | None = None
        self._epoch: int | None = None

    def sparsity(self, epoch: int) -> float:
        """The share of zeros that the schedule asks for at an epoch; 0 before `begin_epoch`."""
        if epoch < self.begin_epoch:
            return 0.0
        if epoch >= self.end_epoch:
            return self.final_sparsity
        left = 1 - (epoch - self.begin_epoch) / (self.end_epoch - self.begin_epoch)
        return self.final_sparsity + (self.initial_sparsity - self.final_sparsity) * left**3

    def on_train_begin(self, logs=None):
        """Gives a mask of ones to weights without a sparse constraint."""
        check_built(self)
        self._contents, self._weights, self.skipped = to_prune(self.model, self.where)
        if self.skipped and self.where is not None:
            warn(f"SparsitySchedule leaves out {'; '.join(map(str, self.skipped))}")
        bare = [w for w in self._weights if not has_sparse(w)]
        if bare:  # setting nothing would compile the training step anew, too
            set_masks(self._contents, [(w, np.ones(tuple(w.variable.shape), bool)) for w in bare])
        self._held = self._epoch = None  # the weights may be others now
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        """Chooses the entries that stay, if the sparsity has changed."""
        self._epoch, sparsity = epoch, self.sparsity(epoch)
        # Another callback may have set a constraint in the place of a mask.
        is_held = sparsity == self._held and all(map(has_sparse, self._weights))
        if epoch >= self.begin_epoch and not is_held:
            masks = masks_for(self._weights, sparsity, self.distribution)
            changes = set_masks(self._contents, list(zip(self._weights, masks, strict=True)))
            if self._held is None:  # once, not at every change
                warn_if_lost(changes, "constraint")
            self._held = sparsity
        super().on_epoch_begin(epoch, logs)

    def on_train_end(self, logs=None):
        """Warns if the training ends before the schedule, or with weights from before the masks."""
        restored = self._held is not None and any(
            worst_excess(each, w.variable) > 0
            for w in contents_of(self.model).constrained
            for each in members_of(w.variable.constraint)
            if is_sparse(each)
        )
        super().on_train_end(logs)
        if self._epoch is None:
            return
        if restored:
            warn(
                "The weights were changed after the last step, and do not fit their masks, which "
                "have put them to zero now. If `EarlyStopping` restored them, pass "
                f"`start_from_epoch={self.end_epoch}` to it."
            )
        reached = self.sparsity(self._epoch)
        lacks_zeros = not self._has_pruned_enough()
        if lacks_zeros and reached < self.final_sparsity:
            warn(
                f"The training ended with epoch {self._epoch} at a sparsity of "
                f"{reached:.3g}; the schedule reaches {self.final_sparsity:g} "
                f"at epoch {self.end_epoch}. Go on with `fit(initial_epoch={self._epoch + 1}, "
                f"epochs={self.end_epoch + 1})`, or choose an earlier `end_epoch`. "
                "Epochs count from 0."
            )
        elif lacks_zeros and self._held is not None:
            warn(
                "Something has put other constraints in the place of the masks in the last epoch, "
                "so that weights have too few zeros. Call `keras_norms.prune` for the zeros, and "
                "`keras_norms.freeze_zeros` to keep them."
            )

    def _has_pruned_enough(self):
        """Whether the masks have as many zeros as they are to have, as in a second `fit`."""
        zeros, size = 0, 0
        for weight in self._weights:
            kept = np.ones(tuple(weight.variable.shape), bool)
            for mask in masks_in(members_of(weight.variable.constraint)):
                kept = kept & mask
            zeros, size = zeros + kept.size - kept.sum(), size + kept.size
        return zeros >= self.final_sparsity * size - len(self._weights)  # each number is rounded

    def project(self):
        """Puts weights and averages into their sets, once there are masks."""
        if contents_of(self.model).constrained:  # not so in `evaluate` before the first `fit`
            super().project()
