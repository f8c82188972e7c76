"""Reports of made-up runs on all backends, and what the matrix makes of them."""

import json

import pytest

from conformance import matrix
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


def older(version="3.10.0", **changes):
    """A report of the column for JAX with Keras 3.10."""
    return report("jax", versions={"jax": "1.0", "keras": version}, **changes)


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
