"""Cases about the object itself: its config, what is saved with a model, equality, bad input."""

import json
import pathlib
import tempfile

import keras
import numpy as np

from keras_norms.testing import severity
from keras_norms.testing.cases import argument, input_array
from keras_norms.testing.harness import Mismatch, NotApplicable


def config_roundtrip(case, harness):
    """The config in JSON, what it says, and the object that is made from it."""
    target = harness.make(case)
    config = json.loads(json.dumps(target.get_config()))
    _same_config(config, case.expected["config"])
    restored = type(target).from_config(config)
    got = restored(harness.tensor(case.inputs["w"], case.dtype))
    return [harness.compare("restored", got, case.expected["result"])]


def save_load(case, harness):
    """A Dense layer with the target as constraint or penalty, saved and loaded in safe mode."""
    target = harness.make(case)
    constraint = isinstance(target, keras.constraints.Constraint)
    role = "kernel_constraint" if constraint else "kernel_regularizer"
    kernel = input_array(case.inputs["w"])
    layer = keras.layers.Dense(kernel.shape[1], name="layer", **{role: target})
    model = keras.Sequential([keras.layers.Input((kernel.shape[0],)), layer])
    layer.kernel.assign(kernel)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        # A mutant is not registered; what is under test must be.
        package = type(target).__module__.partition(".")[0]
        is_the_users = ":" in case.target and case.target not in harness.classes
        is_tested = is_the_users or package in ("keras", "keras_norms")
        known = None if is_tested else {type(target).__name__: type(target)}
        try:
            loaded = keras.saving.load_model(path, custom_objects=known, safe_mode=True)
        except Exception as error:  # whatever a reader raises
            raise Mismatch(
                "`load_model` must load it; a class of yours must be registered by "
                f"`keras.saving.register_keras_serializable`. Received: {type(error).__name__}",
                exception=error,
            ) from error
    restored = getattr(loaded.get_layer("layer").kernel, role.removeprefix("kernel_"))
    if type(restored) is not type(target):
        raise Mismatch(f"It must be a {type(target).__name__}. Received: {restored!r}")
    _same_config(json.loads(json.dumps(restored.get_config())), case.expected["config"])
    got = restored(loaded.get_layer("layer").kernel) if constraint else loaded.losses[0]
    return [harness.compare("loaded", got, case.expected["result"])]


def _same_config(config, expected):
    """Compare the expected keys of a config, and those of the configs of members.

    Raises:
        Mismatch: If a value differs.
    """
    if "members" in expected:
        (found,) = config.values()
        for each, member in zip(found, expected["members"], strict=True):
            _same_config(each["config"], member["config"])
        return
    wanted = {key: argument(value) for key, value in expected.items()}
    found = {key: config[key] for key in wanted if key in config}
    if found != wanted:
        raise Mismatch(
            f"The config must have {wanted}. Received: {found}", severity.of_config(found, wanted)
        )


def equality(case, harness):
    """Two objects of the same arguments are equal, and their repr says what they are."""
    one, other = harness.make(case), harness.make(case)
    if one != other or hash(one) != hash(other):
        text = f"Two of the same arguments must be equal. Received: {one!r}, {other!r}"
        raise Mismatch(text, severity.MISSING)
    if type(one).__name__ not in repr(one) or " at 0x" in repr(one):
        raise Mismatch(f"The repr must say what it is. Received: {one!r}", severity.MISSING)
    return []


def by_name(case, harness):
    """The object that `get` finds under a name."""
    try:
        found = harness.classes["get_regularizer"](case.inputs["name"])
    except ValueError as error:
        raise Mismatch(f"It must be found. Received: {error}", severity.MISSING) from error
    _same_config(found.get_config(), case.expected["config"])
    return []


def raises(case, harness):
    """Bad input raises the same exception type on every backend, with a message that quotes it."""
    wanted, words = case.expected["error"], case.expected["words"]
    try:
        target = harness.make(case)
        if "w" in case.inputs:
            w = keras.ops.convert_to_tensor(input_array(case.inputs["w"]).astype(np.float32))
            target(keras.ops.cast(w, case.dtype))
    except NotApplicable:
        raise
    except Exception as error:
        same = type(error).__name__ == wanted
        if not same or any(word not in str(error) for word in words):
            raise Mismatch(
                f"It must raise {wanted} that says {words}. "
                f"Received: {type(error).__name__}: {str(error)[:200]}",
                severity.CONVENTION if same else severity.WRONG,
                exception=error,
            ) from error
        return []
    raise Mismatch(f"It must raise {wanted}. Received: nothing raised")


KINDS = {f.__name__: f for f in (config_roundtrip, save_load, equality, by_name, raises)}
