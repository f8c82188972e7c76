"""The category of the package's warnings, so that they can be filtered by themselves."""


class KerasNormsWarning(UserWarning):
    """A setting that does not do all that it seems to do: weights left out, or settings lost.

    Example:
    >>> import warnings, keras_norms as kn
    >>> warnings.simplefilter("error", kn.KerasNormsWarning)  # stop at each of them
    >>> warnings.simplefilter("default", kn.KerasNormsWarning)
    """
