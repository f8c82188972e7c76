"""The build hook of the wheel: it carries the commit that it was built from."""

import pathlib
import runpy
import tempfile

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface):
    """Writes keras_norms/testing/commit.txt into the wheel, empty outside a repository."""

    def initialize(self, version, build_data):
        """Before the build."""
        if version == "editable":  # git is asked there, at each run
            return
        commit = runpy.run_path(pathlib.Path(self.root, "keras_norms", "testing", "commit.py"))
        self.folder = tempfile.TemporaryDirectory()
        file = pathlib.Path(self.folder.name, "commit.txt")
        file.write_text(commit["package_commit"]() or "", "utf-8")
        build_data["force_include"][str(file)] = "keras_norms/testing/commit.txt"

    def finalize(self, version, build_data, artifact_path):
        """After it."""
        if version != "editable":
            self.folder.cleanup()
