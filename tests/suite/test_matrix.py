"""The badge is red for every way in which reports can fail to stand for the project."""

import json

import pytest

from conformance import matrix, page, tables
from conformance.page import contents
from conformance.reports import load
from keras_norms.testing.manifest import Manifest

BACKENDS = ("tensorflow", "torch", "jax")


def case(status, severity=None, **changes):
    return {
        "id": "l1-forward-float32-a",
        "target": "L1",
        "kind": "forward",
        "requirement": "KN-L1-001",
        "title": "a & b",
        "status": status,
        "severity": severity,
        "message": "1 ulp off",
        "measures": [
            {"what": "result", "score": 1.0, "budget": 4.0, "relative": 1e-7, "dtype": "float32"}
        ],
    } | changes


MANIFEST = Manifest("m", {"l1/forward.json": {"count": 3}}, {"norms.py": {"names": ["wrong axis"]}})
COUNTS = {"planned": 3, "passed": 3, "failed": 0, "expected failures": 0, "not applicable": 0}


def report(backend, **changes):
    return {
        "target": "keras_norms",
        "backend": backend,
        "commit": "abc",
        "manifest": MANIFEST.digest,
        "words": "",
        "device": "cpu",
        "date": "2026-01-01T00:00:00+00:00",
        "reproduce": "keras-norms conformance",
        "versions": {backend: "1.0", "keras": "3.0"},
        "counts": COUNTS,
        "controls": {"wrong axis": {"dead": True, "killers": ["a"]}},
        "worst": [{"target": "L1", "dtype": "float32", "score": 1.0, "budget": 4.0}],
        "cases": [case("passed")] * 3,
    } | changes


