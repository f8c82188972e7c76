"""The pages say what is so today."""

import hashlib
import json
import pathlib
import re
import runpy
import tomllib
from collections import Counter

import pytest
from traps import TRAPS

import keras_norms as kn
from keras_norms.testing.cases import load_cases, packaged_cases

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
REQUIREMENTS = {case.requirement for case in load_cases(packaged_cases())}


def test_the_matrix_and_the_badge_stand_for_all_cases():
    cases = load_cases(packaged_cases())
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \| (\d+) of (\d+)[^|]*\|", page, re.MULTILINE)
    wanted = Counter(case.target for case in cases)
    # What TensorFlow cannot run on one processor.
    elsewhere = ("torch_optimizer", "stateless_apply", "data_parallel", "model_parallel")
    impossible = Counter(case.target for case in cases if case.inputs.get("path") in elsewhere)
    assert {name for name, _, _ in rows} == {*wanted, "all"}
    for name, _, run in rows:
        planned = wanted[name] if name != "all" else len(cases)
        assert int(run) == planned - (impossible[name] if name != "all" else impossible.total())
    backends = ("tensorflow", "torch", "jax")
    (whole,) = re.findall(r"^\| all \|.*$", page, re.MULTILINE)
    counts = list(zip(backends, re.findall(r"(\d+) of (\d+)", whole), strict=False))
    badge = json.loads((ROOT / "docs" / "badge.json").read_text("utf-8"))
    assert badge["message"] == ", ".join(f"{backend} {passed}" for backend, (passed, _) in counts)
    assert badge["color"] == "brightgreen"
    on_each = ", ".join(f"{passed} of {run} on {backend}" for backend, (passed, run) in counts)
    assert f"Cases that pass: {on_each}. " in README


def test_the_listed_failures_of_keras_are_cases():
    page = (ROOT / "docs" / "keras-failures.md").read_text("utf-8")
    listed = re.findall(r"-k (\S+)`", page)
    assert listed
    assert set(listed) <= {case.id for case in load_cases(packaged_cases())}


def test_every_requirement_is_explained():
    page = (ROOT / "conformance" / "README.md").read_text("utf-8")
    assert set(re.findall(r"KN-[A-Z0-9]+-[0-9]{3}", page)) == REQUIREMENTS


