"""Files: settings that travel with a model, whatever its config can hold.

A model's config may have no place for a setting: attention layers have one attribute for four
kernels, and a class of the user's often has none. A file of its own, or one more member of the
model's `.keras` file, which Keras does not look at, holds them all.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import uuid
import zipfile
import zlib
from typing import Any

import keras

from keras_norms.models.describe import title
from keras_norms.models.holders import apply_settings, renew_steps
from keras_norms.models.loading import needed_to_load
from keras_norms.models.weights import KINDS, contents_of
from keras_norms.warning import warn

MEMBER = "keras_norms_settings.json"
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
            that is not registered; if there is no such `.keras` file; or if the path is that of
            an HDF5 file, of a directory, or of a file that `save_settings` did not write.
        FileNotFoundError: If the folder of the file does not exist.
        TypeError: If `model` is not a Keras model or layer, or `filepath` no path.

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
    path = _as_path(filepath)
    _check_writable(path)
    weights = contents_of(model).weights
    data = {"format": _FORMAT, "weights": [_entry(weight) for weight in weights]}
    text = json.dumps(data, indent=1) + "\n"
    if path.suffix == ".keras":
        _replace(path, lambda new: _copy_with(path, new, text))
    else:
        _replace(path, lambda new: new.write_text(text, "utf-8"))
    return [w.path for w in weights if any(getattr(w.variable, kind) is not None for kind in KINDS)]


def load_settings(
    model: Any, filepath: str | os.PathLike[str], custom_objects: dict[str, Any] | None = None
) -> list[str]:
    """Give the weights of a model the constraints and regularizers that `save_settings` wrote.

    All settings of the model are replaced, also by none. There must be as many weights in the file,
    of the same shapes. They are matched by the first of these ways in which both have the same
    names:

    1. by path;
    2. by path without the name of the model;
    3. by path without the numbers at the end of names, which Keras gives; weights of one such path
       are matched by their order.

    Without such a way, all weights are matched by their order, unless a name that both have is at
    another place. No weight is moved; `keras_norms.project` does that. Quantized weights get no
    settings, and you get a warning.

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
        TypeError: If `model` is not a Keras model or layer, or `filepath` no path.

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
    entries = _read(_as_path(filepath))
    pairs = _matched(contents.weights, entries, filepath)
    settings = {
        kind: [(weight, _made(entry, kind, custom_objects)) for weight, entry in pairs]
        for kind in KINDS
    }
    for kind in KINDS:
        chosen = [(w, None if w.obstacle == "quantized" else s) for w, s in settings[kind]]
        apply_settings(contents.weights, chosen, kind)
    renew_steps(layer for layer, _ in contents.layers)
    named = [w for w, entry in pairs if any(entry[kind] is not None for kind in KINDS)]
    quantized = [w.path for w in named if w.obstacle == "quantized"]
    if quantized:
        warn(
            f"{', '.join(quantized)} is quantized, and Keras would never apply a setting to it; "
            "load the settings before you quantize the model."
        )
    return [w.path for w in named if w.obstacle != "quantized"]


def has_settings(filepath):
    """Whether a `.keras` file holds what `save_settings` wrote into it."""
    if not zipfile.is_zipfile(filepath):
        return False
    with zipfile.ZipFile(filepath) as archive:
        return MEMBER in archive.namelist()


def _as_path(filepath):
    if not isinstance(filepath, (str, os.PathLike)):
        raise TypeError(
            f"`filepath` must be a path; `model` is the first argument. Received: {filepath!r}"
        )
    return pathlib.Path(filepath)


def _check_writable(filepath):
    """Refuse a path where settings would destroy what is there, or could not be written."""
    if filepath.suffix == ".keras":
        if not zipfile.is_zipfile(filepath):
            raise ValueError(
                "A `.keras` file must be there already: call `model.save` first. "
                f"Received: filepath={str(filepath)!r}"
            )
    elif filepath.suffix in (".h5", ".hdf5"):
        raise ValueError(
            "An HDF5 file cannot hold settings; write them to a file of their own, such as "
            f'"settings.json". Received: filepath={str(filepath)!r}'
        )
    elif filepath.is_dir() or (filepath.exists() and not _is_replaceable(filepath)):
        raise ValueError(
            "There is something else at this path, which the settings would replace; choose "
            f'another one, such as "settings.json". Received: filepath={str(filepath)!r}'
        )


def _is_replaceable(filepath):
    """Whether a file is empty, or one that `save_settings` wrote."""
    try:
        return filepath.stat().st_size == 0 or _read(filepath) is not None
    except ValueError:
        return False


