"""Averages: the moving averages of weights that an optimizer with `use_ema=True` keeps."""

from keras import ops

from keras_norms.keras_internals import averages_in
from keras_norms.models.measures import projected


def value_of(average, variable):
    """The value of a moving average, in a buffer of its own.

    When training ends, JAX keeps a weight and its moving average in one array. The next step may
    delete that array. If it is deleted, the average had the value that the weight has now, so the
    weight's value is returned.
    """
    try:
        return ops.copy(average.value)
    except (RuntimeError, ValueError):
        return ops.copy(variable.value)


def project_averages(optimizer, what):
    """Put the averages of constrained weights into their sets, and give each its own buffer.

    Args:
        optimizer: The optimizer of a model, or None.
        what: A function of a constraint that returns what to apply of it, or None.
    """
    for variable, average in averages_in(optimizer):
        value, constraint = value_of(average, variable), what(variable.constraint)
        average.assign(value if constraint is None else projected(constraint, value))