def draw(*arguments, commit="abc", **named):
    """The exit code of the matrix in a checkout of this commit, with these cases."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(matrix, "commit_of", lambda root: commit)
        patched.setattr(matrix, "manifest_beside", lambda folder: MANIFEST)
        return matrix.main(*arguments, **named)


def badge(folder, device="cpu", commit="abc", **changed):
    """The badge after reports of all backends, some changed; a text is written as it is."""
    for backend in BACKENDS:
        data = changed.get(backend, report(backend, device=device, commit=commit))
        if data is not None:
            text = data if isinstance(data, str) else json.dumps(data)
            (folder / f"{backend}-{device}.json").write_text(text)
    code = draw(folder, *BACKENDS, commit=commit)
    name = "badge.json" if device == "cpu" else "badge-gpu.json"
    return code, json.loads((folder / name).read_text())


def test_all_reports_make_a_green_badge_of_counts(tmp_path):
    code, endpoint = badge(tmp_path)
    assert code == 0
    assert endpoint["message"] == "tensorflow 3, torch 3, jax 3"
    assert endpoint["color"] == "brightgreen"
    assert "| L1 | 3 of 3 | 3 of 3 | 3 of 3 |" in (tmp_path / "matrix.md").read_text()
    assert (tmp_path / "matrix.html").stat().st_size > 1000
    gpu = json.loads((tmp_path / "badge-gpu.json").read_text())
    assert (gpu["message"], gpu["color"]) == ("not run", "lightgrey")


@pytest.mark.parametrize(
    ("jax", "message"),
    [
        (None, "incomplete: no report of jax"),
        ('{"commit": "ab', "incomplete: no report of jax"),
        (report("jax", commit="def"), "incomplete: reports of several commits"),
        (report("jax", words="max_norm"), "incomplete: a part of the cases"),
        (report("jax", device="gpu"), "incomplete: a report of another backend or device"),
        (report("jax", target="keras"), "incomplete: a report of another package than keras_norms"),
        (report("jax") | {"backend": "torch"}, "incomplete: a report of another backend or device"),
        (
            report("jax", versions={"jax": "1.0", "keras": "3.1"}),
            "incomplete: reports of several versions of Keras",
        ),
        (
            report("jax", manifest="n"),
            "incomplete: other cases than those of the manifest",
        ),
        (
            report("jax", cases=[case("passed")], counts=COUNTS | {"planned": 1, "passed": 1}),
            "incomplete: other cases than those of the manifest",
        ),
        (
            report("jax", counts=COUNTS | {"passed": 1}),
            "incomplete: counts that are not those of the cases",
        ),
        (
            report(
                "jax",
                cases=[case("not applicable")] * 3,
                counts=COUNTS | {"passed": 0, "not applicable": 3},
            ),
            "incomplete: no case passed on jax",
        ),
        (
            report("jax", controls={}),
            "incomplete: other controls than those of the manifest",
        ),
        (
            report(
                "jax",
                cases=[case("passed"), case("passed"), case("failed", "wrong")],
                counts=COUNTS | {"passed": 2, "failed": 1},
            ),
            "1 failed, 0 controls alive",
        ),
        (report("jax", controls={"wrong axis": {"dead": False}}), "0 failed, 1 controls alive"),
    ],
)
def test_anything_else_makes_it_red(tmp_path, jax, message):
    code, endpoint = badge(tmp_path, jax=jax)
    assert code == 1
    assert endpoint["color"] == "red"
    assert endpoint["message"] == message


def test_a_gpu_report_of_one_backend_is_incomplete(tmp_path):
    badge(tmp_path)
    code, endpoint = badge(tmp_path, "gpu", torch=None)
    assert code == 1
    assert endpoint["message"] == "incomplete: no report of torch"


@pytest.mark.parametrize(
    ("commit", "why"), [("abc-dirty", "the tree has changes"), (None, "the commit is not known")]
)
def test_what_is_not_committed_is_incomplete_and_red_only_where_it_is_published(
    tmp_path, monkeypatch, commit, why
):
    monkeypatch.delenv("CI", raising=False)
    code, endpoint = badge(tmp_path, commit=commit)
    assert code == 0
    assert (endpoint["color"], endpoint["message"]) == ("orange", f"incomplete: {why}")
    monkeypatch.setenv("CI", "true")
    assert badge(tmp_path, commit=commit)[0] == 1


def test_no_backend_is_incomplete(tmp_path):
    badge(tmp_path)
    assert draw(tmp_path) == 1


def test_a_matrix_that_crashes_leaves_no_badge(tmp_path):
    badge(tmp_path)
    (tmp_path / "jax-cpu.json").write_text("{}")
    with pytest.raises(KeyError):
        draw(tmp_path, *BACKENDS)
    assert not (tmp_path / "badge.json").exists()


def test_an_infinite_score_is_read_from_a_word(tmp_path):
    measure = case("passed")["measures"][0] | {"score": "inf", "relative": "inf"}
    failed = case("failed", "wrong", measures=[measure])
    text = json.dumps(report("jax", cases=[failed] * 2, controls={}))
    (tmp_path / "jax-cpu-keras.json").write_text(text)
    badge(tmp_path)
    keras = contents({}, load(tmp_path, ["jax"], "cpu", "-keras"), [])["columns"][0]
    assert keras["outcomes"][0][2:4] == ["inf", "4"]


def older(version="3.10.0", **changes):
    """A report of the column for JAX with Keras 3.10."""
    return report("jax", versions={"jax": "1.0", "keras": version}, **changes)


@pytest.mark.parametrize(
    ("data", "message", "color", "code"),
    [
        (None, "not run", "lightgrey", 0),
        (older(), "jax-keras3.10 3", "brightgreen", 0),
        (older("3.1.0"), "incomplete: a report of another version of Keras", "red", 1),
        (older(controls={}), "incomplete: other controls than those of the manifest", "red", 1),
    ],
)
def test_an_older_keras_has_a_badge_of_its_own(tmp_path, data, message, color, code):
    badge(tmp_path)
    if data:
        (tmp_path / "jax-keras3.10-cpu.json").write_text(json.dumps(data))
    assert draw(tmp_path, *BACKENDS, "--also", "jax-keras3.10") == code
    endpoint = json.loads((tmp_path / "badge-older-keras.json").read_text())
    assert (endpoint["message"], endpoint["color"]) == (message, color)
    assert json.loads((tmp_path / "badge.json").read_text())["color"] == "brightgreen"


def test_a_mesh_has_a_badge_and_needs_no_controls(tmp_path):
    badge(tmp_path)
    for backend in BACKENDS:
        data = report(backend, device="mesh", controls={})
        (tmp_path / f"{backend}-mesh.json").write_text(json.dumps(data))
    assert draw(tmp_path, *BACKENDS) == 0
    endpoint = json.loads((tmp_path / "badge-mesh.json").read_text())
    assert endpoint["message"] == ", ".join(f"{backend} 3" for backend in BACKENDS)
    assert endpoint["color"] == "brightgreen"
    (tmp_path / f"{BACKENDS[-1]}-mesh.json").write_text(json.dumps(data | {"device": "cpu"}))
    assert draw(tmp_path, *BACKENDS) == 1


def test_titles_lose_their_markdown_and_keep_their_formulas(tmp_path):
    (tmp_path / "README.md").write_text("| KN-L1-001 | `a * sum(x**2)` is *not* c | *Keras* |\n")
    found = contents({"jax": report("jax")}, {}, [], tmp_path)["requirements"]
    assert found == {"KN-L1-001": ["a * sum(x**2) is not c", "Keras"]}


def test_the_cells_are_accounted_for():
    reports = {"jax": report("jax"), "jax-keras3.10": older()}
    first, second = tables.accounting(reports, {"jax": report("jax")}).splitlines()[2:]
    assert "| jax-keras3.10 | Keras 3.10.0, jax 1.0, 2026-01-01 | 3 | 3 | 0 | 0 | 0 |" in second
    assert first.endswith("| 1 of 1 |  |")


def test_a_stale_report_is_incomplete(tmp_path):
    every = {backend: report(backend) for backend in BACKENDS}
    code, endpoint = badge(tmp_path, commit="def", **every)
    assert code == 1
    assert (endpoint["color"], endpoint["message"]) == (
        "red",
        "incomplete: reports of another commit",
    )


def keras_reports(folder):
    """What Keras' own classes fail: one case wrong, and on JAX another imprecise."""
    wrong = case("failed", "wrong", message="<X object at 0x7f3a> is inf")
    off = {"what": "result", "score": 9.0, "budget": 4.0, "relative": 1e-6, "dtype": "float64"}
    imprecise = case("failed", "imprecise", id="l1-b", measures=[off])
    for backend in BACKENDS:
        cases = [wrong, imprecise if backend == "jax" else case("passed")]
        cases.append(case("passed"))
        counts = {"passed": 2 - (backend == "jax"), "failed": 1 + (backend == "jax")}
        theirs = {"target": "keras", "controls": {}, "counts": COUNTS | counts}
        text = json.dumps(report(backend, cases=cases, **theirs))
        (folder / f"{backend}-cpu-keras.json").write_text(text)


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


