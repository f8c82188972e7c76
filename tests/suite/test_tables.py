"""The pages say what the reports say: tables of Markdown, and the contents of the HTML page."""

import json

import pytest
from runs import BACKENDS, badge, case, draw, keras_reports, older, report

from conformance import matrix, page, tables
from conformance.page import contents
from conformance.reports import load


def test_an_infinite_score_is_read_from_a_word(tmp_path):
    measure = case("passed")["measures"][0] | {"score": "inf", "relative": "inf"}
    failed = case("failed", "wrong", measures=[measure])
    text = json.dumps(report("jax", cases=[failed] * 2, controls={}))
    (tmp_path / "jax-cpu-keras.json").write_text(text)
    badge(tmp_path)
    keras = contents({}, load(tmp_path, ["jax"], "cpu", "-keras"), [])["columns"][0]
    assert keras["outcomes"][0][2:4] == ["inf", "4"]


def test_titles_lose_their_markdown_and_keep_their_formulas(tmp_path):
    (tmp_path / "README.md").write_text("| KN-L1-001 | `a * sum(x**2)` is *not* c | *Keras* |\n")
    found = contents({"jax": report("jax")}, {}, [], tmp_path)["requirements"]
    assert found == {"KN-L1-001": ["a * sum(x**2) is not c", "Keras"]}


def test_the_cells_are_accounted_for():
    reports = {"jax": report("jax"), "jax-keras3.10": older()}
    first, second = tables.accounting(reports, {"jax": report("jax")}).splitlines()[2:]
    assert "| jax-keras3.10 | Keras 3.10.0, jax 1.0, 2026-01-01 | 3 | 3 | 0 | 0 | 0 |" in second
    assert first.endswith("| 1 of 1 |  |")


def test_what_keras_fails_is_told_apart_by_severity(tmp_path):
    keras_reports(tmp_path)
    code, _ = badge(tmp_path)
    assert code == 0, "what Keras fails does not make our badge red"
    table = (tmp_path / "matrix.md").read_text()
    assert "| cases that fail: wrong | 0 | 0 | 0 | 1 | 1 | 1 |" in table
    assert "| cases that fail: imprecise | 0 | 0 | 0 | 0 | 0 | 1 |" in table
    listed = (tmp_path / "keras-failures.md").read_text()
    wrong, imprecise = listed.split("## wrong")[1].split("## imprecise")
    row = "| KN-L1-001 | forward | tensorflow 1, torch 1, jax 1 | L1: a & b | <X object> is inf | "
    assert row + "`keras-norms conformance -k l1-forward-float32-a`" in wrong
    assert "| jax 1 | L1: a & b | 1 ulp off | float64 9 ulp (0.0001 %) | `keras-norms" in imprecise


def place(name):
    return f"<!-- generated: {name} -->\nstale\n<!-- end of what is generated -->\n"


def project(folder):
    """A project of pages whose places are to be filled."""
    (folder / "docs").mkdir()
    (folder / "README.md").write_text(place("proof"))
    names = [place(name) for name in ("matrix", "keras", "errors")]
    (folder / "docs" / "results.md").write_text("before\n" + "between\n".join(names) + "after\n")
    names = [place(name) for name in ("overview", *tables.SEVERITIES)]
    (folder / "docs" / "keras-failures.md").write_text("".join(names))
    return folder


def write(reports, root):
    return draw(reports, *BACKENDS, "--write", root=root)


