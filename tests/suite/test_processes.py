"""The suite over several processes, and the controls that each of them loads."""

import json
import pathlib
import types
from collections import Counter

import pytest
from one_case import case

from keras_norms.testing import command, report
from keras_norms.testing.cases import load_cases, packaged_cases
from keras_norms.testing.controls import Mutant, MutantOutcome, load_controls
from keras_norms.testing.manifest import BrokenCases, Manifest, digest, manifest_beside
from keras_norms.testing.processes import Suite
from keras_norms.testing.runner import Outcome

MUTANTS = """
import os

from keras_norms.testing.controls import Mutant, Trouble


def make(**config):
    return lambda w: w * 2


MUTANTS = [Mutant("twice", {"MaxNorm": make})]
"""
DYING = MUTANTS.replace("return lambda w: w * 2", "os._exit(0)")
TROUBLES = """
from keras_norms.testing.controls import Trouble

TROUBLES = [Trouble("none", lambda cases, device: True)]
"""


CONTROLS = pathlib.Path(__file__).parents[2] / "conformance" / "mutants"


def shape(case):
    return case.dtype, str(case.inputs.get("w", {}).get("shape"))


def folders(tmp_path, name, mutants=MUTANTS):
    """Cases, and controls in a package of two levels. Its name is used once in a process.

    The second case expects what is wrong, so that no mutant dies of it.
    """
    file = tmp_path / "cases" / "max_norm" / "cases.json"
    file.parent.mkdir(parents=True)
    right, wrong = vars(case()), json.loads(json.dumps(vars(case(id="b", title="off"))))
    wrong["expected"]["result"]["values"][0][0] = "0x1.0p+0"
    last = vars(case(id="c", title="the same"))
    cases = [{k: v for k, v in each.items() if k != "target"} for each in (right, wrong, last)]
    file.write_text(json.dumps({"target": "MaxNorm", "count": 3, "cases": cases}))
    inner = tmp_path / name / "controls" / "norms"
    inner.mkdir(parents=True)
    for folder in (inner.parents[1], inner.parent, inner):
        (folder / "__init__.py").touch()
    (inner / "mutants.py").write_text(mutants)
    (inner.parent / "harness.py").write_text(TROUBLES)
    return tmp_path / "cases", inner.parent


def test_controls_are_modules_of_a_package_at_any_depth(tmp_path):
    _, folder = folders(tmp_path, "at_any_depth")
    (mutant,), (trouble,) = load_controls(folder)
    assert mutant.classes["MaxNorm"].__module__ == "at_any_depth.controls.norms.mutants"
    assert (mutant.name, trouble.name) == ("twice", "none")


def test_a_folder_without_controls_is_broken(tmp_path):
    with pytest.raises(BrokenCases, match="No MUTANTS and no TROUBLES"):
        load_controls(tmp_path)


def test_two_controls_of_one_name_are_broken(tmp_path):
    text = MUTANTS + 'MUTANTS += [Mutant("twice", {"L1": make})]'
    _, folder = folders(tmp_path, "one_name", text)
    with pytest.raises(BrokenCases, match="unique"):
        load_controls(folder)


@pytest.mark.parametrize("target", ["NoSuchClass", "nowhere:Class", "keras:NoSuchClass"])
def test_a_case_of_what_does_not_exist_is_broken(target, tmp_path):
    cases, _ = folders(tmp_path, "without_target")
    file = cases / "max_norm" / "cases.json"
    file.write_text(file.read_text().replace("MaxNorm", target, 1))
    with pytest.raises(BrokenCases, match=f"There is no target '{target}'"):
        Suite(["keras_norms"], cases).check_targets()


def test_every_part_is_planned_once():
    suite = Suite(["keras_norms"], packaged_cases())
    planned = [i for part in suite.parts() for i in part.cases]
    assert sorted(planned) == list(range(len(load_cases(packaged_cases()))))


def test_two_processes_find_what_one_finds(tmp_path):
    suite = Suite(["keras_norms", "keras"], *folders(tmp_path, "two_processes"))
    one, two = suite.run(1), suite.run(2)
    assert one == two
    found, (killed,) = two
    for outcomes in found.values():
        assert [o.case.id for o in outcomes] == ["a", "b", "c"]
        assert [o.status for o in outcomes] == ["passed", "failed", "passed"]
    assert killed.dead


