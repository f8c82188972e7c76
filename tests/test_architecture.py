"""The order in which modules import one another, and what must not be in the package."""

import ast
import pathlib
import re
import subprocess
import sys

import keras
import pytest

import keras_norms

PACKAGE = pathlib.Path(keras_norms.__file__).parent
ROOT = pathlib.Path(__file__).parents[1]

# Each module may import only those before it. docs/design.md shows this order.
ORDER = [
    "startup",
    "warning",
    "keras_internals",
    "numerics",
    "numerics.precision",
    "numerics.loops",
    "numerics.groups",
    "numerics.entries",
    "numerics.summation",
    "numerics.norms",
    "numerics.projections",
    "numerics.thresholds",
    "numerics.sparsity",
    "numerics.spectra",
    "numerics.polar",
    "numerics.spectral_sets",
    "config",
    "setting",
    "identifiers",
    "constraints.lookup",
    "constraints.base",
    "constraints.norms",
    "constraints.entries",
    "constraints.sparsity",
    "constraints.spectra",
    "constraints.sums",
    "constraints.chain",
    "constraints",
    "regularizers.lookup",
    "regularizers.base",
    "regularizers.norms",
    "regularizers.spectra",
    "regularizers.activities",
    "regularizers.sparsity",
    "regularizers.sum",
    "regularizers",
    "models",
    "models.operators",
    "models.layouts_elsewhere",
    "models.layouts",
    "models.weights",
    "models.expressions",
    "models.selection",
    "models.describe",
    "models.changes",
    "models.planning",
    "models.loading",
    "models.holders",
    "models.saving",
    "models.penalties",
    "models.measures",
    "models.averages",
    "models.setters",
    "models.attach",
    "models.distributions",
    "models.pruning",
    "models.files",
    "models.copies",
    "models.project_weights",
    "models.norm_history",
    "models.factor_schedule",
    "models.sparsity_schedule",
    "auditing",
    "auditing.finding",
    "auditing.fixes",
    "auditing.axis_findings",
    "auditing.setting_findings",
    "auditing.value_findings",
    "auditing.weight_findings",
    "auditing.activity_findings",
    "auditing.step_findings",
    "auditing.model_findings",
    "auditing.batches",
    "auditing.report",
    "auditing.pictures",
    "auditing.audit",
    "",  # keras_norms itself
    "auditing.command",
    "demo",
    "cli",
    "__main__",
]
# It knows the backends, and imports what it likes.
TESTING = "testing"


def modules(folder=PACKAGE):
    """The dotted name of every module below the package, at any depth, with its file."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


SOURCES = {name: path for name, path in modules() if name.split(".")[0] != TESTING}


def imported(path):
    """The full names of the modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} uses a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full.removeprefix("keras_norms.") in SOURCES else node.module


def test_every_module_has_its_place():
    assert set(SOURCES) == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_follow_the_order(module):
    found = {n for n in imported(SOURCES[module]) if n.partition(".")[0] == "keras_norms"}
    inner = {n.removeprefix("keras_norms").removeprefix(".") for n in found}
    wrong = {n for n in inner if n.partition(".")[0] != TESTING} - set(ORDER[: ORDER.index(module)])
    assert not wrong, f"{module} imports {wrong}, which come after it"
    if module != "cli":
        assert not [n for n in inner if n.partition(".")[0] == TESTING]


def test_the_page_shows_this_order():
    """docs/design.md draws the order in one line per folder."""
    page = (ROOT / "docs" / "design.md").read_text("utf-8")
    assert picture() in page, f"docs/design.md must hold:\n{picture()}"


def picture():
    """The modules in their order, those of a folder in one line, with what the folder is for."""
    lines: list[tuple[str, list[str]]] = []
    for name in ORDER:
        folder, _, module = name.rpartition(".")
        if name in {n.partition(".")[0] for n in ORDER if "." in n} or name == "":
            continue  # a folder itself
        if folder and lines and lines[-1][0] == folder:
            lines[-1][1].append(module)
        else:
            lines.append((folder, [module]))
    return "\n".join(
        f"    {folder + '/':<14}{' '.join(names)}" if folder else f"    {names[0]}"
        for folder, names in lines
    )


@pytest.mark.parametrize("module", SOURCES)
def test_no_backend_in_the_package(module):
    source = SOURCES[module].read_text("utf-8")
    roots = {name.split(".")[0] for name in imported(SOURCES[module])}
    assert not roots & {"tensorflow", "torch", "jax", "jaxlib"}
    assert "backend.backend()" not in source
    assert "config.backend()" not in source


def objects_of_keras():
    dense = keras.layers.Dense(1)
    attention = keras.layers.MultiHeadAttention(1, 1)
    yield from (keras.Sequential([dense]), dense, attention, keras.Variable(0.0))
    yield from (keras.optimizers.SGD(), keras.callbacks.Callback())


PRIVATE = {n for each in objects_of_keras() for n in dir(each) if re.match("_[a-z]", n)}


def private_names(source):
    """Names of Keras that begin with an underscore, as attributes and in texts."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner not in ("self", "cls") or node.attr in PRIVATE:
                yield node.attr
        if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("attr"):
            yield from (c for c in constants(node.args) if re.match("_[a-z]", c))
        if isinstance(node, ast.Constant) and re.search(r"\w\._[a-z]\w*", str(node.value)):
            yield node.value  # Python as a text
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src"):
            yield node.module


def constants(nodes):
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


EVERY_SOURCE = {name: path for name, path in modules() if name != "keras_internals"}


@pytest.mark.parametrize("module", EVERY_SOURCE)
def test_private_names_of_keras_are_in_one_module(module):
    found = set(private_names(EVERY_SOURCE[module].read_text("utf-8")))
    assert not found, f"{module} uses {found}; move what needs them to keras_internals.py"


@pytest.mark.parametrize(
    "source",
    [
        "model._flatten_layers()",
        "self._layers",
        'getattr(layer, "_kernel")',
        'f"model._flatten_layers()[{i}]"',
        "from keras.src import backend",
    ],
)
def test_control_a_private_name_is_seen(source):
    assert list(private_names(source))


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


def test_no_name_hides_a_module():
    """`kn.audit` is a function, so no module may be called `keras_norms.audit`."""
    tops = {name for name in SOURCES if name and "." not in name}
    both = tops & set(keras_norms.__all__)
    assert both == {"constraints", "regularizers"}
    assert not [n for n in both if not hasattr(getattr(keras_norms, n), "__path__")]


def test_the_oracles_share_no_code_with_what_they_judge():
    paths = list((ROOT / "conformance" / "oracles").rglob("*.py"))
    assert len(paths) > 5
    for path in paths:
        for name in imported(path):
            assert name.startswith("conformance.oracles") or name.split(".")[0] in (
                *("mpmath", "fractions", "functools", "collections", "base64"),
                *("dataclasses", "itertools", "math"),
            ), f"{path.name} imports {name}"
