"""The commit that a run is of. Only the standard library is imported here, for the matrix."""

import subprocess


def current_commit():
    """The commit of the folder that the command runs in, or None outside a repository.

    It ends in "-dirty" where files that are tracked have changed since.
    """
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
