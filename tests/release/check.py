"""What a release must be, beyond what tools check: version, contents, metadata and README.

    python tests/release/check.py DIST [TAG]

DIST holds one wheel and one source distribution, which were built from this checkout. With TAG, the
version must be that of the tag, of a clean commit, and CHANGELOG.md must have its date. Prints each
thing that is wrong, and exits with 1 if there is one.
"""

import datetime
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

from packaging.metadata import parse_email

ROOT = pathlib.Path(__file__).parents[2]


def version_in_source():
    source = (ROOT / "keras_norms" / "__init__.py").read_text("utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)[1]


def about_version(wheel, sdist, tag):
    version = version_in_source()
    for path in (wheel, sdist):
        if not re.match(rf"keras_norms-{re.escape(version)}[-.]", path.name):
            yield f"{path.name} is not of version {version}"
    if f"\nversion: {version}\n" not in (ROOT / "CITATION.cff").read_text("utf-8"):
        yield f"CITATION.cff has not version {version}"
    page = (ROOT / "CHANGELOG.md").read_text("utf-8")
    entry = re.search(rf"^## {re.escape(version)} - (\S+)\n+(.*?)(?=^## |\Z)", page, re.M | re.S)
    if entry is None or not entry[2].strip():
        yield f"CHANGELOG.md has no entry '## {version} - DATE'"
    elif tag:
        try:
            datetime.date.fromisoformat(entry[1])
        except ValueError:
            yield f"CHANGELOG.md has no date for {version}, but {entry[1]}"
    if tag and tag != f"v{version}":
        yield f"the tag is {tag}, but the version is {version}"


def about_wheel(wheel, tag):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        commit = archive.read("keras_norms/testing/commit.txt").decode()
    foreign = {n for n in names if not re.match(r"keras_norms(-[^/]+\.dist-info)?/", n)}
    if foreign:
        yield f"the wheel has {sorted(foreign)}"
    cases = {str(p.relative_to(ROOT / "conformance")) for p in ROOT.glob("conformance/cases/*/*")}
    tracked = {f"keras_norms/{p.relative_to(ROOT / 'keras_norms')}" for p in sources()}
    needed = {f"keras_norms/testing/{name}" for name in cases} | tracked
    needed |= {
        f"keras_norms/{name}"
        for name in (
            *("py.typed", "testing/manifest.json", "testing/expected_failures.toml"),
            *("testing/schema/cases.schema.json", "testing/schema/report.schema.json"),
            "testing/commit.txt",
        )
    }
    if needed - names:
        yield f"the wheel lacks {sorted(needed - names)}"
    beside = {n for n in names if ".dist-info/" not in n} - needed
    if beside:
        yield f"the wheel has what is not in the package: {sorted(beside)}"
    if not any(n.endswith(".dist-info/licenses/LICENSE") for n in names):
        yield "the wheel lacks the licence"
    if not re.fullmatch("[0-9a-f]{40}" + ("" if tag else "(-dirty)?"), commit):
        yield f"the wheel says it is of commit {commit!r}"


def sources():
    return (ROOT / "keras_norms").rglob("*.py")


def about_sdist(sdist):
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    wanted = {n for n in tracked if not n.startswith(".ci/")} | {"PKG-INFO"}
    if wanted - names:
        yield f"the sdist lacks {sorted(wanted - names)}"
    if names - wanted:
        yield f"the sdist has what git has not: {sorted(names - wanted)}"


def about_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata, unknown = parse_email(archive.read(name))
    if unknown:
        yield f"the metadata have unknown fields: {sorted(unknown)}"
    wanted = {
        "name": "keras-norms",
        "license_expression": "Apache-2.0",
        "license_files": ["LICENSE"],
    }
    for field, value in wanted.items():
        if metadata.get(field) != value:
            yield f"the metadata's {field} is {metadata.get(field)}, not {value}"
    plain = sorted(r for r in metadata["requires_dist"] if "extra ==" not in r)
    if [re.match("[a-z]+", r)[0] for r in plain] != ["keras", "numpy"]:
        yield f"it requires {plain}; only keras and numpy may be needed"
    if metadata["description"] != (ROOT / "README.md").read_text("utf-8"):
        yield "the description is not README.md"


def about_readme():
    """A package index shows the README alone: a link or picture needs its whole address."""
    text = (ROOT / "README.md").read_text("utf-8")
    from readme_renderer.markdown import render

    html = render(text)
    if html is None:
        yield "README.md cannot be rendered"
        return
    for link in re.findall(r'(?:href|src)="([^"]*)"', html):
        if not link.startswith(("https://", "#")):
            yield f"README.md has the link {link}"
    heads = [
        line for line in re.sub("```.*?```", "", text, flags=re.S).splitlines() if line[:1] == "#"
    ]
    found = len(re.findall("<h[1-6]", html))
    if found != len(heads):
        yield f"README.md has {len(heads)} headings, of which {found} are shown"


def main(dist, tag=None):
    folder = pathlib.Path(dist)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    wrong = [
        *(*about_version(wheel, sdist, tag), *about_wheel(wheel, tag), *about_sdist(sdist)),
        *(*about_metadata(wheel), *about_readme()),
    ]
    print("\n".join(wrong) or f"{wheel.name} and {sdist.name} are as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
