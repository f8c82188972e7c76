"""The import order of the modules, and no backend inside the package."""

import ast
import pathlib
import subprocess
import sys

import pytest

import keras_norms

PACKAGE = pathlib.Path(keras_norms.__file__).parent

# Each module may import only those before it.
ORDER = [
    "startup",
    "precision",
    "groups",
    "norms",
    "projections",
    "thresholds",
    "config",
    "constraint",
    "constraints",
    "regularizers",
    "sets",
    "averages",
    "layouts",
    "weights",
    "persistence",
    "settings",
    "penalties",
    "fixes",
    "attach",
    "weight_findings",
    "model_findings",
    "findings",
    "pictures",
    "audit",
    "callbacks",
    "__init__",
    "demo",
    "audit_file",
    "cli",
    "__main__",
]


def imported(path):
    """The full names that a module imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} uses a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_its_place():
    assert {p.stem for p in PACKAGE.glob("*.py")} == set(ORDER)


@pytest.mark.parametrize(("position", "module"), list(enumerate(ORDER)))
def test_imports_follow_the_order(position, module):
    later = {f"keras_norms.{name}" for name in ORDER[position:]}
    if position < ORDER.index("__init__"):
        later |= {"keras_norms", *(f"keras_norms.{name}" for name in keras_norms.__all__)} - {
            f"keras_norms.{name}" for name in ORDER[:position]
        }
    wrong = later & set(imported(PACKAGE / f"{module}.py"))
    assert not wrong, f"{module} imports {wrong}, which come after it"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_no_backend_in_the_package(path):
    source = path.read_text("utf-8")
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & {"tensorflow", "torch", "jax", "jaxlib"}
    assert "backend.backend()" not in source
    assert "config.backend()" not in source


def test_import_brings_no_optional_package():
    code = (
        "import sys, keras; before = set(sys.modules); import keras_norms;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['keras_norms']"


def test_import_without_any_backend_says_what_to_install(tmp_path):
    """A Python in which no backend can be found: names are missing, with the reason."""
    code = (
        "import importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda n: None if n in ('jax', 'torch', 'tensorflow') else find(n);"
        "import keras_norms.cli as cli; print(cli.main(['demo']));"
        "from keras_norms import MaxNorm"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"KERAS_HOME": str(tmp_path), "PATH": ""},
    )
    lines = done.stderr.splitlines()
    assert done.stdout.strip() == "2"
    assert lines[0] == "Keras needs a backend: pip install jax (or tensorflow, or torch)"
    assert lines[-1] == f"ImportError: {lines[0]}"


def test_the_oracles_share_no_code_with_what_they_judge():
    folder = pathlib.Path(__file__).parents[1] / "conformance" / "oracles"
    for path in folder.glob("*.py"):
        for name in imported(path):
            assert name.startswith("conformance.oracles") or name.split(".")[0] in (
                *("mpmath", "fractions", "functools", "collections"),
                *("dataclasses", "itertools", "math"),
            ), f"{path.name} imports {name}"