@pytest.mark.parametrize("columns", ["gpu", "columns"])
def test_what_must_have_run_is_red_if_it_left_no_report(tmp_path, columns):
    badge(tmp_path)
    assert draw(tmp_path, *BACKENDS, "--also", "jax-keras3.10", f"--must-have={columns}") == 1
    names = {"gpu": ["badge-gpu"], "columns": ["badge-mesh", "badge-older-keras"]}
    for path in tmp_path.glob("badge-*.json"):
        color = json.loads(path.read_text())["color"]
        assert color == ("red" if path.stem in names[columns] else "lightgrey")


@pytest.mark.parametrize("wrong", [None, report("jax", target="keras", commit="def")])
def test_reports_on_keras_must_be_of_this_run_too(tmp_path, wrong):
    badge(tmp_path)
    for backend in BACKENDS:
        path = tmp_path / f"{backend}-cpu-keras.json"
        path.write_text(json.dumps(report(backend, target="keras")))
    assert draw(tmp_path, *BACKENDS) == 0
    if wrong:
        path.write_text(json.dumps(wrong))
    else:
        path.unlink()
    assert draw(tmp_path, *BACKENDS) == 1


def test_what_is_not_of_this_run_is_removed_first(tmp_path):
    names = ["matrix.html", "badge-gpu.json", "badge-mesh.json", "badge-older-keras.json"]
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(KeyError):
        badge(tmp_path, jax=report("jax") | {"cases": [{}] * 3})
    assert not [name for name in names if (tmp_path / name).exists()]


def test_an_older_keras_is_told_from_one_whose_number_begins_alike(tmp_path):
    older = report("jax", versions={"jax": "1.0", "keras": "3.10.0"})
    (tmp_path / "jax-keras3.1-cpu.json").write_text(json.dumps(older))
    badge(tmp_path)
    assert draw(tmp_path, *BACKENDS, "--also", "jax-keras3.1") == 1


@pytest.mark.parametrize("failing", BACKENDS)
def test_a_failure_on_any_backend_is_counted(tmp_path, failing):
    failed = report(
        failing,
        cases=[case("passed"), case("passed"), case("failed", "wrong")],
        counts=COUNTS | {"passed": 2, "failed": 1},
    )
    code, endpoint = badge(tmp_path, **{failing: failed})
    assert (code, endpoint["message"]) == (1, "1 failed, 0 controls alive")


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


@pytest.mark.parametrize(
    ("backend", "dtype", "path", "is_lost"),
    [
        ("jax", "float64", None, False),
        ("torch", "float64", None, True),
        ("jax", "float32", None, True),
        ("jax", "float32", "torch_optimizer", False),
        ("torch", "float32", "torch_optimizer", True),
        ("tensorflow", "float32", "data_parallel", False),
    ],
)
def test_a_case_that_must_run_is_not_left_out(tmp_path, backend, dtype, path, is_lost):
    folder = tmp_path / "conformance" / "cases" / "l1"
    folder.mkdir(parents=True)
    left_out = case("not applicable", id="b")
    inputs = {"path": path} if path else {}
    cases = [{"id": "b", "dtype": dtype, "inputs": inputs}]
    (folder / "forward.json").write_text(json.dumps({"cases": cases}))
    for name in BACKENDS:
        some = [case("passed"), case("passed"), left_out if name == backend else case("passed")]
        applicable = 2 if name == backend else 3
        counts = COUNTS | {"passed": applicable, "not applicable": 3 - applicable}
        data = report(name, cases=some, counts=counts)
        (tmp_path / f"{name}-cpu.json").write_text(json.dumps(data))
    assert draw(tmp_path, *BACKENDS, root=tmp_path) == int(is_lost)
    message = json.loads((tmp_path / "badge.json").read_text())["message"]
    assert ("1 cases left out" in message) == is_lost
