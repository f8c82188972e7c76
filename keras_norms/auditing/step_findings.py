"""Findings about a training step of the user's own: whether it adds penalties to the loss."""

import inspect

from keras_norms.auditing.finding import Finding
from keras_norms.models.penalties import penalties_of

# What leads to the losses of a model, which hold its penalties.
_LEADS_TO_PENALTIES = {
    *("losses", "return_losses", "compute_loss", "_compute_loss", "stateless_compute_loss"),
    *("train_step", "test_step"),
}


def own_step(contents):
    """A model has penalties, and its own `train_step` or `compute_loss` never reads its losses."""
    cls = type(contents.model)
    if not penalties_of(contents):
        return
    for name in ("train_step", "compute_loss"):
        step = _own_method(cls, name)
        if step is not None and not _LEADS_TO_PENALTIES & _names_in(step, cls):
            yield Finding(
                "own-step",
                "warning",
                contents.model.name,
                f"`{cls.__name__}.{name}` never reads `self.losses`, which hold the penalties of "
                "the model, so that they may not count",
                f"# in `{name}`, add `sum(self.losses)` to the loss",
            )


def _own_method(cls, name):
    """The function under a name of a class; None if it is Keras', or there is none."""
    method = inspect.getattr_static(cls, name, None)  # which runs no property of a metaclass
    method = getattr(method, "__func__", method)  # of a static method or a method of the class
    function = inspect.unwrap(method) if callable(method) else None
    if not inspect.isfunction(function):
        return None
    module = function.__module__ or ""  # None for a function that `exec` has made
    return None if module.partition(".")[0] == "keras" else function


def _names_in(step, cls):
    """The names that a function uses, also in functions inside and in methods that it calls."""
    found: set[str] = set()
    codes = [step.__code__]
    while codes:
        code = codes.pop()
        names = {*code.co_names}
        for constant in code.co_consts:
            if inspect.iscode(constant):
                codes.append(constant)
            elif isinstance(constant, tuple):  # the names of arguments in a call
                names |= {each for each in constant if isinstance(each, str)}
        for name in names - found:
            method = _own_method(cls, name)
            if method is not None:
                codes.append(method.__code__)
        found |= names
    return found
