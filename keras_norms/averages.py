"""Averages: the moving averages of weights that an optimizer with `use_ema=True` keeps."""

from keras import ops

from keras_norms.sets import projected


def optimizers_of(optimizer):
    """The optimizers that update weights: those inside a LossScaleOptimizer or MultiOptimizer."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(optimizer, "optimizers", [optimizer])


def averages_of(optimizer):
    """The variables of an optimizer, each with its moving average, if it keeps some."""
    for each in optimizers_of(optimizer):
        averages = getattr(each, "_model_variables_moving_average", None)
        if averages:
            yield from zip(each._trainable_variables, averages, strict=True)


def value_of(average, variable):
    """The value of a moving average, in a buffer of its own.

    When training ends, JAX holds a weight and its average in one array, which it must not give to
    a step twice. Where it did, the array is gone, and the average is the weight, as it was then.
    """
    try:
        return ops.copy(average.value)
    except (RuntimeError, ValueError):
        return ops.copy(variable.value)


def project_averages(optimizer):
    """Put the averages of constrained weights into their sets, and each into its own buffer."""
    for variable, average in averages_of(optimizer):
        value = value_of(average, variable)
        if variable.constraint is not None:
            value = projected(variable.constraint, value)
        average.assign(value)
