"""Sessions that take long, or test what others publish: the workflow runs most at night."""

import os
import pathlib
import shutil

import nox

from sessions.environments import (
    ROOT,
    install,
    install_with_wheel,
    on_every_backend,
    python_with,
    variables,
)

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

# The oldest versions that are supported, and what these need older than the newest.
OLDEST = {
    "tensorflow": ["tensorflow==2.18.0"],
    "torch": ["torch==2.6.0", "ml_dtypes==0.5.4"],
    "jax": ["jax==0.5.0", "jaxlib==0.5.0", "ml_dtypes==0.5.4"],
}


@nox.session(requires=["wheel"])
@on_every_backend
def oldest(session, backend):
    """The golden cases with the oldest supported versions. PyTorch may bring 3 GB of CUDA."""
    packages = ["keras==3.10.0", "numpy==1.26.4", *OLDEST[backend]]
    install_with_wheel(session, "conformance", *packages)
    # JAX 0.5 gets other results from a step that it reads from the cache of another process.
    env = variables(backend) | {"JAX_COMPILATION_CACHE_DIR": ""}
    session.run("python", "-P", "-m", "keras_norms", "conformance", "--jobs", "auto", env=env)


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
    """Small changes of the code, by mutmut, that no golden case notices: 40 minutes. Advisory.

    conformance/mutation/README.md explains those that are known.
    """
    install(session, "keras", "torch", "hypothesis", "rich", "jsonschema", "mutmut", "pytest")
    session.run("mutmut", "run", *session.posargs, env=variables("torch"))
    session.run("mutmut", "results", env=variables("torch"))


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
