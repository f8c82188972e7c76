"""The project's sessions: `nox` runs lint, unit tests and conformance on every backend.

All sessions of a backend share one environment, which has only that backend in it, and they test
the built wheel. The versions are those of pins.txt.
"""

import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"  # `rm -r .nox` starts from nothing
nox.options.sessions = [
    *("environments", "lint", "tests", "examples", "conformance", "matrix", "times"),
]

# The one list of backends; the workflows read it through `nox --list --json`.
BACKENDS = ["tensorflow", "torch", "jax"]
# More columns of the matrix: for each, the pins that replace those of pins.txt. Keras 3.13 is the
# last that does not divide activity penalties, and 3.10 the oldest that the package supports.
# TensorFlow 2.21 requires Keras 3.12.
OLDER_KERAS = {
    "tensorflow-keras3.13": ["keras==3.13.2"],
    "torch-keras3.13": ["keras==3.13.2"],
    "jax-keras3.13": ["keras==3.13.2"],
    "tensorflow-keras3.10": ["keras==3.10.0", "tensorflow==2.20.0"],
    "torch-keras3.10": ["keras==3.10.0"],
    "jax-keras3.10": ["keras==3.10.0"],
}
# What a GPU session installs instead of the CPU build.
GPU_REQUIREMENTS = {"tensorflow": "tensorflow[and-cuda]", "torch": "torch", "jax": "jax[cuda12]"}
# What `third_party` tests, each in an environment that it agrees with: the module, and what to
# install. keras-tcn 3.5.7 wants a TensorFlow for macOS.
OTHERS = {
    "keras_hub": "keras-hub",
    "tcn": "keras-tcn==3.5.6",
    "bayesflow": "bayesflow",
    "hgq": "hgq2",
    "ncps": "ncps",
    "keras_rs": "keras-rs",
}
# The scripts of `benchmarks`, in benchmarks/.
BENCHMARKS = [
    *("import_time", "thresholds", "spectra", "sparsity", "whole_models", "constraints", "memory"),
]
# What `peers` compares with. Those on TensorFlow need Keras 2 and versions that pins.txt has not.
PEERS = {
    "torch": ["-c", "pins.txt", "geotorch"],
    "tensorflow": ["deel-lip", "tensorflow-model-optimization", "tf_keras", "setuptools"],
}
# `jupyter execute`, in a Python whose scripts are not on the path.
EXECUTE = "from nbclient.cli import main; main()"
ROOT = pathlib.Path(__file__).parent
DIST = ROOT / "dist"
ENVIRONMENTS = ROOT / ".nox"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
# What prepares the environments, several at once: pip uses one core.
POOL = concurrent.futures.ThreadPoolExecutor(max_workers=3)
# The seconds that each part took, which the session `times` prints.
SECONDS: dict[str, float] = {}

if "PIP_FIND_LINKS" in os.environ:  # uv reads its own variable, separated by commas
    os.environ.setdefault("UV_FIND_LINKS", ",".join(os.environ["PIP_FIND_LINKS"].split()))

on_every_backend = nox.parametrize("backend", [nox.param(b, id=b, tags=[b]) for b in BACKENDS])


def timed(part):
    """A function whose time is noted under its name and its backend."""

    @functools.wraps(part)
    def timing(session, *arguments, **named):
        start = time.monotonic()
        try:
            return part(session, *arguments, **named)
        finally:
            count(f"{part.__name__} {next(iter(arguments), '')}".strip(), start)

    return timing


def count(name, start):
    """Note the seconds since `start` under the name of a part."""
    SECONDS[name] = SECONDS.get(name, 0) + time.monotonic() - start


def groups(*names):
    """The requirements of dependency groups."""
    return nox.project.dependency_groups(PYPROJECT, *names)


def install(session, *requirements):
    """Install requirements in the versions of pins.txt."""
    session.install("-c", "pins.txt", *requirements)


def install_with_wheel(session, extras, *others):
    """Install the wheel with other packages, in place of an older one of the same version."""
    wheel = next(DIST.glob("*.whl"))
    session.install(*others, f"keras-norms[{extras}] @ {wheel.as_uri()}")
    session.install("--force-reinstall", "--no-deps", str(wheel))


