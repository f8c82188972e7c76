"""The badge is red for every way in which reports can fail to stand for the project."""

import json
import pathlib
import runpy

import pytest

MATRIX = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "conformance" / "matrix.py"))
BACKENDS = ("tensorflow", "torch", "jax")


def report(backend, **changes):
    return {
        "commit": "abc",
        "words": "",
        "versions": {backend: "1.0"},
        "counts": {"planned": 2, "passed": 2, "failed": 0, "not applicable": 0},
        "controls": {"wrong axis": {"dead": True, "killers": ["a"]}},
        "cases": [{"requirement": "KN-L1-001", "status": "passed"}] * 2,
    } | changes


def badge(folder, device="cpu", **changed):
    """The badge after reports of all backends, some changed; a text is written as it is."""
    for backend in BACKENDS:
        data = changed.get(backend, report(backend))
        if data is not None:
            text = data if isinstance(data, str) else json.dumps(data)
            (folder / f"{backend}-{device}.json").write_text(text)
    code = MATRIX["main"](folder, *BACKENDS)
    name = "badge.json" if device == "cpu" else "badge-gpu.json"
    return code, json.loads((folder / name).read_text())


def test_all_reports_make_a_green_badge_of_counts(tmp_path):
    code, endpoint = badge(tmp_path)
    assert code == 0
    assert endpoint["message"] == "tensorflow 2, torch 2, jax 2"
    assert endpoint["color"] == "brightgreen"
    assert "| KN-L1-001 | 2 of 2 | 2 of 2 | 2 of 2 |" in (tmp_path / "matrix.md").read_text()
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
