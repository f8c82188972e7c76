"""Files: settings that travel with a model, whatever its config can hold.

A model's config may have no place for a setting: attention layers have one attribute for four
kernels, and a class of the user's often has none. A file of its own, or one more member of the
model's `.keras` file, which Keras does not look at, holds them all.
"""

import json
import os
import pathlib
import shutil
import zipfile
from typing import Any

import keras

from keras_norms.models.describe import title
from keras_norms.models.holders import apply_settings, is_loadable, renew_steps
from keras_norms.models.weights import contents_of

MEMBER = "keras_norms_settings.json"
_KINDS = ("constraint", "regularizer")
_FORMAT = 1


def save_settings(model: Any, filepath: str | os.PathLike[str]) -> list[str]:
    """Write the constraint and the regularizer of every weight of a model to a file.

    Args:
        model: A built Keras model or layer.
        filepath: Where to write: the `.keras` file of the model, saved before, which then holds
            them as one more member; or any other path, for a JSON file.

    Returns:
        The paths of the weights that have a setting, a list.

    Raises:
        ValueError: If the model is not built; if a setting cannot be loaded, such as a function
            that is not registered; or if there is no such `.keras` file.
        TypeError: If `model` is not a Keras model or layer.

    Example:
    >>> import keras, keras_norms as kn, os, tempfile
    >>> model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="head")])
    >>> model.layers[0].kernel.constraint = kn.MaxNorm(1.0)  # which no config holds
    >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
    >>> model.save(path)
    >>> _ = kn.save_settings(model, path)
    >>> loaded = keras.saving.load_model(path)
    >>> loaded.layers[0].kernel.constraint
    >>> _ = kn.load_settings(loaded, path)
    >>> loaded.layers[0].kernel.constraint
    MaxNorm(max_value=1.0, axis=0, ord=2)
    """
    filepath = pathlib.Path(filepath)
    weights = contents_of(model).weights
    data = {"format": _FORMAT, "weights": [_entry(weight) for weight in weights]}
    text = json.dumps(data, indent=1) + "\n"
    if filepath.suffix != ".keras":
        _replace(filepath, lambda path: path.write_text(text, "utf-8"))
    elif not zipfile.is_zipfile(filepath):
        raise ValueError(
            "A `.keras` file must be there already: call `model.save` first. "
            f"Received: filepath={str(filepath)!r}"
        )
    else:
        _replace(filepath, lambda path: _copy_with(filepath, path, text))
    return [
        w.path for w in weights if any(getattr(w.variable, kind) is not None for kind in _KINDS)
    ]


def load_settings(
    model: Any, filepath: str | os.PathLike[str], custom_objects: dict[str, Any] | None = None
) -> list[str]:
    """Give the weights of a model the constraints and regularizers that `save_settings` wrote.

    All settings of the model are replaced, also by none. Weights are matched by path. If the paths
    are not the same, because Keras numbers names anew in each run, they are matched by their order,
    which needs as many weights, of the same shapes. No weight is moved; `keras_norms.project` does
    that.

    Args:
        model: A built Keras model or layer.
        filepath: What `save_settings` wrote: a `.keras` file or another one.
        custom_objects: Classes and functions by name, for settings that are not registered, as in
            `keras.saving.load_model`.

    Returns:
        The paths of the weights that have a setting now, a list.

    Raises:
        ValueError: If the file has no settings, or they are of another model, or one cannot be
            loaded; nothing is changed then.
        TypeError: If `model` is not a Keras model or layer.

    Example:
    >>> import keras, keras_norms as kn, os, tempfile
    >>> models = []
    >>> for bound in (1.0, 2.0):
    ...     layer = keras.layers.Dense(2, kernel_constraint=kn.MaxNorm(bound))
    ...     models.append(keras.Sequential([keras.layers.Input((4,)), layer]))
    >>> path = os.path.join(tempfile.mkdtemp(), "settings.json")
    >>> _ = kn.save_settings(models[0], path)
    >>> _ = kn.load_settings(models[1], path)
    >>> models[1].layers[0].kernel.constraint
    MaxNorm(max_value=1.0, axis=0, ord=2)
    """
    contents = contents_of(model)
    entries = _read(pathlib.Path(filepath))
    pairs = _matched(contents.weights, entries, filepath)
    settings = {
        kind: [(weight, _made(entry, kind, custom_objects)) for weight, entry in pairs]
        for kind in _KINDS
    }
    for kind in _KINDS:
        apply_settings(contents.weights, settings[kind], kind)
    renew_steps(layer for layer, _ in contents.layers)
    return [w.path for w, entry in pairs if any(entry[kind] is not None for kind in _KINDS)]


def _entry(weight):
    """What the file says of one weight."""
    entry = {"path": weight.label, "shape": list(weight.variable.shape)}
    for kind in _KINDS:
        setting = getattr(weight.variable, kind)
        if setting is not None and not is_loadable(setting):
            raise ValueError(
                f"A {kind} can be saved if Keras can load it; register its class or function by "
                "`keras.saving.register_keras_serializable`. "
                f"Received: {title(setting)} of {weight.path}"
            )
        entry[kind] = keras.saving.serialize_keras_object(setting)
    return entry


def _replace(filepath, write):
    """Write a file beside another one, and then put it in its place: it is never half written."""
    part = filepath.with_name(f"{filepath.name}.part")
    try:
        write(part)
        os.replace(part, filepath)
    finally:
        part.unlink(missing_ok=True)


def _copy_with(archive, path, text):
    """Copy an archive, with the settings as its last member."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            if member.filename != MEMBER:
                with old.open(member) as source, new.open(member, "w") as target:
                    shutil.copyfileobj(source, target)
        new.writestr(MEMBER, text)


def _read(filepath):
    """The entries of a file."""
    if not filepath.exists():
        raise ValueError(f"File not found: filepath={str(filepath)!r}")  # in the words of Keras
    try:
        if zipfile.is_zipfile(filepath):
            with zipfile.ZipFile(filepath) as archive:
                data = json.loads(archive.read(MEMBER))
        else:
            data = json.loads(filepath.read_text("utf-8"))
        if data["format"] == _FORMAT:
            return data["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ValueError(
        "`filepath` must be a file that `keras_norms.save_settings` wrote. "
        f"Received: filepath={str(filepath)!r}"
    )


def _matched(weights, entries, filepath):
    """Pairs of a weight and its entry, by path, or else by order and shape."""
    by_path = {entry["path"]: entry for entry in entries}
    if by_path.keys() == {w.label for w in weights}:
        pairs = [(w, by_path[w.label]) for w in weights]
    elif len(entries) == len(weights):
        pairs = list(zip(weights, entries, strict=True))
    else:
        raise ValueError(
            f"The settings are of another model, which has {len(entries)} weights, and this one "
            f"has {len(weights)}. Received: filepath={str(filepath)!r}"
        )
    for weight, entry in pairs:
        if list(weight.variable.shape) != entry["shape"]:
            raise ValueError(
                f"The settings are of another model: its {entry['path']} has the shape "
                f"{tuple(entry['shape'])}, and {weight.path} has {tuple(weight.variable.shape)}. "
                f"Received: filepath={str(filepath)!r}"
            )
    return pairs


def _made(entry, kind, custom_objects):
    """The setting of an entry."""
    try:
        return keras.saving.deserialize_keras_object(entry[kind], custom_objects=custom_objects)
    except Exception as error:  # whatever a reader raises
        raise ValueError(
            f"The {kind} of {entry['path']} cannot be loaded; name its class or function in "
            f"`custom_objects`. Received: {entry[kind]!r}"
        ) from error