def test_every_finding_is_explained():
    page = (ROOT / "docs" / "whole-models.md").read_text("utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| (x?) ?\| ", page, re.MULTILINE)
    severities = {name.split(",")[0]: severity for name, (severity, *_) in TRAPS.items()}
    assert {code: "error" if x else "warning" for code, x in rows} == severities
    page = (ROOT / "docs" / "findings.md").read_text("utf-8")
    sections = re.findall(r"^## (.+)\n\n\*\*(Error|Warning)\.\*\* ", page, re.MULTILINE)
    assert {code: severity.lower() for code, severity in sections} == severities
    examples = dict(re.findall(r"^## ([a-z-]+)\n(.+?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(examples) == set(severities)
    for code, text in examples.items():  # each example ends in the finding
        assert re.search(rf"^(error|warning) {code}: |['\"]{code}['\"]", text, re.MULTILINE), code


@pytest.mark.parametrize("kind", ["constraints", "regularizers"])
def test_every_class_is_explained_with_a_picture(kind):
    page = (ROOT / "docs" / f"{kind}.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.+?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(getattr(kn, kind).__all__)
    pages = [path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")]
    shown = {name for text in pages for name in re.findall(r"\((pictures/.+?)\)", text)}
    assert all(f"(pictures/{name}.png)" in text for name, text in sections.items())
    assert shown == {f"pictures/{path.name}" for path in (ROOT / "docs/pictures").iterdir()}


def test_the_test_command_is_the_one_that_ci_runs():
    assert "\npip install nox && nox\n" in README
    script = ROOT / ".ci" / "run"
    # The source distribution, which must test itself, too, is without it.
    assert not script.parent.is_dir() or "\npip install nox && nox\n" in script.read_text("utf-8")


REPOSITORY = "https://github.com/keras-norms/keras_norms"
IN_REPOSITORY = (
    f"{REPOSITORY}/blob/main/",
    f"{REPOSITORY}/tree/main/",
    "https://raw.githubusercontent.com/keras-norms/keras_norms/main/",
)
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff")),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "conformance" / "README.md",
]


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        start = next((start for start in IN_REPOSITORY if link.startswith(start)), None)
        if start is None and "://" in link:
            continue  # of another site, which no test may need
        assert start or page.name != "README.md" or page.parent != ROOT, f"not absolute: {link}"
        path, _, anchor = link.removeprefix(start or "").partition("#")
        target = (ROOT if start else page.parent) / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_shows_what_the_demo_printed():
    printed = (ROOT / "examples" / "output" / "jax" / "demo.txt").read_text("utf-8").splitlines()
    block = README.split("The picture and the table")[1].split("```")[1].strip("\n")
    assert block.splitlines() == [line.rstrip() for line in printed[: len(block.splitlines())]]


def test_every_printed_block_is_from_a_kept_output():
    """Blocks without a language are commands, or lines that a command of the project printed.

    What docs/your-own.md shows is compared in test_laws_command.py.
    """
    kept = [p.read_text("utf-8").splitlines() for p in ROOT.glob("*/output/*/*.txt")]
    kept = [[line.rstrip() for line in lines] for lines in kept]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in (page for page in pages if page.name != "your-own.md"):
        fences = re.findall(r"^```(.*?)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
        for block in (block for language, block in fences if not language):
            lines = [line.rstrip() for line in block.strip("\n").splitlines()]
            if lines[0].startswith(("pip ", "git ", "nox ", "keras-norms ")):
                continue
            assert any(
                output[i : i + len(lines)] == lines for output in kept for i in range(len(output))
            ), f"{page.name}: {lines[0]}"


def test_the_page_of_benchmarks_shows_what_they_printed():
    summary = runpy.run_path(str(ROOT / "benchmarks" / "summary.py"))
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert summary["with_tables"](page) == page, "run `python -m benchmarks.summary`"


def test_no_kept_output_is_stale():
    """It was made by its script as it is today, with the pinned versions."""
    notes = json.loads((ROOT / "docs" / "made-from.json").read_text("utf-8"))
    kept = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("*/output/*/*.txt")}
    assert set(notes) == kept
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "pins.txt").read_text("utf-8"), re.M))
    stale = {}
    for name, note in notes.items():
        script = ROOT / note["script"]
        if hashlib.sha256(script.read_bytes()).hexdigest() != note["sha256"]:
            stale[name] = f"{note['script']} has changed"
        elif any(pins[package] != version for package, version in note["versions"].items()):
            stale[name] = f"made with {note['versions']}"
    assert stale == {}, "run `nox -s examples benchmarks peers -- --write` for these"


def test_it_is_cited_as_this_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {kn.__version__}\n" in citation


def test_the_page_of_versions_names_what_is_supported_and_what_is_tested():
    page = (ROOT / "docs" / "versions.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| (\d\S*) \|", page, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = [*project["dependencies"], *extras]
    floors = dict(line.split(">=") for line in lines if ">=" in line)
    for name in ("Keras", "TensorFlow", "JAX", "NumPy"):
        assert rows[name] == floors[name.lower()]
    assert f">={rows['Python']}" == project["requires-python"]
    assert f"another torch >= {rows['PyTorch']}" in (ROOT / "pyproject.toml").read_text("utf-8")
    oldest = (ROOT / "sessions" / "nightly.py").read_text("utf-8")
    for name in ("Keras", "TensorFlow", "PyTorch", "JAX", "NumPy"):
        pinned = {"PyTorch": "torch"}.get(name, name.lower())
        (version,) = re.findall(f"^{pinned}==(.*)$", (ROOT / "pins.txt").read_text(), re.MULTILINE)
        assert re.search(rf"^\| {name} \| \S+ \| {version}\b", page, re.MULTILINE), (name, version)
        assert f'"{pinned}=={rows[name]}.' in oldest, name
