"""What a model does with one batch: the penalties of its outputs, and its loss.

Nothing else of the model changes.
"""

import contextlib
import functools
import inspect

import keras
from keras import ops

from keras_norms.keras_internals import own_losses_of
from keras_norms.models.penalties import is_constraint, penalties_of


def on_batch(contents, x, y):
    """The penalty of each layer's outputs on a batch, and the loss if there are targets.

    The third is a list of the paths of penalties that a scope of JAX keeps, so that they are no
    numbers outside of it; then there is no loss either.
    """
    model, x, loss = contents.model, _as_batch(x), None
    penalised = [p for p in penalties_of(contents) if isinstance(p.owner, keras.layers.Layer)]
    with _unchanged(contents):
        with _noting_places([penalty.owner for penalty in penalised]) as places:
            outputs = model(x, training=False)
        activities, leaked = {}, []
        for path, layer in ((penalty.path, penalty.owner) for penalty in penalised):
            losses = own_losses_of(layer)
            noted = [losses[place] for place in places[id(layer)] if place < len(losses)]
            try:
                activities[path] = sum(float(ops.convert_to_numpy(each)) for each in noted)
            except TypeError:  # of JAX, about a tracer
                leaked.append(path)
        # A constraint in place of a penalty makes the loss a tensor.
        is_number = not any(is_constraint(each.activity_regularizer) for each, _ in contents.layers)
        if y is not None and is_number and not leaked:
            y = keras.tree.map_structure(ops.convert_to_tensor, y)
            # A user's `compute_loss` may be of a Keras that did not say whether it is training.
            takes = inspect.signature(model.compute_loss).parameters
            more = {"training": False} if "training" in takes else {}
            total = model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=None, **more)
            loss = float(ops.convert_to_numpy(total))
    return activities, loss, leaked


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
def _noting_places(layers):
    """Note which losses of each layer are penalties of its outputs, and not of its `add_loss`.

    Yields the places in the list of its losses, by the id of the layer.
    """
    places: dict[int, list[int]] = {id(layer): [] for layer in layers}
    regularizers = [layer.activity_regularizer for layer in layers]
    try:
        for layer in layers:
            layer.activity_regularizer = functools.partial(
                _noted, layer, layer.activity_regularizer, places[id(layer)]
            )
        yield places
    finally:
        for layer, regularizer in zip(layers, regularizers, strict=True):
            layer.activity_regularizer = regularizer


def _noted(layer, regularizer, places, outputs):
    places.append(len(own_losses_of(layer)))
    return regularizer(outputs)


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
    # A wrapped module of PyTorch, and those in it, remember whether they were called to train.
    wrapped = [each.module for each in layers if hasattr(getattr(each, "module", None), "modules")]
    modules = [module for outer in wrapped for module in outer.modules()]
    modes = [module.training for module in modules]
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
        ids = {id(state) for state in states}
        for metric in getattr(model, "metrics", []):
            if not ids.issuperset(map(id, metric.variables)):  # made by the loss of this batch
                metric.reset_state()
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
