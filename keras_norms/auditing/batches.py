"""What a model does with one batch: the penalties of its outputs, and its loss.

Nothing else of the model changes.
"""

import contextlib
import dataclasses
import functools
import inspect

import keras
import numpy as np
from keras import ops

from keras_norms.keras_internals import has_loss, own_losses_of, put_back_losses
from keras_norms.models.penalties import is_constraint, penalties_of


@dataclasses.dataclass
class OnBatch:
    """What a model does with one batch.

    Attributes:
        activities: The penalty of each layer's outputs, by "path/activity".
        loss: The loss with all penalties; None without targets, or if one of them has no number.
        leaked: The paths of penalties that a scope of JAX keeps, so that they are no numbers
            outside of it.
        errors: What penalties raised, by their paths.
    """

    activities: dict[str, float] = dataclasses.field(default_factory=dict)
    loss: float | None = None
    leaked: set[str] = dataclasses.field(default_factory=set)
    errors: dict[str, Exception] = dataclasses.field(default_factory=dict)


def on_batch(contents, x, y):
    """What a model does with a batch, whose targets may be None.

    Raises:
        TypeError: If `x` is no batch.
        ValueError: If there are targets, and the model has no loss, or computing it fails.
    """
    model, x, found = contents.model, _as_batch(x), OnBatch()
    penalised = [p for p in penalties_of(contents) if isinstance(p.owner, keras.layers.Layer)]
    with _unchanged(contents):
        with _noting_places(penalised, found.errors) as places:
            outputs = model(x, training=False)
        for path, layer in ((penalty.path, penalty.owner) for penalty in penalised):
            losses = own_losses_of(layer)
            noted = [losses[place] for place in places[path] if place < len(losses)]
            try:
                values = [ops.convert_to_numpy(each) for each in noted]
            except TypeError:  # of JAX, about a tracer
                found.leaked.add(path)
                continue
            if path not in found.errors:
                found.activities[path] = sum(float(np.sum(each)) for each in values)
        # A constraint in place of a penalty makes the loss a tensor.
        is_number = not any(is_constraint(each.activity_regularizer) for each, _ in contents.layers)
        if y is not None and is_number and not (found.leaked or found.errors):
            if not has_loss(model) and not model.losses:
                raise ValueError(
                    "`y` needs a model with a loss; pass one to `compile`, or leave `y` out. "
                    f"Received: {model.name}, which was compiled without a loss"
                )
            y = keras.tree.map_structure(ops.convert_to_tensor, y)
            # A user's `compute_loss` may be of a Keras that did not say whether it is training.
            takes = inspect.signature(model.compute_loss).parameters
            more = {"training": False} if "training" in takes else {}
            try:
                total = model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=None, **more)
            except Exception as error:  # of a loss, or of TensorFlow, which adds one dtype only
                raise ValueError(
                    f"The loss of {model.name} cannot be computed for this batch: {error}"
                ) from error
            found.loss = float(ops.convert_to_numpy(total))
    return found


def _as_batch(x):
    """A batch as tensors.

    Raises:
        TypeError: If it is none, but a generator of batches, or an input without values.
    """
    if not any(isinstance(each, keras.KerasTensor) for each in keras.tree.flatten(x)):
        try:
            return keras.tree.map_structure(ops.convert_to_tensor, x)
        except Exception:  # each backend refuses in its own way what is no array
            pass
    raise TypeError(
        "`x` must be one batch of inputs: an array or tensor, or a structure of them; of a "
        f"generator or data set of batches, `next(iter(x))[0]`. Received: x={x!r}"
    )


@contextlib.contextmanager
def _noting_places(penalties, errors):
    """Note which losses of a layer are penalties of its outputs, and not of its `add_loss`.

    What a penalty raises is put into `errors`, and the batch goes on.

    Yields the places in the list of the layer's losses, by the path of the penalty.
    """
    places: dict[str, list[int]] = {penalty.path: [] for penalty in penalties}
    try:
        for penalty in penalties:
            noted = functools.partial(_noted, penalty, places[penalty.path], errors)
            penalty.owner.activity_regularizer = noted
        yield places
    finally:
        for penalty in penalties:
            penalty.owner.activity_regularizer = penalty.regularizer


def _noted(penalty, places, errors, outputs):
    try:
        found = penalty.regularizer(outputs)
    except Exception as error:  # of a class of the user's, or an axis that is not there
        errors[penalty.path] = error
        return ops.zeros(())
    places.append(len(own_losses_of(penalty.owner)))
    return found


@contextlib.contextmanager
def _unchanged(contents):
    """Puts back what a call of the model and a loss change besides their results."""
    model, layers = contents.model, [layer for layer, _ in contents.layers]
    states = [*model.non_trainable_variables, *getattr(model, "metrics_variables", [])]
    for layer in layers:
        # Those of a recurrent layer, which Keras does not list among the variables.
        held = keras.tree.flatten(getattr(layer, "states", ()))
        states += [each for each in held if isinstance(each, keras.Variable)]
    before = [ops.copy(state.value) for state in states]
    losses = [own_losses_of(layer) for layer in layers]
    # A wrapped module of PyTorch, and those in it, remember whether they were called to train.
    wrapped = [each.module for each in layers if hasattr(getattr(each, "module", None), "modules")]
    modules = [module for outer in wrapped for module in outer.modules()]
    modes = [module.training for module in modules]
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
        for layer, of_last_call in zip(layers, losses, strict=True):
            put_back_losses(layer, of_last_call)
        ids = {id(state) for state in states}
        for metric in getattr(model, "metrics", []):
            if not ids.issuperset(map(id, metric.variables)):  # made by the loss of this batch
                metric.reset_state()
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
