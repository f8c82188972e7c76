"""The project's sessions: `nox` runs lint, unit tests and conformance on every backend.

The tests of the suite itself ask little of a backend: `nox` runs them on PyTorch, which compiles
nothing, and the workflow on all.

All sessions of a backend share one environment, which has only that backend in it, and they test
the built wheel. The versions are those of pins.txt.
"""

import pathlib
import shutil
import sys

import nox

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for sessions/

from sessions import measurements, nightly, publishing
from sessions.environments import (
    BACKENDS,
    DIST,
    OLDER_KERAS,
    ROOT,
    SECONDS,
    environment,
    groups,
    install,
    install_with_wheel,
    on_every_backend,
    python_with,
    quietly,
    timed,
    variables,
)
from sessions.measurements import note_source

__all__ = ["measurements", "nightly", "publishing"]  # nox finds their sessions

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"  # `rm -r .nox` starts from nothing
nox.options.sessions = [
    *("environments", "lint", "tests", "suite(torch)", "examples", "conformance", "matrix"),
    "times",
]

COLUMNS = [*BACKENDS, *OLDER_KERAS, *(f"{backend}-mesh" for backend in BACKENDS)]

# `jupyter execute`, in a Python whose scripts are not on the path.
EXECUTE = "from nbclient.cli import main; main()"


@nox.session
def wheel(session):
    """Build the wheel that the other sessions install."""
    install(session, "hatchling")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("hatchling", "build", "-t", "wheel", "-d", str(DIST), silent=True)


@nox.session(venv_backend="none", requires=["wheel"])
def environments(session):
    """Start to prepare the environments of all backends, beside the sessions that follow."""
    for backend in BACKENDS:
        environment(backend, False)


