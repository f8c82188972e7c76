"""The golden cases: which inputs, and what each of them hunts. The oracles fill in the values.

A module with cases has a function `case_files`, which yields (path below cases/, target, cases),
and a dict `REQUIREMENTS`, which gives the text and the source of each requirement by its id. Such a
module is found by itself, at any depth below this folder.
"""

import importlib
import pkgutil


def families():
    """The name below this folder, with dots, and the module of each family of cases."""
    for found in pkgutil.walk_packages(__path__, f"{__name__}."):
        module = importlib.import_module(found.name)
        if hasattr(module, "case_files"):
            yield found.name.removeprefix(f"{__name__}."), module


def case_files():
    """(path below cases/, target, cases) for each file."""
    for _, module in families():
        for path, target, cases in module.case_files():
            yield path, target, list(cases)
