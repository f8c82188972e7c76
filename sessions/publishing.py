"""Sessions about what is published: the site and the release."""

import os
import pathlib
import re
import shutil

import nox

from sessions.environments import (
    BACKENDS,
    DIST,
    GPU_REQUIREMENTS,
    groups,
    install,
    quietly,
    variables,
)


@nox.session
def site(session):
    """The documentation as a site, in site/; its links and its search work offline."""
    install(session, *groups("site"))
    # Material for MkDocs announces in each build that it is followed by another tool in 2027.
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("python", "tests/site/check.py")


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
    uv = shutil.which("uv")
    pip = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    quietly(*pip, "-c", "pins.txt", needed)
    return python


@nox.session(name="gpu-requirements")
def gpu_requirements(session):
    """Whether what a GPU session installs can be resolved, without a download of gigabytes."""
    install(session, "uv")
    command = ["uv", "pip", "compile", "--quiet", "-c", "pins.txt", "--python-platform", "linux"]
    command += [f"--extra={extra}" for extra in ("demo", "plot", "conformance")]
    # Both may name a CPU build of PyTorch.
    env = {"UV_FIND_LINKS": None, "UV_TORCH_BACKEND": None}
    for backend, line in GPU_REQUIREMENTS.items():
        needed = pathlib.Path(session.create_tmp()) / f"{backend}.in"
        needed.write_text("\n".join([line, *groups("test")]), "utf-8")
        resolved = needed.with_suffix(".txt")
        session.run(*command, "-o", str(resolved), "pyproject.toml", str(needed), env=env)
        cuda = re.findall("^(?:nvidia|jax-cuda)[a-z0-9-]*==", resolved.read_text("utf-8"), re.M)
        if not cuda:
            session.error(f"{line} resolves to a build without CUDA")
        session.log(f"{line} resolves, with {len(cuda)} packages of CUDA")
