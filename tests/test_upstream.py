"""The reports to Keras: each reproduction prints what is recorded; every failure has a report."""

import ast
import contextlib
import fnmatch
import io
import pathlib
import re
import textwrap
import tomllib
import warnings

import keras
import pytest

from keras_norms.testing.cases import load_cases, packaged_cases

ROOT = pathlib.Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "upstream"
README = (FOLDER / "README.md").read_text("utf-8")
BACKENDS = ("tensorflow", "torch", "jax")
SECTIONS = [
    *("Versions", "Reproduce", "What happens", "What should happen", "Where", "Known as"),
    "Cases of keras_norms",
]
CASES = {case.id: case for case in load_cases(packaged_cases())}
# A tag of Keras' repository, a path below it, the first line and the last line, if there are more.
SOURCE = re.compile(r"\(https://github.com/keras-team/keras/blob/v(.+?)/(.+?)#L(\d+)(?:-L(\d+))?\)")


class Report:
    """The parts of a page."""

    def __init__(self, path):
        self.name = path.name
        title, *parts = re.split(r"^## ", path.read_text("utf-8"), flags=re.MULTILINE)
        self.title = title.removeprefix("# ").strip()
        self.headings = [part.partition("\n")[0] for part in parts]
        self.parts = {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}
        self.version = re.match(r"Keras (\S+) with ", self.parts["Versions"])[1]
        self.snippets = re.findall(r"```python\n(.+?)\n```", self.parts["Reproduce"], re.DOTALL)
        rows = r"^\| (\w+) \| (?:`(.+?)`|does not run there) \| (yes|no|-) \|$"
        table = re.findall(rows, self.parts["What happens"], re.MULTILINE)
        self.prints = {backend: printed for backend, printed, _ in table}
        self.is_right = {backend: verdict for backend, _, verdict in table}
        self.cases = re.findall(r"^- `(.+)`$", self.parts[SECTIONS[-1]], re.MULTILINE)


REPORTS = [Report(path) for path in sorted(FOLDER.glob("*.md")) if path.name != "README.md"]
each = pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)


def only_with_its_keras(report):
    """What a page records holds for one version of Keras, and says nothing about another."""
    if keras.__version__ != report.version:
        pytest.skip(f"{report.name} is about Keras {report.version}, not {keras.__version__}")


@each
def test_a_report_is_complete(report):
    assert report.headings == SECTIONS
    assert all(report.parts.values())
    assert tuple(report.prints) == BACKENDS
    assert "no" in report.is_right.values()


def test_the_records_are_of_the_pinned_versions():
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "pins.txt").read_text("utf-8"), re.M))
    names = {"keras": "Keras", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
    (line,) = {report.parts["Versions"] for report in REPORTS}
    assert {name: f"{name} {pins[key]}" for key, name in names.items()} == {
        name: re.search(rf"\b{name} [\d.]*\d", line)[0] for name in names.values()
    }


@each
def test_a_reproduction_is_short_and_needs_keras_alone(report):
    (snippet,) = report.snippets
    assert len(snippet.splitlines()) <= 10
    modules = set()
    for node in ast.walk(ast.parse(snippet)):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    assert modules <= {"keras", "numpy", "torch"}
    # Only what needs PyTorch itself is left out elsewhere.
    elsewhere = {backend for backend, verdict in report.is_right.items() if verdict == "-"}
    assert elsewhere == ({"tensorflow", "jax"} if "torch" in modules else set())


@each
def test_keras_prints_what_is_recorded(report):
    only_with_its_keras(report)
    backend = keras.backend.backend()
    if report.is_right[backend] == "-":
        assert backend != "torch"  # there is nothing to run without PyTorch
        return
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        # Whoever runs it may see warnings, which are not what is reported.
        warnings.simplefilter("ignore")
        exec(compile(report.snippets[0], report.name, "exec"), {"__name__": "__main__"})
    got, recorded = printed.getvalue().strip(), report.prints[backend]
    if report.is_right[backend] == "yes":
        message = f"{report.name} says that {backend} is right, which has changed"
    else:
        message = f"mended upstream, or wrong in another way: take away or renew {report.name}"
    assert got == recorded, f"{message}. Recorded: {recorded}. Received: {got}"


@each
def test_the_code_that_is_shown_is_in_keras(report):
    only_with_its_keras(report)
    shown = re.findall(r"```text\n(.+?)\n```", report.parts["Where"], re.DOTALL)
    places = SOURCE.findall(report.parts["Where"])
    assert len(shown) == len(places) > 0
    for code, (tag, path, first, last) in zip(shown, places, strict=True):
        assert tag == report.version
        file = pathlib.Path(keras.__file__).parent / path.removeprefix("keras/")
        lines = file.read_text("utf-8").splitlines()[int(first) - 1 : int(last or first)]
        assert textwrap.dedent("\n".join(lines)) == code


def test_the_table_is_what_the_reports_say():
    rows = re.findall(
        r"^\| \[(.+)\]\((.+?)\) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", README, re.M
    )
    assert sorted(name for _, name, *_ in rows) == [report.name for report in REPORTS]
    found = {
        name: (title, backends, cases, known) for title, name, backends, _, cases, known in rows
    }
    assert found == {
        report.name: (
            report.title,
            ", ".join(b for b, verdict in report.is_right.items() if verdict == "no"),
            str(len(report.cases) or "-"),
            "no" if "No existing issue found." in report.parts["Known as"] else "yes",
        )
        for report in REPORTS
    }


def test_every_failure_has_a_report():
    named = {case for report in REPORTS for case in report.cases}
    assert named <= set(CASES)
    with (ROOT / "conformance" / "expected_failures.toml").open("rb") as file:
        failures = tomllib.load(file)["failure"]
    # What fails "before" a version Keras has mended since.
    expected = {entry["id"] for entry in failures if "before" not in entry}
    assert {pattern for pattern in expected if not fnmatch.filter(named, pattern)} == set()
    page = (ROOT / "docs" / "keras-failures.md").read_text("utf-8")
    wrong = page.split("\n## Wrong\n")[1].split("\n## ")[0]
    rows = set(re.findall(r"^\| (KN-\S+) \| (\w+) \|", wrong, re.MULTILINE))
    assert rows
    assert rows - {(CASES[case].requirement, CASES[case].kind) for case in named} == set()
    shown = set(re.findall(r"-k (\S+)`", wrong))
    assert shown - named == set()