def options(cases, controls, **changes):
    given = {"target": "keras_norms", "backend": None, "device": "cpu", "jobs": 2, "words": ""}
    given |= {"cases": str(cases), "controls": controls and str(controls), "quiet": True}
    given |= {"report": None, "keras_report": None, "all_kills": False}
    return types.SimpleNamespace(**given | changes)


@pytest.mark.parametrize(("name", "others"), [("with_a_living_one", True), ("with_none", False)])
def test_one_living_mutant_beside_a_dead_one_breaks_the_run(tmp_path, name, others):
    right = 'MUTANTS += [Mutant("right", {"MaxNorm": lambda **c: keras_norms.MaxNorm(**c)})]'
    text = f"import keras_norms\n{MUTANTS}{right if others else ''}\n"
    cases, controls = folders(tmp_path, name, text)
    (file,) = cases.rglob("*.json")
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | {"count": 1, "cases": data["cases"][:1]}))  # which is right
    code = command.run(options(cases, controls, jobs=1))
    assert code == (command.BROKEN if others else command.CONFORMS)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("of_no_class", '{"MaxNrom": make}'),
        ("of_no_case", '{"MaxNorm": make}, config={"max_value": 99}'),
        ("that_crashes", '{"MaxNorm": lambda: None}'),
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_mutant_that_shows_nothing_breaks_the_run(tmp_path, name, changed, jobs):
    text = MUTANTS.replace('{"MaxNorm": make}', changed)
    given = options(*folders(tmp_path, f"{name}_{jobs}", text), jobs=jobs)
    assert command.run(given) == command.BROKEN


