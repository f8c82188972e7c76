"""Constraints one after the other."""


def chain(w, members):
    """Each member, a pair of a function and its arguments, is applied to what the last one gave."""
    for function, arguments in members:
        w = function(w, **arguments)
    return w