def python_with(session, column, gpu=False):
    """The Python of the environment that all sessions of a backend, or of a column, share.

    It has the wheel, its optional packages and the tools of the tests, and nothing of another
    backend or of the checkout.
    """
    start = time.monotonic()
    try:
        return environment(column, gpu).result()
    except subprocess.CalledProcessError as error:
        session.error(f"{' '.join(error.cmd)}\n{error.stdout}{error.stderr}")
    finally:
        count(f"waiting for pip, {column}", start)


@functools.cache
def environment(column, gpu, /):
    """The future of a Python, which is prepared once in a run of nox.

    The cache tells a named argument, or one left out, from the same one given by position, and two
    preparations of one folder at once would destroy each other's: hence the slash.
    """
    return POOL.submit(prepare, column, gpu)


def prepare(column, gpu):
    """Make an environment, or bring one up to date that has what is needed but for the wheel."""
    backend = column.partition("-")[0]
    folder = ENVIRONMENTS / (f"{column}-gpu" if gpu else column)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    wheel = next(DIST.glob("*.whl"))
    extras = ",".join(["demo", "plot", "conformance"] + ([] if gpu else [backend]))
    needed = [f"keras-norms[{extras}] @ {wheel.as_uri()}", *groups("test")]
    needed += [GPU_REQUIREMENTS[backend]] if gpu else []
    # What an environment holds follows from these. If they change, it is made anew, because pip
    # would keep what is no longer needed.
    stamp = folder / "made-from.txt"
    pins = pins_with(OLDER_KERAS.get(column, []))
    reason = "\n".join([sys.version, *needed, pins, read("pyproject.toml")])
    is_new = not stamp.is_file() or stamp.read_text("utf-8") != reason
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)
        quietly(sys.executable, "-m", "virtualenv", "--quiet", str(folder))
    uv = shutil.which("uv")
    # Most of what is installed is never imported; Python compiles the rest at its first import.
    pip = [python, "-m", "pip", "install", "--no-compile"]
    pip = [uv, "pip", "install", "--python", python] if uv else pip
    if is_new:
        constraints = folder / "pins.txt"
        constraints.write_text(pins, "utf-8")
        quietly(*pip, "-c", str(constraints), *needed)
        stamp.write_text(reason, "utf-8")
    else:
        quietly(*pip, "--force-reinstall", "--no-deps", str(wheel))
    return python


def pins_with(others):
    """The text of pins.txt with other versions of some packages."""
    replaced = {pin.partition("==")[0] for pin in others}
    kept = [pin for pin in read("pins.txt").splitlines() if pin.partition("==")[0] not in replaced]
    return "\n".join([*kept, *others]) + "\n"


def quietly(*command):
    """Run a command in the root of the project; it prints nothing unless it fails."""
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def read(name):
    """The text of a file in the root of the project."""
    return (ROOT / name).read_text("utf-8")