def _entry(weight):
    """What the file says of one weight."""
    entry = {"path": weight.label, "shape": list(weight.variable.shape)}
    for kind in KINDS:
        setting = getattr(weight.variable, kind)
        needed = None if setting is None else needed_to_load(setting)
        if needed:
            raise ValueError(
                f"A {kind} can be saved if Keras can load it; {needed}. "
                f"Received: {title(setting)} of {weight.path}"
            )
        entry[kind] = keras.saving.serialize_keras_object(setting)
    return entry


def _replace(filepath, write):
    """Write a file beside another one, and then put it in its place: it is never half written."""
    if not filepath.parent.is_dir():
        raise FileNotFoundError(
            f"The folder of `filepath` must exist. Received: filepath={str(filepath)!r}"
        )
    filepath = filepath.resolve()  # a link stays one
    part = filepath.with_name(f"{filepath.name}.{uuid.uuid4().hex}")
    try:
        write(part)
        if filepath.exists():
            shutil.copymode(filepath, part)
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


# What reading a file or an archive raises.
_UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error)


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
        found = data["format"]
        if found == _FORMAT and all(map(_is_entry, data["weights"])):
            return data["weights"]
    except (*_UNREADABLE, ValueError, KeyError, TypeError, AttributeError):
        found = None
    if isinstance(found, int) and found > _FORMAT:
        raise ValueError(
            f"The settings were written by a newer keras_norms, in format {found}; this one reads "
            f"format {_FORMAT}. Received: filepath={str(filepath)!r}"
        )
    raise ValueError(
        "`filepath` must be a file that `keras_norms.save_settings` wrote. "
        f"Received: filepath={str(filepath)!r}"
    )


def _is_entry(entry):
    """Whether it says of a weight what `_entry` does."""
    has_place = isinstance(entry["path"], str) and isinstance(entry["shape"], list)
    return has_place and entry.keys() >= {*KINDS}


def _matched(weights, entries, filepath):
    """Pairs of a weight and its entry, by path, or else by names and order."""
    if len(entries) != len(weights):
        raise ValueError(
            f"The settings are of another model, which has {len(entries)} weights, and this one "
            f"has {len(weights)}. Received: filepath={str(filepath)!r}"
        )
    theirs, ours = [entry["path"] for entry in entries], [w.label for w in weights]
    for shortened in (_below_model, _without_numbers):
        if set(theirs) != set(ours):
            theirs, ours = shortened(theirs), shortened(ours)
    if collections.Counter(theirs) != collections.Counter(ours):
        moved = next((name for name in ours if _is_elsewhere(name, ours, theirs)), None)
        if moved is not None:
            raise ValueError(
                f"The settings are of another model, which has {moved} at another place. "
                f"Received: filepath={str(filepath)!r}"
            )
        theirs, ours = [""] * len(weights), [""] * len(weights)  # the order alone counts
    # Weights of one name are in the order of their entries, because sorting keeps it.
    positions = [sorted(range(len(weights)), key=each.__getitem__) for each in (ours, theirs)]
    pairs = [(weights[i], entries[j]) for i, j in sorted(zip(*positions, strict=True))]
    for weight, entry in pairs:
        if list(weight.variable.shape) != entry["shape"]:
            raise ValueError(
                f"The settings are of another model: its {entry['path']} has the shape "
                f"{tuple(entry['shape'])}, and {weight.path} has {tuple(weight.variable.shape)}. "
                f"Received: filepath={str(filepath)!r}"
            )
    return pairs


def _below_model(paths):
    """Paths without their first name, which is that of the model if all paths have it."""
    first = {path.partition("/")[0] for path in paths}
    return [path.partition("/")[2] for path in paths] if len(first) == 1 else paths


def _without_numbers(paths):
    """Paths without the numbers that Keras adds to names."""
    return [re.sub(r"_\d+(?=/|:|$)", "", path) for path in paths]


def _is_elsewhere(name, ours, theirs):
    """Whether both lists have a name, but never at one position."""
    return name in theirs and all(pair != (name, name) for pair in zip(ours, theirs, strict=True))


def _made(entry, kind, custom_objects):
    """The setting of an entry."""
    try:
        made = keras.saving.deserialize_keras_object(entry[kind], custom_objects=custom_objects)
    except Exception as error:  # whatever a reader raises
        raise ValueError(
            f"The {kind} of {entry['path']} cannot be loaded; name its class or function in "
            f"`custom_objects`. Received: {entry[kind]!r}"
        ) from error
    if made is not None and not callable(made):
        raise ValueError(
            f"The {kind} of {entry['path']} must be what `keras_norms.save_settings` wrote. "
            f"Received: {entry[kind]!r}"
        )
    return made
