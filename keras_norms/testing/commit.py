"""The commit that the code is of. Only the standard library is imported here, for the matrix."""

import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent


def package_commit():
    """The commit of this package, or None if it is not known.

    A wheel says in a file which commit it was built from. Only where the package runs from a
    checkout, git is asked: a package may be installed anywhere below a repository of another
    project.
    """
    file = HERE / "commit.txt"
    if file.is_file():
        return file.read_text("utf-8").strip() or None
    tracked = _git(HERE, "ls-files", "--error-unmatch", __file__)
    return commit_of(HERE) if tracked else None


def commit_of(folder):
    """The commit of the repository of a folder, or None outside a repository.

    It ends in "-dirty" if a file has changed since, or is new and not ignored.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    return commit and commit + ("-dirty" if _git(folder, "status", "--porcelain") else "")


def is_clean(commit):
    """Whether a commit is known, and is all that there is."""
    return commit is not None and not commit.endswith("-dirty")


def _git(folder, *arguments):
    """What git prints, or None if it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
