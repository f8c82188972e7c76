"""Loops and choices that depend on values, whether these are known or traced."""

from keras import ops


def repeat_while(unfinished, step, state, most):
    """The state after `state = step(*state)`, repeated while `unfinished(*state)`.

    Where values are known, this is a loop in Python. `ops.while_loop` would do, but JAX compiles it
    anew at each call, and never frees what it compiled. Where values are traced, as in a compiled
    function, it is the loop of the backend.

    Args:
        unfinished: A function of the state that returns a scalar of truth values.
        step: A function of the state that returns the next one.
        state: A tuple of tensors.
        most: The largest number of steps.
    """
    try:
        goes_on = bool(unfinished(*state))
    except TypeError:  # as JAX, TensorFlow and Keras say that a value is not known yet
        return ops.while_loop(unfinished, step, state, maximum_iterations=most)
    for _ in range(most):
        if not goes_on:
            break
        state = step(*state)
        goes_on = bool(unfinished(*state))
    return state


def is_known(x):
    """Whether a tensor has values, rather than being traced for a function that is compiled."""
    try:
        bool(ops.any(x))
    except (TypeError, RuntimeError):  # the second is PyTorch's, while Keras builds a layer
        return False
    return True


def choose(condition, this, that):
    """`this()` if a scalar of truth values is true, else `that()`, which is not computed then.

    Where values are known, this is `if` in Python, for the reason that `repeat_while` gives.
    """
    try:
        is_true = bool(condition)
    except TypeError:
        return ops.cond(condition, this, that)
    return this() if is_true else that()
