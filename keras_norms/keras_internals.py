"""Every fact about Keras that is not public, or depends on its version, and what breaks without it.

A test keeps Keras' private names out of every other module. When a new Keras changes one of these
facts, this is the only file to mend.
"""

import collections
import concurrent.futures
import contextlib
import gc
import itertools
import random

import keras
import numpy as np

_VERSION = tuple(map(int, keras.__version__.split(".")[:2]))

# From Keras 3.14 on, a layer divides what its activity regularizer returns by the batch size.
# Without this, `BatchMean` would divide twice, or not at all. The version decides, because calling
# a layer to see what it does fails while another function is traced, as in `fit`.
DIVIDES_ACTIVITY_PENALTIES = _VERSION >= (3, 14)

# The trainer of JAX is stateless: it calls the model in a scope of its own, and reads the losses of
# the layers that the model encloses only. Without this, `audit` would not see that the activity
# penalties of the outermost model are lost. No other trainer has this method.
HAS_STATELESS_TRAINER = hasattr(keras.Model, "compute_loss_and_updates")

# The trainers of JAX and TensorFlow trace the loop of an RNN in a scope of its own, from which no
# loss gets out. Without this, `audit` would not see that `fit` fails at the penalty of a cell. The
# trainer of PyTorch, which runs each step, has neither attribute.
TRACES_LOOPS = HAS_STATELESS_TRAINER or hasattr(keras.Model, "distribute_strategy")


def is_from_keras(obj):
    """Whether Keras itself defines a class, or the class of an object.

    Without this, a user's class that is called `MaxNorm` would be taken for Keras' own.
    """
    cls = obj if isinstance(obj, type) else type(obj)
    return cls.__module__.partition(".")[0] == "keras"


def children_of(layer):
    """The layers that a layer encloses directly.

    The public `layers` is for models only. Without this, no layer that a custom layer encloses
    would be found.
    """
    return layer._flatten_layers(include_self=False, recursive=False)


def trainable_variables_of(layer):
    """A layer's own variables that are trainable, or were created so and are frozen now.

    The public `trainable_variables` is empty for a frozen layer, and includes those of enclosed
    layers. Without this, frozen weights would not be found. The scales of "float8" are trainable in
    name only: their gradient is their next value.
    """
    thawed = [v for v in layer._non_trainable_variables if v.trainable]
    found = [*layer._trainable_variables, *thawed]
    return [v for v in found if not getattr(v, "overwrite_with_gradient", False)]


def own_losses_of(layer):
    """The penalties of a layer's own outputs, and what its own `add_loss` added, in its last call.

    The public `losses` mixes them with the penalties of weights and of enclosed layers. Without
    this, `audit` could not say which layer has which penalty.
    """
    return layer._get_own_losses()


def put_back_losses(layer, losses):
    """Give a layer the losses of its own again that `own_losses_of` returned.

    Without this, the losses of the batch of an `audit` would be those of the model after it.
    """
    layer._losses[:] = losses


def has_loss(model):
    """Whether a compiled model has a loss of its own, beside penalties and what `add_loss` adds.

    Without this, `audit` would say that the loss is 0 under JAX, and fail elsewhere.
    """
    is_keras = type(model).compute_loss is keras.Model.compute_loss
    return not is_keras or model._compile_loss is not None


def calls_in(model):
    """How often the graph of a functional model reaches each of its layers, by the id of the layer.

    A layer in a model that the graph calls is reached once by each such call, however often that
    model calls it itself.

    Without this, `audit` would not see that the trainer of JAX counts the activity penalties of the
    last call only: it runs the graph without calling the model, and then each layer that begins a
    call forgets the penalties of the one before.
    """
    nodes = getattr(model, "_nodes_by_depth", {}).values()
    called = [node.operation for level in nodes for node in level]
    reached = [{id(each) for each in _all_in(operation)} for operation in called]
    return collections.Counter(itertools.chain.from_iterable(reached))


def _all_in(operation):
    """An operation of a graph and, if it is a layer, all that it encloses."""
    return operation._flatten_layers() if hasattr(operation, "_flatten_layers") else [operation]


def attribute_names(name):
    """The attributes in which a layer may hold what it shows as `name`.

    `Dense.kernel` is a property over `_kernel`, which with LoRA computes another tensor; attention
    holds the arguments for its four dense layers as `_kernel_constraint` and so on. Without this,
    neither the weight nor its setting would be found.
    """
    return name, f"_{name}"


def held_variable(layer, name):
    """The variable that a layer holds under a name, even if a property of that name computes."""
    held = vars(layer)
    for attribute in reversed(attribute_names(name)):
        if attribute in held:
            return held[attribute]
    return getattr(layer, name)  # of a class that makes it a property of its own


def quantization_of(layer):
    """The mode in which a layer is quantized, such as "int8", or None.

    A quantized layer no longer trains its kernel, and has scales and histories as variables.
    Without this, those would be taken for weights that can have a setting.
    """
    return getattr(layer, "quantization_mode", None)


# GPTQ and AWQ hold the weight `kernel` in the attribute `quantized_kernel`. Without this, it would
# not be found.
QUANTIZED = "quantized_"


