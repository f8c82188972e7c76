"""The category of the package's warnings, so that they can be filtered by themselves."""

import inspect
import warnings


class KerasNormsWarning(UserWarning):
    """Some weights were left out, or a setting will not be saved, or does less than it seems to.

    Example:
    >>> import warnings, keras_norms as kn
    >>> warnings.simplefilter("error", kn.KerasNormsWarning)  # stop at each of them
    >>> warnings.simplefilter("default", kn.KerasNormsWarning)
    """


def warn(message):
    """Warn at the line outside of the package that called it, however deep the call is."""
    frame, level = inspect.currentframe(), 1
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == "keras_norms":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, KerasNormsWarning, stacklevel=level)
