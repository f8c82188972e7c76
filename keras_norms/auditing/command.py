"""Audit of a file: the `keras-norms audit` command."""

import importlib
import io
import json
import sys

import keras

from keras_norms.auditing.audit import Audit, audit
from keras_norms.models.files import has_settings, load_settings


def run(options):
    """Load a model in safe mode, with settings that its file holds beside it, and print its audit.

    Args:
        options: `file`, `imports` (names of modules), `format` ("table", "markdown" or "json") and
            `plot`, a path or None.

    Returns:
        The exit code: 0 without errors, 1 with some, 2 if the file holds no model that Keras reads.
    """
    sys.path.insert(0, "")  # a module in the current folder, as Python itself would find it
    for name in options.imports:
        if name.endswith(".py"):
            print(f"--import takes a module, so {name[:-3]}. Received: {name}", file=sys.stderr)
            return 2
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever the user's module does
            print(f"--import {name} fails: {_line(error)}", file=sys.stderr)
            return 2
    try:
        model = _load(options.file)
    except Exception as error:
        # Keras raises whatever its readers raise: for a missing, broken or foreign file, for
        # unsafe code in it, and for classes that are not registered.
        print(f"{options.file} cannot be audited: {_line(error)}", file=sys.stderr)
        if "register_keras_serializable" in str(error) or "locate" in str(error):
            print(
                "If the model has classes of your own, --import names the module that registers "
                "them by keras.saving.register_keras_serializable.",
                file=sys.stderr,
            )
        return 2
    if not model.built:
        print(f"{options.file} cannot be audited: its model is not built", file=sys.stderr)
        return 2
    if has_settings(options.file):
        try:
            load_settings(model, options.file)
        except ValueError as error:
            print(
                f"The settings in {options.file} cannot be loaded: {_line(error)}", file=sys.stderr
            )
            return 2
        print("The settings that `save_settings` wrote into it are loaded.", file=sys.stderr)
    found = audit(model, progress=_progress)
    if isinstance(sys.stdout, io.TextIOWrapper):  # of an encoding that may lack letters of a name
        sys.stdout.reconfigure(errors="backslashreplace")
    print(_text(found, options.format))
    if options.plot:
        found.plot().savefig(options.plot, dpi=150)
    return 1 if found.errors else 0


def _text(found: Audit, form):
    if form == "json":
        return json.dumps(found.to_dict(), indent=1)
    return found.to_markdown() if form == "markdown" else str(found)


def _line(error):
    """One line of what Keras says, which may be many."""
    words = " ".join(str(error).split())[:400]
    if isinstance(error, SystemExit):  # which says a number, or nothing
        words = f"it calls sys.exit({error.code!r})"
    return words or type(error).__name__


def _load(file):
    try:
        return keras.saving.load_model(file, safe_mode=True)
    except Exception as error:
        try:
            model = keras.saving.load_model(file, safe_mode=True, compile=False)
        except Exception:
            raise error from None
        print(
            f"Its optimizer and loss cannot be loaded, so they are not audited: {_line(error)}",
            file=sys.stderr,
        )
        return model


def _progress(weights):
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        weights, "auditing", console=console, transient=True, disable=not console.is_terminal
    )
