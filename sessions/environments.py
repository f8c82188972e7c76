"""What the sessions share: the lists of backends and columns, and the environments they run in."""

import concurrent.futures
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import time

import nox

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
ROOT = pathlib.Path(__file__).parents[1]
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
        session.error(" ".join(error.cmd))  # which has printed why
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
    try:
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        print(error.stdout, error.stderr, sep="", file=sys.stderr)
        raise


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
