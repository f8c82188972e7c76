"""The badge is red for every way in which reports can fail to stand for the project."""

import json
import pathlib
import runpy

import pytest

MATRIX = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "conformance" / "matrix.py"))
BACKENDS = ("tensorflow", "torch", "jax")


def case(status):
    return {
        "id": "l1-forward-float32-a",
        "target": "L1",
        "requirement": "KN-L1-001",
        "title": "a & b",
        "status": status,
        "message": "1 ulp off",
        "measures": [{"what": "result", "score": 1.0, "budget": 4.0}],
    }


def report(backend, **changes):
    return {
        "commit": "abc",
        "words": "",
        "device": "cpu",
        "date": "2026-01-01T00:00:00+00:00",
        "reproduce": "keras-norms conformance",
        "versions": {backend: "1.0", "keras": "3.0"},
        "counts": {"planned": 2, "passed": 2, "failed": 0, "not applicable": 0},
        "controls": {"wrong axis": {"dead": True, "killers": ["a"]}},
        "cases": [case("passed"), case("passed")],
    } | changes


def badge(folder, device="cpu", commit="abc", **changed):
    """The badge after reports of all backends, some changed; a text is written as it is."""
    for backend in BACKENDS:
        data = changed.get(backend, report(backend))
        if data is not None:
            text = data if isinstance(data, str) else json.dumps(data)
            (folder / f"{backend}-{device}.json").write_text(text)
    MATRIX["main"].__globals__["current_commit"] = lambda: commit
    code = MATRIX["main"](folder, *BACKENDS)
    name = "badge.json" if device == "cpu" else "badge-gpu.json"
    return code, json.loads((folder / name).read_text())


def test_all_reports_make_a_green_badge_of_counts(tmp_path):
    code, endpoint = badge(tmp_path)
    assert code == 0
    assert endpoint["message"] == "tensorflow 2, torch 2, jax 2"
    assert endpoint["color"] == "brightgreen"
    assert "| L1 | 2 of 2 | 2 of 2 | 2 of 2 |" in (tmp_path / "matrix.md").read_text()
    page = (tmp_path / "matrix.html").read_text()
    assert "a &amp; b. result 1 of 4 ulp" in page
    assert "keras-norms conformance -k l1-forward-float32-a" in page
    gpu = json.loads((tmp_path / "badge-gpu.json").read_text())
    assert (gpu["message"], gpu["color"]) == ("not run", "lightgrey")


@pytest.mark.parametrize(
    ("jax", "message"),
    [
        (None, "incomplete: no report of jax"),
        ('{"commit": "ab', "incomplete: no report of jax"),
        (report("jax", commit="def"), "incomplete: reports of several commits"),
        (report("jax", words="max_norm"), "incomplete: a part of the cases"),
        (
            report("jax", counts={"planned": 1, "passed": 1, "failed": 0}),
            "incomplete: different cases",
        ),
        (
            report("jax", counts={"planned": 2, "passed": 1, "failed": 1}),
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


def test_a_stale_report_is_incomplete(tmp_path):
    code, endpoint = badge(tmp_path, commit="def")
    assert code == 1
    assert (endpoint["color"], endpoint["message"]) == (
        "red",
        "incomplete: reports of another commit",
    )


def test_what_keras_fails_is_listed_with_its_reproduction(tmp_path):
    keras = report("jax", cases=[case("failed"), case("passed")], controls={})
    (tmp_path / "jax-cpu-keras.json").write_text(json.dumps(keras))
    code, _ = badge(tmp_path)
    assert code == 0, "what Keras fails does not make our badge red"
    assert "| 1 of 2 |" in (tmp_path / "matrix.md").read_text()
    assert '<td class="bad">' in (tmp_path / "matrix.html").read_text()
    listed = (tmp_path / "keras-failures.md").read_text()
    assert "| KN-L1-001 | forward | jax 1 | L1: a & b | 1 ulp off |" in listed
    assert "`keras-norms conformance -k l1-forward-float32-a`" in listed
