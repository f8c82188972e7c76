"""Sessions that measure, and what keeps their output: the pages of the documentation show it."""

import hashlib
import json
import sys

import nox

from sessions.environments import (
    ROOT,
    install_with_wheel,
    on_every_backend,
    python_with,
    quietly,
    read,
    variables,
)

# The scripts of `benchmarks`, in benchmarks/.
BENCHMARKS = [
    *("import_time", "thresholds", "spectra", "sparsity", "whole_models", "constraints", "memory"),
]
# What `peers` compares with. Those on TensorFlow need Keras 2 and versions that pins.txt has not.
PEERS = {
    "torch": ["-c", "pins.txt", "geotorch"],
    "tensorflow": ["deel-lip", "tensorflow-model-optimization", "tf_keras", "setuptools"],
}


@nox.session(venv_backend="none", requires=["wheel"])
@on_every_backend
def benchmarks(session, backend):
    """What the constraints cost beside their peers. Arguments go to benchmarks/constraints.py."""
    python = python_with(session, backend)
    if backend == "jax":
        peers = ["-c", "pins.txt", "optax", "jaxopt"]
        quietly(python, "-m", "pip", "install", *peers)
    env = variables(backend)
    del env["OMP_NUM_THREADS"]  # as users run it
    env["PYTHONPATH"] = str(ROOT / "benchmarks")  # for timing.py
    over = []
    for script in BENCHMARKS:
        try:
            keep_output(session, python, f"benchmarks/{script}.py", script, backend, env)
        except nox.command.CommandFailed:  # the others are measured all the same
            over.append(script)
    if "--write" in session.posargs:  # the page needs the output of every backend
        session.run(sys.executable, "-m", "benchmarks.summary", external=True)
    if over:
        session.error(f"over a limit: {', '.join(over)}")


@nox.session(requires=["wheel"])
@nox.parametrize("backend", [nox.param(b, id=b) for b in PEERS])
def peers(session, backend):
    """Other packages for the same purposes, beside ours. With `-- --write`, the output is kept."""
    install_with_wheel(session, f"{backend},demo", *PEERS[backend])
    env = variables(backend) | {"TF_USE_LEGACY_KERAS": "1"}
    del env["OMP_NUM_THREADS"]  # as users run it
    for path in sorted(ROOT.glob("benchmarks/peers/*.py")):
        keep_output(session, "python", path, f"peers-{path.stem}", backend, env)


def keep_output(session, python, script, name, backend, env):
    """Run a script, show what it prints, and keep it: with `-- --write` in benchmarks/output/."""
    folder = ROOT / ("benchmarks/output" if "--write" in session.posargs else "reports") / backend
    folder.mkdir(parents=True, exist_ok=True)
    printed = folder / f"{name}.txt"
    try:
        with printed.open("w", encoding="utf-8") as file:
            session.run(python, "-P", str(script), env=env, stdout=file)
    finally:  # what is over a limit has been measured all the same
        session.log(f"{printed}\n{printed.read_text('utf-8')}")
        if "--write" in session.posargs:
            note_source(printed, ROOT / script, backend)


def note_source(output, script, backend):
    """Note what a kept output was made from, so that a test can say whether it is stale."""
    path = ROOT / "docs" / "made-from.json"
    notes = json.loads(path.read_text("utf-8")) if path.exists() else {}
    pins = dict(pin.split("==") for pin in read("pins.txt").splitlines() if "==" in pin)
    notes[output.relative_to(ROOT).as_posix()] = {
        "script": script.relative_to(ROOT).as_posix(),
        "sha256": hashlib.sha256(script.read_bytes()).hexdigest(),
        "versions": {name: pins[name] for name in ("keras", backend)},
    }
    path.write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n", "utf-8")


@nox.session(venv_backend="none", requires=["wheel"])
def pictures(session):
    """The pictures of docs/pictures/: what each constraint does to groups of two weights."""
    session.run(python_with(session, "torch"), "-P", "docs/pictures.py", env=variables("torch"))
