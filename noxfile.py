"""The project's sessions: `nox` runs lint, unit tests and conformance on every backend.

Each session has an environment of its own with only its backend in it, and tests the built wheel.
The versions are those of pins.txt.
"""

import os
import pathlib
import shutil
import sys

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "tests", "conformance", "matrix"]

# The one list of backends; the workflows read it through `nox --list --json`.
BACKENDS = ["tensorflow", "torch", "jax"]
# What a GPU session installs instead of the CPU build.
GPU_REQUIREMENTS = {"tensorflow": "tensorflow[and-cuda]", "torch": "torch", "jax": "jax[cuda12]"}
ROOT = pathlib.Path(__file__).parent
DIST = ROOT / "dist"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

if "PIP_FIND_LINKS" in os.environ:  # uv reads its own variable, separated by commas
    os.environ.setdefault("UV_FIND_LINKS", ",".join(os.environ["PIP_FIND_LINKS"].split()))

on_every_backend = nox.parametrize("backend", [nox.param(b, id=b, tags=[b]) for b in BACKENDS])


def groups(*names):
    """The requirements of dependency groups."""
    return nox.project.dependency_groups(PYPROJECT, *names)


def install(session, *requirements):
    """Install requirements in the versions of pins.txt."""
    session.install("-c", "pins.txt", *requirements)


def install_wheel(session, backend, *extras, gpu=False):
    """The wheel with its backend, and nothing of another backend or of the checkout."""
    wheel = next(DIST.glob("*.whl"))
    more = [GPU_REQUIREMENTS[backend]] if gpu else []
    chosen = ",".join(extras if gpu else (backend, *extras))
    install(session, f"keras-norms[{chosen}] @ {wheel.as_uri()}", *more)
    # An environment that is used again may hold another build of the same version.
    session.install("--force-reinstall", "--no-deps", str(wheel))


def environment(backend, gpu=False):
    """The variables that make a process use one backend, and no GPU unless it is asked for."""
    variables = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if not gpu:
        variables |= {
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
            "KERAS_TORCH_DEVICE": "cpu",
            # JAX compiles each operation anew for each shape; the second run finds them here.
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".nox" / "jax-cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    else:
        variables["NVIDIA_TF32_OVERRIDE"] = "0"  # TF32 keeps 11 bits of a float32 product
    return variables


@nox.session
def wheel(session):
    """Build the wheel that the other sessions install."""
    install(session, "hatchling")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("hatchling", "build", "-t", "wheel", "-d", str(DIST), silent=True)


@nox.session
def lint(session):
    """Style, types, workflows, and golden cases that are what the oracles say."""
    install(session, *groups("lint", "oracle"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    workflows = sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--no-progress", "--persona", "pedantic", ".github")
    session.run("python", "-m", "conformance.generate", "--check")


@nox.session(requires=["wheel"])
@on_every_backend
def tests(session, backend):
    """Unit tests, and every example in the documentation. Arguments go to pytest."""
    install_wheel(session, backend, "demo", "plot")
    install(session, *groups("test"))
    variables = environment(backend)
    code = "import keras_norms; assert 'site-packages' in keras_norms.__file__, keras_norms"
    session.run("python", "-P", "-c", code, env=variables)
    pages = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]
    pytest = ["python", "-P", "-m", "pytest", "-q"]
    # One process per core, which take what is left from each other: some tests train for long.
    spread = ["-n", "auto", "--dist", "worksteal"]
    session.run(*pytest, *(session.posargs or ["tests", *spread]), env=variables)
    if not session.posargs:
        examples = ["--doctest-modules", "--doctest-glob=*.md"]
        session.run(*pytest, *examples, "--pyargs", "keras_norms", *pages, env=variables)


@nox.session(requires=["wheel"])
@on_every_backend
def conformance(session, backend):
    """Golden cases and controls, and the same cases for Keras' own classes.

    Arguments go to `keras-norms conformance`.
    """
    gpu = "--device gpu" in " ".join(session.posargs).replace("=", " ")
    install_wheel(session, backend, "conformance", gpu=gpu)
    command = ("python", "-P", "-m", "keras_norms", "conformance", "--backend", backend)
    name = f"{backend}-{'gpu' if gpu else 'cpu'}"
    reports = [ROOT / "reports" / f"{name}{target}.json" for target in ("", "-keras")]
    for report in reports:
        report.unlink(missing_ok=True)  # one of an earlier run must not stand for this one
    session.run(
        *(*command, "--controls", "conformance/mutants", "--report", str(reports[0])),
        *session.posargs,
        env=environment(backend, gpu),
    )
    # What Keras' own classes fail is shown in the matrix; it does not fail this session.
    session.run(
        *(*command, "--target", "keras", "--quiet", "--report", str(reports[1])),
        *session.posargs,
        env=environment(backend, gpu),
        success_codes=[0, 1],
    )


@nox.session(requires=["wheel"])
@on_every_backend
def laws(session, backend):
    """The laws with 10,000 examples each, as every night. Arguments go to pytest."""
    install_wheel(session, backend)
    install(session, *groups("test"))
    variables = environment(backend) | {"KERAS_NORMS_EXAMPLES": "10000"}
    session.run(
        *("python", "-P", "-m", "pytest", "-q", "tests/test_laws.py"),
        *("-k", "exported", *session.posargs),
        env=variables,
    )


@nox.session(venv_backend="none")
def matrix(session):
    """The table of all reports, as Markdown and HTML, and the badge. Red where one is missing."""
    session.run(sys.executable, "-m", "conformance.matrix", "reports", *BACKENDS, external=True)


@nox.session(requires=["wheel"])
@on_every_backend
def benchmarks(session, backend):
    """What the constraints cost beside their peers. Arguments go to benchmarks/constraints.py."""
    install_wheel(session, backend, "demo")
    if backend == "jax":
        install(session, "optax", "jaxopt")
    variables = environment(backend)
    session.run("python", "-P", "benchmarks/import_time.py", env=variables)
    session.run("python", "-P", "benchmarks/thresholds.py", env=variables)
    session.run("python", "-P", "benchmarks/whole_models.py", env=variables)
    session.run("python", "-P", "benchmarks/constraints.py", *session.posargs, env=variables)