def is_quantized(layer):
    """Whether the weights of a layer are integers, which no optimizer trains.

    Under "float8", weights are still trained and constrained. Without this, `audit` would say of
    a setting that quantization has removed that it was set too late.
    """
    return quantization_of(layer) not in (None, "float8")


def has_lora(layer):
    """Whether LoRA trains two other weights in place of the layer's own.

    Without this, `audit` would take the kernel for that of a frozen layer, and its fix would be
    wrong.
    """
    return bool(getattr(layer, "lora_enabled", False))


def hold_values(model):
    """See that the variables of a model hold their values.

    Between the batches of `fit`, JAX has them in the state of the training step alone. Without
    this, whatever looks at them in `on_train_batch_end` would find nothing.
    """
    sync = getattr(model, "jax_state_sync", None)
    if sync is not None:
        sync()


def has_lost_value(variable):
    """Whether a variable has no value any more.

    Under JAX, `fit` takes the values out of the variables before each step, and does not put them
    back if the step fails. Without this, whatever looks at them would raise that None is no
    function.
    """
    return variable._value is None and variable._initializer is None


def traces_alone(layer):
    """Whether JAX traces what is in a layer in a scope of its own, to compute it again later.

    Without this, `audit` would not see that `fit` fails at a penalty in there.
    """
    mode = getattr(layer, "_remat_mode", None)
    if mode is None or not HAS_STATELESS_TRAINER:
        return False
    return mode.mode == "full" or layer.name in (mode.layer_names or ())


def optimizers_in(optimizer):
    """The optimizers that update weights: those that a LossScaleOptimizer or MultiOptimizer wraps.

    Without this, the averages and accumulated gradients of a wrapped optimizer would not be seen.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(optimizer, "optimizers", [optimizer])


def averages_in(optimizer):
    """Pairs of a variable and its moving average; none without `use_ema=True`.

    No public name leads to the averages. Without this, `project` and `ProjectWeights` could not
    put them into their sets. The scales of "float8" have none.
    """
    for each in optimizers_in(optimizer):
        averages = getattr(each, "_model_variables_moving_average", None)
        if averages:
            pairs = zip(each._trainable_variables, averages, strict=True)
            yield from (pair for pair in pairs if pair[1] is not None)


def aside(function):
    """What a function returns that makes layers without values, which nobody is to notice.

    Keras numbers names, and holds its scopes, for each thread by itself. In a stateless scope,
    variables get a shape and no value. Random numbers are put back. Without this, a layer that is
    made to be looked at would change the names and the first weights of the next one. Classes that
    a `custom_object_scope` of this thread names are known in the other, too.
    """
    with keras.saving.custom_object_scope({}) as scope:
        named = scope.backup

    def work():
        with (
            keras.StatelessScope(initialize_variables=False),
            keras.saving.custom_object_scope(named),
        ):
            return function()

    with same_random_numbers(), concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


@contextlib.contextmanager
def same_random_numbers():
    """Puts back the random numbers of Python, of which Keras makes seeds, and those of NumPy.

    The constructor of a user's layer may draw from NumPy's.
    """
    state, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(of_numpy)


def forget_steps(model):
    """See that the train and test steps of a model are traced anew.

    `jax.jit`, with which Keras' trainer for JAX compiles them, knows a method again for as long as
    anybody holds what was compiled: a user, or the traceback of a training that was interrupted.
    Without this, `fit` would go on with old settings, also after another `compile`.
    """
    make = getattr(keras.Model, "make_train_function", None)  # the backend of NumPy has no `fit`
    jit = getattr(make, "__globals__", {}).get("jit")  # the trainers of other backends have none
    if jit is None:
        return
    for step in (model.train_step, model.test_step):
        compiled = jit(step)
        if hasattr(compiled, "clear_cache"):  # under NNX, Keras makes a new function each time
            compiled.clear_cache()  # of every equal method


def models_with(layers):
    """Every model in memory that has one of these layers, or a variable of theirs, at any depth.

    A layer does not know the models that it is in. Without this, another model with the layer would
    go on with compiled steps that hold the old settings. Of the models that `gc.freeze` has hidden,
    those among the layers themselves are found.
    """
    layers = list(layers)
    wanted = _ids_in(layers)
    classes = _with_subclasses(keras.Model)
    # An object refers to its class. `gc.get_objects` would also hold tuples that other threads are
    # about to fill, which makes Python raise a SystemError there.
    found = [x for x in (*layers, *gc.get_referrers(*classes)) if type(x) in classes]
    for each in {id(model): model for model in found}.values():
        if "_layers" not in vars(each):  # one that is still being made
            continue
        if not wanted.isdisjoint(_ids_in(each._flatten_layers())):
            yield each


def _ids_in(layers):
    """The ids of layers and of their variables, of which two layers may share one."""
    return {id(each) for layer in layers for each in (layer, *trainable_variables_of(layer))}


def _with_subclasses(cls):
    """A class and everything that derives from it."""
    return {cls}.union(*map(_with_subclasses, cls.__subclasses__()))