DIES_AND_CRASHES = """
from keras_norms.testing.controls import Mutant

calls = []


def make(**config):
    calls.append(config)
    if len(calls) > 1:
        raise TypeError
    return lambda w: w * 2


MUTANTS = [Mutant("dies and crashes", {"MaxNorm": make})]
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_mutant_that_dies_and_crashes_is_not_dead(tmp_path, jobs):
    cases, controls = folders(tmp_path, f"dies_and_crashes_{jobs}", DIES_AND_CRASHES)
    given = options(cases, controls, jobs=jobs, all_kills=True)
    assert command.run(given) == command.BROKEN


def test_a_trouble_that_nothing_notices_breaks_the_run(tmp_path):
    cases, controls = folders(tmp_path, "unnoticed")
    harness = controls / "harness.py"
    harness.write_text(harness.read_text().replace(": True", ": False"))
    assert command.run(options(cases, controls, jobs=1)) == command.BROKEN


def test_a_crash_is_no_verdict_but_where_an_exception_is_due():
    kinds = ("forward", "jit", "gradient", "raises")
    outcomes = [Outcome(case(id=k, kind=k), "crashed", exception="TypeError") for k in kinds]
    found = MutantOutcome(Mutant("one", {"MaxNorm": lambda: None}), outcomes)
    assert [outcome.case.kind for outcome in found.crashes] == ["forward", "jit", "gradient"]


def test_words_do_not_change_the_verdict_on_a_mutant(tmp_path):
    """It must be killed by the other case."""
    suite = Suite(["keras_norms"], *folders(tmp_path, "other_case"), words="off")
    found, (killed,) = suite.run(1)
    assert [o.case.id for o in found["keras_norms"]] == ["b"]
    assert [o.case.id for o in killed.outcomes] == ["a"]
    assert Suite(*suite.arguments[:4], words="nothing").mutants == []


def test_a_mutant_runs_until_a_case_kills_it_or_on_all(tmp_path):
    arguments = (["keras_norms"], *folders(tmp_path, "all_kills"))
    _, (first,) = Suite(*arguments).run()
    _, (every,) = Suite(*arguments, all_kills=True).run()
    assert (first.killers, every.killers) == (["a"], ["a", "c"])


def test_cases_that_can_be_left_out_are_listed_only_where_all_kills_are_known(tmp_path, capsys):
    """The last case covers what the first does."""
    given = options(*folders(tmp_path, "left_out"), jobs=1, quiet=False)
    assert command.run(given) == command.FAILS
    assert "can be left out" not in capsys.readouterr().out
    given.all_kills = True
    assert command.run(given) == command.FAILS
    printed = capsys.readouterr().out
    assert "twice: killed by a and 1 more" in printed
    assert "Can be left out, others cover the same: c" in printed


def test_the_most_common_shapes_come_first_for_a_mutant():
    suite = Suite(["keras_norms"], packaged_cases(), CONTROLS)
    frequency = Counter(map(shape, suite.all_cases))
    (part,) = [p for p in suite.parts() if p.mutant == 0]
    found = [frequency[shape(suite.all_cases[i])] for i in part.cases]
    assert len(found) > 1
    assert found == sorted(found, reverse=True)


def test_what_differs_from_the_manifest_breaks_the_run(tmp_path):
    cases, controls = folders(tmp_path, "listed")
    file = cases / "max_norm" / "cases.json"
    listed = {"count": 3, "sha256": digest(file.read_text())}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"cases": {"max_norm/cases.json": listed}, "controls": {}}))
    found = manifest_beside(cases)
    found.check_cases(cases)
    assert (found.number_of_cases, found.names_of_controls) == (3, set())
    with pytest.raises(BrokenCases, match=r"These files differ: \['__init__.py', "):
        found.check_controls(controls, [])
    (controls.parent / "manifest.json").write_text('{"cases": {}, "controls": {}}')
    assert command.run(options(cases, controls, jobs=1)) == command.BROKEN
    file.write_text(file.read_text() + " ")
    assert command.run(options(cases, None)) == command.BROKEN
    manifest.write_text('{"cases": {}}')
    assert command.run(options(cases, None)) == command.BROKEN
    for of_another_tool in ("[]", '{"name": "of another tool"}'):
        manifest.write_text(of_another_tool)
        assert command.run(options(cases, None, jobs=1)) == command.FAILS
    manifest.unlink()
    assert command.run(options(cases, None, jobs=1)) == command.FAILS


def test_the_controls_are_those_of_the_manifest_no_more_and_no_less(tmp_path):
    manifest = Manifest("", {}, {"a.py": {"names": ["a", "b"], "sha256": digest("")}})
    (tmp_path / "a.py").write_text("")
    manifest.check_controls(tmp_path, ["b", "a"])
    for names in (["a"], ["a", "b", "c"]):
        with pytest.raises(BrokenCases, match=r"The controls must be those of the manifest"):
            manifest.check_controls(tmp_path, names)


def test_the_cases_of_the_package_have_a_manifest(tmp_path, monkeypatch, capsys):
    cases, _ = folders(tmp_path, "without_manifest")
    monkeypatch.setattr(command, "packaged_cases", lambda: cases)
    given = options(cases, None, jobs=1)
    given.cases = None
    assert command.run(given) == command.BROKEN
    assert "There is no manifest beside" in capsys.readouterr().out


def test_both_reports_say_of_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "package_commit", lambda: "abc")
    cases, _ = folders(tmp_path, "of_what")
    paths = [tmp_path / "ours.json", tmp_path / "theirs.json"]
    given = {"report": str(paths[0]), "keras_report": str(paths[1]), "words": "3-4-5"}
    assert command.run(options(cases, None, jobs=1, **given)) == command.CONFORMS
    ours, theirs = (json.loads(path.read_text()) for path in paths)
    assert (ours["target"], theirs["target"]) == ("keras_norms", "keras")
    for each in (ours, theirs):
        assert (each["commit"], each["words"], each["counts"]["planned"]) == ("abc", "3-4-5", 1)


def test_a_crash_of_the_code_under_test_is_a_failure_in_the_report(tmp_path):
    outcomes = [Outcome(case(), "passed"), Outcome(case(id="b"), "crashed", severity="wrong")]
    found = report.make_report(options(tmp_path, None), "keras_norms", None, outcomes, [], {})
    assert (found["counts"]["passed"], found["counts"]["failed"]) == (1, 1)
    assert [each["status"] for each in found["cases"]] == ["passed", "failed"]


def test_a_report_of_an_earlier_run_does_not_survive(tmp_path):
    report = tmp_path / "report.json"
    report.write_text("{}")
    assert command.run(options(tmp_path / "cases", None, report=str(report))) == command.BROKEN
    assert not report.exists()


def test_a_process_that_dies_breaks_the_run(tmp_path, capsys):
    cases, controls = folders(tmp_path, "that_dies", DYING)
    report = tmp_path / "report.json"
    assert command.run(options(cases, controls, report=str(report))) == command.BROKEN
    assert "A process died" in capsys.readouterr().out
    assert not report.exists()
