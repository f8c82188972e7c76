"""The badge is red for every way in which reports can fail to stand for the project."""

import json
import re

import pytest
from runs import BACKENDS, COUNTS, MANIFEST, badge, case, draw, older, report

from conformance.reports import Wanted, problem


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


def test_a_stale_report_is_incomplete(tmp_path):
    every = {backend: report(backend) for backend in BACKENDS}
    code, endpoint = badge(tmp_path, commit="def", **every)
    assert code == 1
    assert (endpoint["color"], endpoint["message"]) == (
        "red",
        "incomplete: reports of another commit",
    )


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


@pytest.mark.parametrize(
    "name", ["jax-keras3.10-cpu-keras.json", "jax-mesh-keras.json", "jax-gpu-keras.json"]
)
@pytest.mark.parametrize("commit", ["abc", "def"])
def test_reports_on_keras_elsewhere_must_be_of_this_run_too(tmp_path, name, commit):
    badge(tmp_path)
    for backend in BACKENDS:
        path = tmp_path / f"{backend}-cpu-keras.json"
        path.write_text(json.dumps(report(backend, target="keras")))
    device = re.search("cpu|mesh|gpu", name).group()
    data = older(target="keras", device=device, commit=commit)
    (tmp_path / name).write_text(json.dumps(data))
    assert draw(tmp_path, *BACKENDS, "--also", "jax-keras3.10") == int(commit == "def")


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


@pytest.mark.parametrize(
    ("column", "device", "path", "is_lost"),
    [
        ("jax-keras3.10", "cpu", "fit", True),
        ("jax-keras3.10", "cpu", "multi_optimizer", False),
        ("jax-keras3.10", "cpu", "torch_optimizer", False),
        ("jax", "cpu", "multi_optimizer", True),
        ("jax", "mesh", "model_parallel", True),
        ("torch", "mesh", "model_parallel", False),
        ("torch", "mesh", "data_parallel", True),
        ("torch", "mesh", None, False),
    ],
)
def test_what_must_run_in_other_columns(column, device, path, is_lost):
    backend = column.partition("-")[0]
    keras_of_it = "3.10.0" if column != backend else "3.0"
    some = [case("passed"), case("passed"), case("not applicable", id="b")]
    counts = COUNTS | {"passed": 2, "not applicable": 1}
    changes = {"device": device, "cases": some, "counts": counts}
    data = report(backend, versions={backend: "1.0", "keras": keras_of_it}, **changes)
    wanted = Wanted([column], "abc", MANIFEST, {"b": ("float32", path)})
    found = problem({column: data}, wanted, device)
    assert found == (f"1 cases left out on {column} that must run, as b" if is_lost else None)