def variables(backend, gpu=False):
    """The variables that make a process use one backend, and no GPU unless it is asked for."""
    common = {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # What one process has compiled the others find, whatever the user's shell says.
        "PYTHONDONTWRITEBYTECODE": "",
        # Tables are as wide as the terminal, and the examples show them as wide as their cells.
        "COLUMNS": "500",
        # One process per core: with several threads each, PyTorch's wait for one another, and a
        # training of the demo takes six times as long.
        "OMP_NUM_THREADS": "1",
    }
    if gpu:
        return common | {"NVIDIA_TF32_OVERRIDE": "0"}  # TF32 keeps 11 bits of a float32 product
    return common | {
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "KERAS_TORCH_DEVICE": "cpu",
        # JAX compiles each operation anew for each shape; the second run finds them here.
        "JAX_COMPILATION_CACHE_DIR": str(ENVIRONMENTS / "jax-cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


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
    found = "importlib.util.find_spec('keras_norms').origin"
    code = f"import importlib.util; assert 'site-packages' in {found}, {found}"
    session.run(python, "-P", "-c", code)
    testing(session, backend, python, env)


@timed
def testing(session, backend, python, env):
    """Run pytest: by default the unit tests and the examples of modules and pages."""
    pages = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]
    examples = ["--doctest-modules", "--doctest-glob=*.md", "--pyargs", "keras_norms", *pages]
    if backend == "jax":
        # XLA optimizes for trainings that are longer than these, and most of the time goes there.
        # The golden cases run as XLA compiles by default.
        env = env | {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    # One process per core, which take what is left from each other: some tests train for long.
    spread = ["-n", "auto", "--dist", "worksteal"]
    chosen = session.posargs or ["tests", *examples, *spread]
    session.run(python, "-P", "-m", "pytest", "-q", *chosen, env=env)


@nox.session(name="tests-python", python="3.13", requires=["wheel"])
def tests_python(session):
    """The unit tests on JAX under the newest Python that all backends support."""
    install_with_wheel(session, "demo,plot,conformance,jax", "-c", "pins.txt", *groups("test"))
    testing(session, "jax", "python", variables("jax"))


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
    device = "gpu" if is_gpu else "cpu"
    conforming(session, backend, python_with(session, backend, is_gpu), device)


@nox.session(name="conformance-all", venv_backend="none", requires=["wheel"])
@nox.parametrize("column", [nox.param(c, id=c) for c in (*BACKENDS, *OLDER_KERAS, "jax-mesh")])
def conformance_all(session, column):
    """The same for every column of the matrix: with older versions of Keras, and on a mesh."""
    if column == "jax-mesh":
        conforming(session, "jax", python_with(session, "jax"), "mesh")
    else:
        conforming(session, column, python_with(session, column), "cpu")


@timed
def conforming(session, column, python, device):
    """Run the suite on our classes, with controls, and on Keras' own."""
    backend = column.partition("-")[0]
    command = [python, "-P", "-m", "keras_norms", "conformance", "--backend", backend]
    # Virtual devices that wait for one another need all cores.
    command += ["--device", device, "--jobs", "auto" if device == "cpu" else "1"]
    name = f"{column}-{device}"
    reports = {"--report": f"{name}.json", "--keras-report": f"{name}-keras.json"}
    for option, report in reports.items():
        path = ROOT / "reports" / report
        path.unlink(missing_ok=True)  # one of an earlier run must not stand for this one
        command += [option, str(path)]
    if device != "mesh":  # that cases can fail does not depend on the number of devices
        command += ["--controls", "conformance/mutants"]
    command += session.posargs
    env = variables(backend, device == "gpu")
    if device == "mesh":
        env["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    session.run(*command, env=env)


@nox.session(venv_backend="none", requires=["wheel"])
@on_every_backend
def laws(session, backend):
    """The laws with 10,000 examples each, as every night. Arguments go to pytest."""
    env = variables(backend) | {"KERAS_NORMS_EXAMPLES": "10000"}
    session.run(
        *(python_with(session, backend), "-P", "-m", "pytest", "-q", "tests/test_laws.py"),
        *("-k", "exported", *session.posargs),
        env=env,
    )


@nox.session(requires=["wheel"], tags=["advisory"])
@nox.parametrize("package", [nox.param(p, id=p) for p in OTHERS])
def third_party(session, package):
    """Models of other packages, on two backends: constrained, trained, audited, saved. Advisory."""
    install_with_wheel(session, "torch,jax", OTHERS[package])
    failed = []
    for backend in ("torch", "jax"):
        command = ["python", "-P", "tests/third_party/check.py", package]
        env = variables(backend) | {"PYTHONPATH": str(ROOT / "tests" / "third_party")}
        try:
            session.run(*command, env=env)
        except nox.command.CommandFailed:  # the other backend is tried all the same
            failed.append(backend)
    if failed:
        session.error(f"{package} on {', '.join(failed)}")


@nox.session(venv_backend="none", requires=["wheel"])
@on_every_backend
def plant(session, backend):
    """Plant bugs in a copy, one at a time, and see what finds them: two hours for all of them.

    Arguments go to conformance/plant.py.
    """
    python = python_with(session, backend)
    command = [python, "-m", "conformance.plant", "--jobs", str(os.cpu_count() or 1)]
    session.run(*command, *session.posargs, env=variables(backend) | {"PYTHONPATH": str(ROOT)})


@nox.session(tags=["advisory"])
def mutation(session):
    """Small changes of the code, by mutmut, that no golden case notices: an hour. Advisory.

    conformance/mutation/README.md explains those that are known.
    """
    install(session, "keras", "torch", "hypothesis", "rich", "jsonschema", "mutmut", "pytest")
    session.run("mutmut", "run", *session.posargs, env=variables("torch"))
    session.run("mutmut", "results", env=variables("torch"))


@nox.session(venv_backend="none")
def matrix(session):
    """The table of all reports, as Markdown and HTML, and the badge. Red where one is missing.

    With `-- --write`, the tables of README.md and docs/ are written, too.
    """
    command = [sys.executable, "-m", "conformance.matrix", "reports", *BACKENDS]
    command += ["--also", *OLDER_KERAS]
    # Arguments for the suite, such as `-k`, are not for the matrix.
    written = [argument for argument in session.posargs if argument == "--write"]
    session.run(*command, *written, external=True)


@nox.session(venv_backend="none")
def times(session):
    """What each part of this run took."""
    for part, seconds in SECONDS.items():
        session.log(f"{part:<24}{seconds:6.0f} s")
    session.log(f"{'all of these':<24}{sum(SECONDS.values()):6.0f} s")


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
    finally:
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


@nox.session
def page(session):
    """The page of the last conformance run, tested in a headless Chromium."""
    install(session, *groups("browser"))
    env = {"KERAS_NORMS_REPORTS": str(ROOT / "reports")}
    session.run("python", "-m", "pytest", "-q", "conformance/html", *session.posargs, env=env)


@nox.session
def site(session):
    """The documentation as a site, in site/; its links and its search work offline."""
    install(session, *groups("site"))
    # Material for MkDocs announces in each build that it is followed by another tool in 2027.
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("python", "tests/site/check.py")


@nox.session(requires=["wheel"])
@on_every_backend
def outside(session, backend):
    """The laws on a package of somebody else, which has the wheel and nothing of this checkout."""
    package = pathlib.Path(session.create_tmp()) / "package"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(ROOT / "tests" / "third_party_package", package)
    others = ["-c", "pins.txt", "pytest", str(package)]
    install_with_wheel(session, f"{backend},conformance", *others)
    session.chdir(package)
    session.run("python", "-P", "-m", "pytest", "-q", *session.posargs, env=variables(backend))


@nox.session(name="release-check")
def release_check(session):
    """Build what a release uploads, into dist/, and check it. An argument is the tag, as v1.2.3."""
    install(session, *groups("release"))
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", "--sdist", "--wheel", silent=True)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    session.run("check-wheel-contents", str(wheel))
    session.run("pyroma", "--min", "8", str(sdist))  # of 10: there is no address of an author
    session.run("python", "tests/release/check.py", str(DIST), *session.posargs)
    for backend in BACKENDS:
        python = bare(session, backend, wheel)
        session.run(python, "-P", "tests/release/smoke.py", env=variables(backend), external=True)
        quietly(python, "-m", "pip", "install", "--force-reinstall", "--no-deps", str(sdist))
        session.run(python, "-P", "tests/release/smoke.py", env=variables(backend), external=True)


def bare(session, backend, wheel):
    """The Python of a new environment with nothing but the wheel and a backend."""
    folder = pathlib.Path(session.create_tmp()) / backend
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "virtualenv", "--quiet", str(folder))
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    needed = f"keras-norms[{backend}] @ {wheel.as_uri()}"
    quietly(python, "-m", "pip", "install", "--no-compile", "-c", "pins.txt", needed)
    return python


@nox.session(name="gpu-requirements")
def gpu_requirements(session):
    """Whether what a GPU session installs can be resolved, without a download of gigabytes."""
    install(session, "uv")
    command = ["uv", "pip", "compile", "--quiet", "-c", "pins.txt", "--python-platform", "linux"]
    command += [f"--extra={extra}" for extra in ("demo", "plot", "conformance")]
    env = {"UV_FIND_LINKS": None}  # where a CPU build of PyTorch may be at hand
    for backend, line in GPU_REQUIREMENTS.items():
        needed = pathlib.Path(session.create_tmp()) / f"{backend}.in"
        needed.write_text("\n".join([line, *groups("test")]), "utf-8")
        resolved = needed.with_suffix(".txt")
        session.run(*command, "-o", str(resolved), "pyproject.toml", str(needed), env=env)
        cuda = re.findall("^(?:nvidia|jax-cuda)[a-z0-9-]*==", resolved.read_text("utf-8"), re.M)
        if not cuda:
            session.error(f"{line} resolves to a build without CUDA")
        session.log(f"{line} resolves, with {len(cuda)} packages of CUDA")
