"""The bugs to plant are of the code as it is now, and a verdict is what it says."""

import pathlib

import pytest

from conformance import plant

ROOT = pathlib.Path(__file__).parents[2]
BUGS = plant.load(sorted((ROOT / "conformance" / "planted").glob("*.toml")))


def test_every_bug_is_in_its_module_once():
    stale = [b.name for b in BUGS if (ROOT / b.module).read_text("utf-8").count(b.old) != 1]
    assert not stale


def test_the_names_of_bugs_are_unique():
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize(
    ("found_by", "lives", "right"),
    [
        ("golden cases", "", True),
        ("", "", False),
        ("", "a reason", True),
        ("unit tests", "x", False),
    ],
)
def test_a_bug_must_be_found_unless_it_changes_no_result(found_by, lives, right):
    bug = plant.Bug("a", "b.py", "old", "new", lives)
    assert plant.Verdict(bug, found_by, "").is_as_it_must_be is right


def test_the_files_that_come_last_are_there():
    missing = [name for name in plant.LAST if not (ROOT / "tests" / f"{name}.py").is_file()]
    assert not missing


def test_a_run_without_tests_finds_no_bug(monkeypatch):
    monkeypatch.setattr(plant, "_run", lambda root, *arguments: (4 * ("pytest" in arguments), ""))
    bug = plant.Bug("a", "keras_norms/demo.py", "import keras\n", "import keras, math\n")
    with pytest.raises(SystemExit, match="a: pytest ran no test"):
        plant.judge(bug)


def _judged(monkeypatch, answers):
    """The verdict of a bug, where the runs of a copy say these things, one after another."""
    said = iter(answers)
    monkeypatch.setattr(plant, "_run", lambda root, *arguments: next(said))
    verdict = plant.judge(BUG)
    assert list(said) == []
    return verdict.found_by, verdict.details


BUG = plant.Bug("a", "keras_norms/demo.py", "import keras\n", "import keras, math\n")
RIGHT, FAILS, HANGS = (0, "passed"), (1, "FAILED tests/a.py::b[c - d] - e"), (None, "not done")
DIES = (-11, FAILS[1].removeprefix("FAILED "))


@pytest.mark.parametrize(
    ("answers", "found_by"),
    [
        ([RIGHT, RIGHT, RIGHT], ""),
        ([RIGHT, FAILS, RIGHT], "unit tests"),
        ([RIGHT, RIGHT, FAILS, RIGHT], "unit tests"),
        ([RIGHT, DIES], "unit tests"),
        ([HANGS], ""),
        ([RIGHT, HANGS], ""),
        ([FAILS], "golden cases"),
    ],
)
def test_what_does_not_end_finds_no_bug(monkeypatch, answers, found_by):
    found, details = _judged(monkeypatch, answers)
    assert found == found_by
    (said,) = {said for code, said in answers if code != 0} or {"passed"}
    assert details == said


@pytest.mark.parametrize("without", [FAILS, HANGS])
def test_a_test_that_fails_without_the_bug_finds_none(monkeypatch, without):
    with pytest.raises(SystemExit, match="a: this fails without it, too"):
        _judged(monkeypatch, [RIGHT, FAILS, without])


def test_what_the_manifest_tells_is_not_planted():
    bug = plant.Bug("a", "conformance/mutants/plain.py", "dataclasses", "dataclass")
    with pytest.raises(SystemExit, match="a: the manifest tells each change of conformance/mut"):
        plant.judge(bug)


def test_the_copy_is_changed_and_the_project_is_not(tmp_path, monkeypatch):
    module = "keras_norms/numerics/summation.py"
    before = (ROOT / module).read_text("utf-8")
    seen, asked = [], []

    def run(root, *arguments):
        seen.append((root / module).read_text("utf-8"))
        asked.append(arguments[-1])
        return int("-x" in arguments), "FAILED tests/a.py::b[c - d] - e"

    monkeypatch.setattr(plant, "_run", run)
    bug = plant.Bug("a", module, "LONGEST_MERGED_SUM = 512", "LONGEST_MERGED_SUM = 1")
    verdict = plant.judge(bug)
    assert (verdict.found_by, verdict.details) == ("unit tests", "FAILED tests/a.py::b[c - d] - e")
    assert seen == [before.replace(bug.old, bug.new)] * 2 + [before]
    assert asked[-1] == "tests/a.py::b[c - d]"
    assert (ROOT / module).read_text("utf-8") == before
    with pytest.raises(SystemExit, match="is there 0 times"):
        plant.judge(plant.Bug("a", module, "nothing like this", ""))
