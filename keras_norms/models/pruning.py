"""Pruning: sparse constraints for a whole model, and masks that keep the zeros of today."""

import math
from typing import Any

from keras_norms.config import fraction
from keras_norms.constraints import FixedMask, Sparse
from keras_norms.models.changes import Changes
from keras_norms.models.describe import chained, is_sparse, members_of, without_rates
from keras_norms.models.distributions import Distribution, counts_for, masks_in, numbers_of
from keras_norms.models.planning import planned
from keras_norms.models.setters import (
    project_weight,
    set_on_weights,
    warn_if_lost,
    warn_if_not_finite,
)
from keras_norms.models.weights import contents_of
from keras_norms.numerics.sparsity import kept


def prune(
    model: Any, sparsity: float, distribution: Distribution = "uniform", where: Any = None
) -> Changes:
    """Make a share of a model's weights zero, and keep it so during training.

    It sets a `Sparse` constraint on each weight: after each optimizer step, the largest entries
    stay, so which ones are zero may change. `freeze_zeros` fixes them, and `SparsitySchedule`
    prunes step by step. A constraint of another kind stays, and so does a `FixedMask`: they are
    applied first, and the entries are chosen from what they leave.

    Args:
        model: A built Keras model or layer.
        sparsity: The share of zeros over all these weights, from 0 to 1.
        distribution: How it is shared out. "uniform": every weight has this sparsity. "global": one
            threshold for all weights, so that those with large entries keep more; it can empty a
            layer. "erk", Erdős–Rényi-Kernel: the density of a weight is in proportion to the sum of
            its axis lengths over their product, and at most 1, so that small weights keep more.
        where: The weights, as for `constrain`; None is every kernel of known layout, the first and
            the last layer included.

    Returns:
        What `constrain` returns: for each weight, what it had and what it has now.

    Raises:
        ValueError: If `sparsity` is not in [0, 1], `distribution` is unknown, no weight matches, or
            the model is not built.
        TypeError: If an argument has another type, or a weight has a constraint that is neither
            of keras_norms, nor Keras' own, nor a subclass of ours.

    Source: Han et al., "Learning both Weights and Connections for Efficient Neural Networks",
    NIPS 2015; Evci et al., "Rigging the Lottery", ICML 2020 ("erk").

    Example:
    >>> import keras, keras_norms as kn
    >>> layers = [keras.layers.Dense(64, name="hidden"), keras.layers.Dense(10, name="head")]
    >>> model = keras.Sequential([keras.layers.Input((32,)), *layers], name="digits")
    >>> kn.prune(model, 0.9)
    digits/hidden/kernel (32, 64): Sparse(sparsity=0.9, axis=None)
    digits/head/kernel (64, 10): Sparse(sparsity=0.9, axis=None)
    """
    contents, weights, skipped = to_prune(model, where)
    counts = counts_for(weights, fraction("sparsity", sparsity), distribution)
    settings = []
    for weight, count in zip(weights, counts, strict=True):
        size = math.prod(weight.variable.shape)
        share = sparsity if kept(size, sparsity) == count else 1 - count / size
        settings.append((weight, _beside(weight, Sparse(share))))
    changes = _set(contents, settings, skipped)
    warn_if_lost(changes, "constraint")
    return changes


def freeze_zeros(model: Any, where: Any = None) -> Changes:
    """Keep the zeros of today: each weight that has some gets a `FixedMask`.

    A training step then costs next to nothing more, and the pattern is saved with the model. A
    sparse constraint is replaced, and the zeros of a mask stay; a constraint of another kind stays,
    and is applied first.

    Args:
        model: A built Keras model or layer.
        where: The weights, as for `constrain`; None is every kernel of known layout.

    Returns:
        What `constrain` returns. Weights without a zero are left as they are, and not listed.

    Raises:
        ValueError: If no weight matches, or none of those has a zero.
        TypeError: If `where` has another type, or for such constraints as `prune` refuses.

    Example:
    >>> import keras, keras_norms as kn
    >>> head = keras.layers.Dense(10, name="head")
    >>> model = keras.Sequential([keras.layers.Input((64,)), head], name="digits")
    >>> _ = kn.prune(model, 0.9)
    >>> kn.freeze_zeros(model)
    digits/head/kernel (64, 10): FixedMask(mask of shape (64, 10), 90.0% zeros), in place of
    Sparse(sparsity=0.9, axis=None)
    """
    contents, weights, skipped = to_prune(model, where)
    masks = [(weight, numbers_of(weight.variable) != 0) for weight in weights]
    masks = [(weight, mask) for weight, mask in masks if not mask.all()]
    if not masks:
        raise ValueError(
            f"No weight that `where` selects has a zero. Received: where={where!r}, which is "
            f"{', '.join(w.path for w in weights[:3])}{', ...' if len(weights) > 3 else ''}"
        )
    changes = set_masks(contents, masks, skipped)
    warn_if_lost(changes, "constraint")
    return changes


def to_prune(model, where):
    """The contents of a model, the weights that `where` names, and what is left out."""
    contents = contents_of(model)
    settings, skipped = planned(
        *(contents, Sparse(), where), to_units=True, unknown="warn", what="zeros"
    )
    for weight, sparse in settings:
        _beside(weight, sparse)  # raises if the weight has a constraint that must go first
    return contents, [weight for weight, _ in settings], skipped


def has_sparse(weight):
    """Whether a weight has a sparse constraint already."""
    return any(map(is_sparse, members_of(weight.variable.constraint)))


def set_masks(contents, masks, skipped=()):
    """Pairs of a weight and its mask, set as constraints: what `constrain` returns.

    What a mask of the weight has pruned already stays pruned.
    """
    settings = []
    for weight, mask in masks:
        for earlier in masks_in(members_of(weight.variable.constraint)):
            mask = mask & earlier
        settings.append((weight, _beside(weight, FixedMask(mask))))
    return _set(contents, settings, skipped)


def _set(contents, settings, skipped):
    changes = set_on_weights(contents, None, settings, skipped, "constraint")
    for weight, _ in settings:
        project_weight(weight.variable, without_rates)
    warn_if_not_finite(settings)
    return changes


def _beside(weight, sparse):
    """A sparse constraint after what the weight has already.

    Of other sparse ones, only masks that have pruned something stay, unless it is a mask itself.
    """
    others = []
    for each in members_of(weight.variable.constraint):
        has_pruned = any(not mask.all() for mask in masks_in([each]))
        if not is_sparse(each) or (has_pruned and not masks_in([sparse])):
            others.append(each)
    try:
        return chained([*others, sparse])
    except TypeError as error:
        raise TypeError(f"{weight.path} has a constraint that cannot be kept. {error}") from None