def test_the_pages_are_filled(tmp_path):
    reports, root = tmp_path / "reports", project(tmp_path)
    reports.mkdir()
    keras_reports(reports)
    badge(reports)
    assert write(reports, root) == 0
    readme = (root / "README.md").read_text()
    assert "stale" not in readme
    assert "3 of 3 on tensorflow, 3 of 3 on torch, 3 of 3 on jax" in readme
    results = (root / "docs" / "results.md").read_text()
    assert "stale" not in results
    assert results.startswith("before\n")
    assert results.endswith("after\n")
    assert "3 cases and 1 controls, passed of run (Keras 3.0, tensorflow 1.0, torch 1.0" in results
    assert "| L1 | 3 of 3 | 3 of 3 | 3 of 3 | 1 of 3 |" not in results
    assert "| L1 | 3 of 3 | 3 of 3 | 3 of 3 | 2 of 3 | 2 of 3 | 1 of 3 |" in results
    assert "| L1 | 1.00 | 1.00 | 1.00 |" in results
    assert "torch: 1 wrong; jax: 1 wrong, 1 imprecise." in results
    page = (root / "docs" / "keras-failures.md").read_text()
    assert "stale" not in page
    assert "| imprecise | 0 | 0 | 1 |" in page
    written = json.loads((root / "docs" / "badge.json").read_text())
    assert written["message"] == "tensorflow 3, torch 3, jax 3"
    write(reports, root)
    assert (root / "docs" / "results.md").read_text() == results, "a second time changes nothing"


def test_the_columns_of_older_versions_are_filled_where_they_ran(tmp_path):
    reports, root = tmp_path / "reports", project(tmp_path)
    results = root / "docs" / "results.md"
    results.write_text(results.read_text() + place("columns"))
    reports.mkdir()
    keras_reports(reports)
    badge(reports)
    assert draw(reports, *BACKENDS, "--also", "jax-keras3.10", "--write", root=root) == 0
    assert "stale" in results.read_text()
    assert not (root / "docs" / "badge-older-keras.json").exists()
    (reports / "jax-keras3.10-cpu.json").write_text(json.dumps(older()))
    assert draw(reports, *BACKENDS, "--also", "jax-keras3.10", "--write", root=root) == 0
    assert "| jax-keras3.10 | Keras 3.10.0, " in results.read_text()
    assert (root / "docs" / "badge-older-keras.json").exists()


@pytest.mark.parametrize("missing", ["jax-cpu.json", "jax-cpu-keras.json"])
def test_no_page_is_written_from_a_part(tmp_path, missing):
    reports, root = tmp_path / "reports", project(tmp_path)
    reports.mkdir()
    keras_reports(reports)
    badge(reports)
    (reports / missing).unlink()
    assert write(reports, root) == 1
    assert "stale" in (root / "README.md").read_text()
    assert not (root / "docs" / "badge.json").exists()


@pytest.mark.parametrize("text", ["", place("matrix") * 2, place("matrix")[:30]])
def test_a_page_must_have_each_place_once(text):
    with pytest.raises(ValueError, match="must have one place"):
        matrix.filled(text, "matrix", "new")


def test_the_severities_are_those_of_the_runner():
    from keras_norms.testing import severity

    assert tables.SEVERITIES == severity.SEVERITIES


def test_the_page_shows_what_did_not_run_and_the_worst_measure():
    measures = [{"score": score, "budget": 4.0} for score in (1.0, 3.0, 2.0)]
    cases = [case("passed", id="a", measures=measures)]
    statuses, messages = {}, {}
    rows = page._outcomes({"cases": cases}, ["a", "b"], statuses, messages)
    words = {number: word for word, number in statuses.items()}
    assert [words[status] for status, *_ in rows] == ["passed", "not run"]
    assert [score for _, _, score, *_ in rows] == ["3", None]


def test_each_column_has_what_keras_fails_in_it():
    ours = {name: report(name.partition("-")[0]) for name in ("jax", "jax-keras3.10")}
    theirs = {"jax": report("jax", cases=[case("failed", "wrong")])}
    theirs["jax-keras3.10"] = report("jax", cases=[case("failed", "imprecise")] * 2)
    *_, newest, oldest = tables.accounting(ours, theirs).splitlines()
    assert newest.endswith("| 1 wrong |")
    assert oldest.endswith("| 2 imprecise |")
