"""Start-up: choose a backend that is installed, before Keras is imported.

Keras takes its backend from KERAS_BACKEND, else from keras.json, else it takes TensorFlow. If that
one is not installed, `import keras` fails: it does on a machine that has only JAX.
"""

import importlib.util
import json
import os
import pathlib
import sys

BACKENDS = ("tensorflow", "jax", "torch")


def choose_backend():
    """Set KERAS_BACKEND to Keras' own choice if that is installed, else to another that is.

    Returns:
        None, or one line that says what to install.
    """
    if "keras" in sys.modules:
        return None
    asked = os.environ.get("KERAS_BACKEND")
    if asked:
        if asked not in (*BACKENDS, "numpy", "openvino"):
            return f"KERAS_BACKEND must be one of {', '.join(BACKENDS)}. Received: {asked}"
        if not is_installed(asked):
            return f"The backend {asked} is not installed: pip install {asked}"
        if asked == "numpy" and not is_installed("jax"):
            return "KERAS_BACKEND is numpy, for which Keras needs JAX: pip install jax"
        return None
    found = next(filter(is_installed, (_configured_backend(), *BACKENDS)), None)
    if found is None:
        return "Keras needs a backend: pip install jax (or tensorflow, or torch)"
    os.environ["KERAS_BACKEND"] = found
    return None


def is_installed(package):
    """Whether a top-level package can be imported."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None  # a mere folder of that name has none


def _configured_backend():
    """The backend in keras.json, where Keras looks for it; TensorFlow if there is none."""
    base = os.path.expanduser("~")
    base = base if os.access(base, os.W_OK) else "/tmp"
    home = os.environ.get("KERAS_HOME") or os.path.join(base, ".keras")
    try:
        config = json.loads((pathlib.Path(home) / "keras.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "tensorflow"
    return config.get("backend") or "tensorflow"