@nox.session
@timed
def lint(session):
    """Style, types, workflows, and golden cases that are what the oracles say."""
    install(session, *groups("lint", "oracle"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("mypy", "--strict", "--follow-imports", "silent", "tests/typed/user.py")
    workflows = sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--no-progress", "--persona", "pedantic", ".github")
    session.run("python", "-m", "conformance.generate", "--check")


@nox.session(venv_backend="none", requires=["wheel"])
@on_every_backend
def tests(session, backend):
    """Unit tests, and every example in the documentation. Arguments go to pytest."""
    python, env = python_with(session, backend), variables(backend)
    testing(session, backend, python, env, "tests", "--ignore=tests/suite", *documentation())


@nox.session(venv_backend="none", requires=["wheel"])
@on_every_backend
def suite(session, backend):
    """Unit tests of the conformance suite and of the laws. Arguments go to pytest."""
    python, env = python_with(session, backend), variables(backend)
    testing(session, backend, python, env, "tests/suite")


def documentation():
    """The arguments with which pytest also runs the examples of modules and pages."""
    pages = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]
    return ["--doctest-modules", "--doctest-glob=*.md", "--pyargs", "keras_norms", *pages]


@timed
def testing(session, backend, python, env, *tests):
    """Run pytest on the wheel: by default these tests."""
    found = "importlib.util.find_spec('keras_norms').origin"
    code = f"import importlib.util; assert 'site-packages' in {found}, {found}"
    session.run(python, "-P", "-c", code)
    if backend == "jax":
        # XLA optimizes for trainings that are longer than these, and most of the time goes there.
        # The golden cases run as XLA compiles by default.
        flags = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")
        env = env | {"XLA_FLAGS": " ".join(flags)}
    # One process per core, which take what is left from each other: some tests train for long.
    spread = ["-n", "auto", "--dist", "worksteal"]
    chosen = session.posargs or [*tests, *spread]
    session.run(python, "-P", "-m", "pytest", "-q", *chosen, env=env)


@nox.session(name="tests-python", python=["3.12", "3.13"], requires=["wheel"])
def tests_python(session):
    """The unit tests on JAX under newer versions of Python, which all backends support."""
    install_with_wheel(session, "demo,plot,conformance,jax", "-c", "pins.txt", *groups("test"))
    testing(session, "jax", "python", variables("jax"), "tests", *documentation())


@nox.session(name="tests-older-keras", venv_backend="none", requires=["wheel"])
def tests_older_keras(session):
    """The unit tests on PyTorch under the oldest Keras. What must fail there is marked so."""
    column = "torch-keras3.10"
    python = python_with(session, column)
    # The wheel of such a Keras does not carry Keras' own tests.
    left_out = ("--ignore", "tests/test_keras_tests.py")
    testing(session, "torch", python, variables("torch"), "tests", *left_out)


@nox.session(venv_backend="none", requires=["wheel"])
def examples(session):
    """The examples and the notebook, in a short form on one backend.

    With `-- --write`, they run in full, and on every backend, and their output is kept.
    """
    python, env = python_with(session, "torch"), variables("torch")  # which compiles nothing
    quietly(python, "-m", "pip", "install", "-c", "pins.txt", *groups("notebook"))
    if "--write" in session.posargs:
        notebook = str(ROOT / "examples" / "tour.ipynb")
        session.run(python, "-P", "-c", EXECUTE, "--inplace", notebook, env=env)
        for backend in BACKENDS:
            write_output(session, backend)
    showing(session, "torch", python, env)


@timed
def showing(session, backend, python, env):
    """Test the examples and the notebook."""
    session.run(python, "-P", "-m", "pytest", "-q", "examples", "-n", "auto", env=env)


def write_output(session, backend):
    """Run the examples in full, and the demo with ten seeds; keep what they print."""
    python, env = python_with(session, backend), variables(backend)
    folder = ROOT / "examples" / "output" / backend
    folder.mkdir(parents=True, exist_ok=True)
    picture = str(folder / "learning-rates.png")
    commands = {"demo": ["-m", "keras_norms", "demo", "--seeds", "10", "--plot", picture]}
    for path in sorted(ROOT.glob("examples/*.py")):
        if not path.name.startswith("test_"):
            commands[path.stem] = [str(path)]
    for name, command in commands.items():
        printed = session.run(python, "-P", *command, env=env, silent=True, stderr=None)
        (folder / f"{name}.txt").write_text(printed, "utf-8")
        script = "keras_norms/demo.py" if name == "demo" else f"examples/{name}.py"
        note_source(folder / f"{name}.txt", ROOT / script, backend)


@nox.session(venv_backend="none", requires=["wheel"])
@on_every_backend
def conformance(session, backend):
    """Golden cases and controls, and the same cases for Keras' own classes.

    Arguments go to `keras-norms conformance`.
    """
    is_gpu = "--device gpu" in " ".join(session.posargs).replace("=", " ")
    conforming(session, backend, "gpu" if is_gpu else "cpu")


@nox.session(name="conformance-all", venv_backend="none", requires=["wheel"])
@nox.parametrize("column", [nox.param(c, id=c) for c in COLUMNS])
def conformance_all(session, column):
    """The same for every column of the matrix: older versions of Keras, and several devices."""
    backend, _, rest = column.partition("-")
    if rest == "mesh":
        conforming(session, backend, "mesh")
    else:
        # Which case kills which mutant is asked with the newest Keras.
        conforming(session, column, "cpu", all_kills=not rest)


@timed
def conforming(session, column, device, all_kills=False):
    """Run the suite on our classes, with controls, and on Keras' own."""
    backend, name = column.partition("-")[0], f"{column}-{device}"
    reports = {"--report": f"{name}.json", "--keras-report": f"{name}-keras.json"}
    for report in reports.values():  # one of an earlier run must not stand for this one
        (ROOT / "reports" / report).unlink(missing_ok=True)
    python = python_with(session, column, device == "gpu")
    command = [python, "-P", "-m", "keras_norms", "conformance", "--backend", backend]
    # Virtual devices that wait for one another need all cores.
    command += ["--device", device, "--jobs", "auto" if device == "cpu" else "1"]
    for option, report in reports.items():
        command += [option, str(ROOT / "reports" / report)]
    if device != "mesh":  # that cases can fail does not depend on the number of devices
        command += ["--controls", "conformance/mutants", *["--all-kills"] * all_kills]
    command += session.posargs
    env = variables(backend, device == "gpu")
    if device == "mesh":  # TensorFlow splits its CPU itself, and PyTorch starts processes
        env["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    session.run(*command, env=env)


@nox.session(venv_backend="none")
def matrix(session):
    """The table of all reports, as Markdown and HTML, and the badge. Red where one is missing.

    With `-- --write`, the tables of README.md and docs/ are written, too.
    """
    command = [sys.executable, "-m", "conformance.matrix", "reports", *BACKENDS]
    command += ["--also", *OLDER_KERAS]
    # Arguments for the suite, such as `-k`, are not for the matrix.
    own = [a for a in session.posargs if a == "--write" or a.startswith("--must-have=")]
    session.run(*command, *own, external=True)


@nox.session(venv_backend="none")
def times(session):
    """What each part of this run took."""
    for part, seconds in SECONDS.items():
        session.log(f"{part:<24}{seconds:6.0f} s")
    session.log(f"{'all of these':<24}{sum(SECONDS.values()):6.0f} s")


@nox.session
def page(session):
    """The page of the last conformance run, tested in a headless Chromium."""
    reports = ROOT / "reports"
    if not (reports / "matrix.html").is_file():
        session.error("There is no page. Run `nox -s conformance matrix` first.")
    install(session, *groups("browser"))
    env = {"KERAS_NORMS_REPORTS": str(reports)}
    session.run("python", "-m", "pytest", "-q", "conformance/html", *session.posargs, env=env)
