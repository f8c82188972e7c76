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


def test_the_copy_is_changed_and_the_project_is_not(tmp_path, monkeypatch):
    module = "keras_norms/numerics/summation.py"
    before = (ROOT / module).read_text("utf-8")
    seen = []

    def run(root, *arguments):
        seen.append((root / module).read_text("utf-8"))
        return int("pytest" in arguments), "FAILED a test"

    monkeypatch.setattr(plant, "_run", run)
    bug = plant.Bug("a", module, "LONGEST_MERGED_SUM = 512", "LONGEST_MERGED_SUM = 1")
    verdict = plant.judge(bug)
    assert (verdict.found_by, verdict.details) == ("unit tests", "FAILED a test")
    assert seen == [before.replace(bug.old, bug.new)] * 2
    assert (ROOT / module).read_text("utf-8") == before
    with pytest.raises(SystemExit, match="is there 0 times"):
        plant.judge(plant.Bug("a", module, "nothing like this", ""))
