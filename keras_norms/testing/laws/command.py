"""The command `keras-norms laws`."""

import importlib
import inspect
import re

from keras_norms.setting import Setting
from keras_norms.testing.exit_codes import CONFORMS, FAILS, NOTHING_RAN, USAGE
from keras_norms.testing.laws.asking import (
    NEEDS,
    check_is_map,
    checks,
    left_out,
    name_of,
    shapes_for,
)
from keras_norms.testing.laws.measures import first_line


def run(name, console, words="", shapes=None):
    """The exit code of the laws on `package:name`: an object, a function, or a class.

    Of a class of ours, its `examples()` are asked, each of them; another one is made without
    arguments.

    Args:
        name: Where the target is.
        console: Where each verdict is printed.
        words: Words that the name of a law must contain, to be asked.
        shapes: The shapes of the weights, a list of tuples; None for those of the laws.
    """
    package, _, attribute = name.partition(":")
    if package.endswith(".py"):
        right = f"{package[:-3]}:{attribute}"
        said = f"The part before the colon is a module, so {right}. Received: {name}"
        console.print(said, markup=False)
        return USAGE
    try:
        asked = []
        for target in _objects(getattr(importlib.import_module(package), attribute)):
            check_is_map(target, (shapes or shapes_for(target))[0])
            asked.append((target, checks(target, shapes=shapes), shapes))
    except (Exception, SystemExit) as error:  # whatever the user's module does
        console.print(f"Cannot check {name}: {first_line(error)}", markup=False)
        return USAGE
    if not asked:
        console.print(f"{name} has no `examples()`, so that nothing is asked.", markup=False)
        return NOTHING_RAN
    codes = [_ask(console, *each, words) for each in asked]
    return next((code for code in (FAILS, NOTHING_RAN) if code in codes), CONFORMS)


def _objects(found):
    """What the laws are asked of: an object itself, or those of a class."""
    if not inspect.isclass(found):
        return [found]
    return found.examples() if issubclass(found, Setting) else [found()]


def _ask(console, target, every, shapes, words):
    """The exit code of the laws on one target, with the verdicts printed."""
    todo = [check for check in every if all(w in repr(check) for w in words.lower().split())]
    if not todo:
        console.print(f"No law for {name_of(target)} has {words!r} in its name.", markup=False)
        return NOTHING_RAN
    broken = 0
    for check in todo:
        try:
            check(target)
        except Exception as error:
            broken += 1
            reason = str(error).splitlines() or [type(error).__name__]
            console.print(f"FAILED {check!r}: {reason[0]}", markup=False)
            weights = _weights(check, error)
            if weights is not None:
                console.print(f"    for w = {weights}", markup=False)
        else:
            console.print(f"passed {check!r}")
    for reason, laws in left_out(target, shapes).items():
        names = ", ".join(law.__name__ for law in laws)
        console.print(f"Not asked, because {reason}: {names}", markup=False)
    held = f"{name_of(target)}: {len(todo) - broken} of {len(todo)} laws hold"
    rest = len(every) - len(todo)
    console.print(held + (f"; -k left out {rest} more" if rest else ""), markup=False)
    return FAILS if broken else CONFORMS


def _weights(check, error):
    """The least weights that break a law, as hypothesis notes them on an error; None if any do."""
    if check.law in NEEDS["get_config"]:
        return None
    notes = "\n".join(getattr(error, "__notes__", ()))
    found = re.search(r"\bw=(.*?),\n\)", notes, re.DOTALL)
    return found and re.sub(r"\s*\n\s*", " ", found[1])
