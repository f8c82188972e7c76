"""The manifest: which cases and controls there are, so that none can go missing unnoticed.

`python -m conformance.generate --write` writes it. It lies beside the folders that it lists. Only
the standard library is imported here, for the matrix.
"""

import dataclasses
import hashlib
import json
import pathlib


class BrokenCases(Exception):
    """The cases or controls cannot be used: missing, empty, or not what they must be."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What there must be.

    Attributes:
        digest: A hash of the manifest itself, by which reports tell what they are of.
        cases: The hash of each file of cases, and how many it holds, by its path.
        controls: The hash of each module of controls, and their names, by its path.
    """

    digest: str
    cases: dict[str, dict]
    controls: dict[str, dict]

    @property
    def number_of_cases(self):
        """How many cases there are."""
        return sum(file["count"] for file in self.cases.values())

    @property
    def names_of_controls(self):
        """The names of all controls."""
        return {name for file in self.controls.values() for name in file["names"]}

    def check_cases(self, folder):
        """Compare the files of cases below a folder.

        Raises:
            BrokenCases: If a file is missing, new or another one.
        """
        _check(pathlib.Path(folder), "**/*.json", self.cases)

    def check_controls(self, folder, names):
        """Compare the modules of controls below a folder, and the controls that they gave.

        Raises:
            BrokenCases: If a module is missing, new or another one, or the names differ.
        """
        _check(pathlib.Path(folder), "**/*.py", self.controls)
        differ = self.names_of_controls.symmetric_difference(names)
        if differ:
            raise BrokenCases(
                f"The controls must be those of the manifest. These differ: {sorted(differ)}"
            )


def manifest_beside(folder):
    """The manifest beside a folder of cases or controls, or None if there is none.

    A file of that name that says nothing about cases and controls is somebody else's.

    Raises:
        BrokenCases: If it cannot be read.
    """
    path = pathlib.Path(folder).resolve().parent / "manifest.json"
    if not path.is_file():
        return None
    try:
        text = path.read_text("utf-8")
        data = json.loads(text)
        if not isinstance(data, dict) or not {"cases", "controls"} & data.keys():
            return None
        return Manifest(digest(text), data["cases"], data["controls"])
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BrokenCases(f"{path} is not a manifest: {error!r}") from error


def digest(text):
    """The hash of a text, whatever the ends of its lines were in the file."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _check(folder, pattern, files):
    found = {path.relative_to(folder).as_posix(): path for path in folder.glob(pattern)}
    differ = sorted(found.keys() ^ files.keys())
    differ += sorted(
        name
        for name in found.keys() & files.keys()
        if digest(found[name].read_text("utf-8")) != files[name]["sha256"]
    )
    if differ:
        raise BrokenCases(
            f"{folder} must hold what its manifest lists. These files differ: {differ}"
        )
