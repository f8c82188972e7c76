"""Plant bugs in a copy of the project, one at a time, and see what finds them.

    python -m conformance.plant [--file FILE ...] [--only WORDS] [--jobs N]
    python -m conformance.plant --module FILE --old TEXT --new TEXT

A bug is a text in a module, which must be there once, and what replaces it. The golden cases run
first, with Keras' current backend, and with the controls if the bug is in the suite itself. What
they do not find is left to the unit tests. A copy without a bug must pass golden cases before, and
the unit test that finds one must pass without it. A run that does not end finds nothing. The bugs
of the project are in conformance/planted/. One that changes no result gives its reason as `lives`;
one that does so on some backends only names them as `backends`. The exit code is 1 if another one
survives, if one dies that must live, and if there is no bug to plant.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".nox", "dist", "reports", "__pycache__", ".*_cache", ".hypothesis")
)
# These tests start processes or train for long, so they come last.
LAST = (
    *("test_command_line", "test_devices", "test_laws", "test_pages", "test_real_models"),
    *("suite/test_laws_command", "suite/test_processes", "suite/test_suite_command"),
)
SECONDS = 900  # a planted loop may never end, and a busy machine may be slow
# The exit codes of pytest for a file that is not there, and for files without a test.
RAN_NO_TEST = (4, 5)
# The manifest holds digests of these files, so that each change is noticed, whatever it does.
LISTED = ("conformance/cases", "conformance/mutants")


@dataclasses.dataclass(frozen=True)
class Bug:
    """A substitution in a module, and why it changes no result, if that is so.

    If it changes results on some backends only, `backends` names these.
    """

    name: str
    module: str
    old: str
    new: str
    lives: str = ""
    backends: tuple[str, ...] = ("tensorflow", "torch", "jax")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What found a bug: "golden cases", "controls", "unit tests", or nothing."""

    bug: Bug
    found_by: str
    details: str

    @property
    def is_as_it_must_be(self):
        """Whether it was found, or changes no result."""
        return bool(self.found_by) != bool(self.bug.lives)


def load(paths):
    """The bugs of some files."""
    bugs = []
    for path in paths:
        bugs += [Bug(**entry) for entry in tomllib.loads(path.read_text("utf-8"))["bug"]]
    return bugs


@contextlib.contextmanager
def copied():
    """The root of a copy of the project."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "copy"
        shutil.copytree(ROOT, root, ignore=LEFT_OUT)
        yield root


def check_environment():
    """Refuse an environment in which a copy without a bug fails: each bug would seem to be found.

    Raises:
        SystemExit: If it fails.
    """
    with copied() as root:
        code, said = _run(root, "-m", "keras_norms", "conformance", "--quiet", "-k", "max_norm")
    if code != 0:
        raise SystemExit(f"The project fails without a bug: {said}")


def judge(bug):
    """Plant a bug in a copy, and run the suite there.

    Raises:
        SystemExit: If the bug cannot be planted, or if what finds it fails without it, too.
    """
    if bug.module.startswith(LISTED):
        raise SystemExit(f"{bug.name}: the manifest tells each change of {bug.module}")
    with copied() as root:
        path = root / bug.module
        text = path.read_text("utf-8")
        if text.count(bug.old) != 1:
            raise SystemExit(f"{bug.name}: the text is there {text.count(bug.old)} times")
        changed = text.replace(bug.old, bug.new)
        compile(changed, bug.module, "exec")  # code that does not run shows nothing
        path.write_text(changed, "utf-8")
        return _verdict(bug, root)


def _verdict(bug, root):
    report = root / "report.json"
    command = ["-m", "keras_norms", "conformance", "--quiet", "--report", str(report)]
    if bug.module.startswith(("keras_norms/testing", "conformance")):
        command += ["--controls", "conformance/mutants"]
    code, said = _run(root, *command)
    failed = []
    if report.is_file():
        cases = json.loads(report.read_text("utf-8"))["cases"]
        failed = [case["id"] for case in cases if case["status"] == "failed"]
    if failed:
        return Verdict(bug, "golden cases", f"{len(failed)}: {failed[0]}")
    if code is None:
        return Verdict(bug, "", said)
    if code:
        return Verdict(bug, "controls" if report.is_file() else "golden cases", said)
    last = [f"tests/{name}.py" for name in LAST]
    # That the lists of bugs are up to date is not so in a copy with a bug.
    first = [f"--ignore={path}" for path in (*last, "tests/suite/test_plant.py")]
    for files in (["tests", *first], last):
        code, said = _run(root, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files)
        if code in RAN_NO_TEST:
            raise SystemExit(f"{bug.name}: pytest ran no test: {said}")
        if code is None:
            return Verdict(bug, "", said)
        if code:
            _check_without(bug, said)
            return Verdict(bug, "unit tests", said)
    return Verdict(bug, "", said)


def _check_without(bug, said):
    """Refuse a unit test that fails without the bug, too: `said` is how pytest names it.

    Raises:
        SystemExit: If it fails.
    """
    # An id may hold " - ", too, in its brackets. A process that died names no test.
    test = re.match(r"(?:FAILED|ERROR) ([^\[ ]+(?:\[.*?\](?= - |$))?)", said)
    if not test:
        return
    with copied() as root:
        code, said = _run(root, "-m", "pytest", "-q", "-p", "no:cacheprovider", test[1])
    if code != 0:
        raise SystemExit(f"{bug.name}: this fails without it, too: {said}")


def _run(root, *arguments):
    """The exit code of Python in a copy, None if it does not end, and the last thing it says."""
    # The copy comes before an installed package.
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    options = {"cwd": root, "env": environment, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, check=False, timeout=SECONDS, **options)
    except subprocess.TimeoutExpired:
        return None, f"not done after {SECONDS} seconds"
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    found = [line for line in lines if line.startswith(("FAILED", "ERROR"))] or lines
    return done.returncode, found[-1] if found else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=pathlib.Path, action="append", help="a list of bugs")
    parser.add_argument("--only", default="", help="bugs with this in the name or the module")
    parser.add_argument("--jobs", type=int, default=1, help="how many bugs at a time")
    for name in ("module", "old", "new"):
        parser.add_argument(f"--{name}", help="of a bug of your own")
    options = parser.parse_args()
    own = [getattr(options, name) is not None for name in ("module", "old", "new")]
    if any(own) and not all(own):
        parser.error("a bug of your own needs --module, --old and --new")
    if options.module:
        bugs = [Bug("yours", options.module, options.old, options.new)]
    else:
        paths = options.file or sorted((ROOT / "conformance" / "planted").glob("*.toml"))
        bugs = [bug for bug in load(paths) if options.only in f"{bug.name} {bug.module}"]
    here = os.environ.get("KERAS_BACKEND", "tensorflow")
    elsewhere = [bug for bug in bugs if here not in bug.backends]
    bugs = [bug for bug in bugs if here in bug.backends]
    if bugs:
        check_environment()
    verdicts = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(judge, bugs):
            verdicts.append(verdict)
            mark = "" if verdict.is_as_it_must_be else " (!)"
            print(f"{verdict.found_by or 'nothing'}{mark}: {verdict.bug.name}", flush=True)
            print(f"    {verdict.bug.lives or verdict.details}", flush=True)
    for kind in ("golden cases", "controls", "unit tests", ""):
        count = sum(verdict.found_by == kind for verdict in verdicts)
        print(f"found by {kind or 'nothing'}: {count} of {len(verdicts)}")
    print(f"not planted, because nothing changes on {here}: {len(elsewhere)}")
    return int(not verdicts or not all(verdict.is_as_it_must_be for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
