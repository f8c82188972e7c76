"""What the package knows of Keras beyond its public interface, each with what breaks without it.

A test keeps Keras' private names out of every other module. When a new Keras changes one of these
facts, this is the only file to mend.
"""

import gc

import keras

_VERSION = tuple(map(int, keras.__version__.split(".")[:2]))

# From Keras 3.14, a layer divides what its activity regularizer returns by the batch size. Without
# this, `BatchMean` would divide twice, or not at all. `fit` cannot be asked: a probe fails while
# another function is traced.
DIVIDES_ACTIVITY_PENALTIES = _VERSION >= (3, 14)

# The trainer of JAX is stateless: it calls the model in a scope of its own, and reads the losses of
# the layers inside only. Without this, `audit` would not see that the penalty of the outermost
# model, and that of an RNN's cell, are lost. The trainer is known by what it can do.
HAS_STATELESS_TRAINER = hasattr(keras.Model, "compute_loss_and_updates")


def is_from_keras(obj):
    """Whether Keras itself defines the class of an object, or a class that is given.

    Without this, a user's class that is called `MaxNorm` would be taken for Keras' own.
    """
    cls = obj if isinstance(obj, type) else type(obj)
    return cls.__module__.partition(".")[0] == "keras"


def children_of(layer):
    """The layers directly inside a layer.

    The public `layers` is for models only; without this, no layer inside a custom layer would be
    found.
    """
    return layer._flatten_layers(include_self=False, recursive=False)


def trainable_variables_of(layer):
    """A layer's own variables that are made to be trained, whether it is frozen now or not.

    The public `trainable_variables` is empty for a frozen layer, and holds those of layers inside;
    without this, frozen weights would not be found.
    """
    return layer._trainable_variables


def activity_losses_of(layer):
    """The penalties of a layer's own outputs, from its last call.

    The public `losses` mixes them with those of weights and of the layers inside; without this,
    `audit` could not say which layer has which penalty.
    """
    return layer._get_own_losses()


def attribute_names(name):
    """The names under which a layer may hold what it shows as `name`.

    `Dense.kernel` is a property over `_kernel`, which with LoRA computes another tensor; attention
    holds the arguments for its four dense layers as `_kernel_constraint` and so on. Without this,
    neither the weight nor its setting would be found.
    """
    return name, f"_{name}"


def held_variable(layer, name):
    """The variable that a layer holds under a name, also where a property over it computes."""
    held = vars(layer)
    return next((held[n] for n in attribute_names(name)[::-1] if n in held), getattr(layer, name))


def quantization_of(layer):
    """The mode in which a layer is quantized, such as "int8", or None.

    Quantization stops training the kernel, and adds scales and histories as variables. Without
    this, those would be taken for weights that can have a setting.
    """
    return getattr(layer, "quantization_mode", None)


def is_quantized(layer):
    """Whether the weights of a layer are integers, which no optimizer trains.

    Under "float8" they are trained and constrained as they were. Without this, a setting that
    quantization took away would be called one that was set too late.
    """
    return quantization_of(layer) not in (None, "float8")


def has_lora(layer):
    """Whether LoRA trains two other weights in place of the layer's own.

    Without this, a constraint on the frozen kernel would be called one on a frozen layer, and its
    fix would be wrong.
    """
    return bool(getattr(layer, "lora_enabled", False))


def optimizers_in(optimizer):
    """The optimizers that update weights: those inside a LossScaleOptimizer or a MultiOptimizer.

    Without this, averages and accumulated gradients inside such a wrapper would not be seen.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(optimizer, "optimizers", [optimizer])


def averages_in(optimizer):
    """The variables of an optimizer, each with its moving average, if `use_ema=True` keeps some.

    No public name leads to the averages. Without this, `project` and `ProjectWeights` could not
    put them into their sets.
    """
    for each in optimizers_in(optimizer):
        averages = getattr(each, "_model_variables_moving_average", None)
        if averages:
            yield from zip(each._trainable_variables, averages, strict=True)


def models_with(layers):
    """Every model that is alive and has one of some layers, at any depth.

    A layer does not know the models that it is in. Without this, another model would go on with
    compiled steps that hold the old settings.
    """
    wanted = {id(layer) for layer in layers}
    for each in gc.get_objects():
        if not issubclass(type(each), keras.Model) or not vars(each).get("_layers"):
            continue  # no model, or one that is still being made
        if not wanted.isdisjoint(map(id, each._flatten_layers())):
            yield each
