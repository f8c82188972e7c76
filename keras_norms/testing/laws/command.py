"""The command `keras-norms laws`."""

import importlib
import inspect
import os
import sys

from keras_norms.testing.laws.asking import checks, left_out, name_of


def run(name, console, words=""):
    """The exit code of the laws on `package:name`: an object, a function, or a class.

    A class is made without arguments.

    Args:
        name: Where the target is.
        console: Where each verdict is printed.
        words: What the name of a law must contain, to be asked.
    """
    package, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(package), attribute)
        target = found() if inspect.isclass(found) else found
        todo = [check for check in checks(target) if words in repr(check)]
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        console.print(f"Cannot check {name}: {error}", markup=False)
        return 2
    if not todo:
        console.print(f"No law for {name_of(target)} has {words!r} in its name.", markup=False)
        return 5
    broken = 0
    for check in todo:
        try:
            check(target)
        except Exception as error:
            broken += 1
            reason = str(error).splitlines() or [type(error).__name__]
            console.print(f"FAILED {check!r}: {reason[0]}", markup=False)
        else:
            console.print(f"passed {check!r}")
    for reason, laws in left_out(target).items():
        names = ", ".join(law.__name__ for law in laws)
        console.print(f"Not asked, because {reason}: {names}", markup=False)
    console.print(f"{name_of(target)}: {len(todo) - broken} of {len(todo)} laws hold", markup=False)
    return 1 if broken else 0
