"""The site's hook for mkdocs: pages and pictures from outside docs/, and links out of docs/.

The pages are written for GitHub, where links lead from file to file of the repository. On the site,
a link to a file that the site has leads there, and every other one to GitHub.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
# Files of the repository that the site has, and where.
ON_THE_SITE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "conformance/README.md": "conformance.md",
    "examples/output/jax/learning-rates.png": "pictures/learning-rates.png",
}
# What `nox -s matrix` makes, if it has run.
REPORTS = ["matrix.html", *(f"badge{name}.json" for name in ("", "-gpu", "-older-keras", "-mesh"))]
RAW = "https://raw.githubusercontent.com/keras-norms/keras_norms"
LINK = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
BADGES = re.compile(r"^\[!\[.+\n", re.MULTILINE)


def on_config(config):
    """The page with every case is in the navigation if it is there."""
    if (ROOT / "reports" / "matrix.html").exists():
        section = next(entry["Conformance"] for entry in config.nav if "Conformance" in entry)
        section.insert(1, {"Every case": "matrix.html"})
    return config


def on_files(files, config):
    """The files of docs/, and those from elsewhere."""
    found = {site: ROOT / path for path, site in ON_THE_SITE.items()}
    found |= {name: ROOT / "reports" / name for name in REPORTS}
    for name, path in found.items():
        if not path.exists():
            continue
        if name in files.src_uris:  # the badge of the last release
            files.remove(files.src_uris[name])
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """The page with links that work on the site, and without badges, which are of another site."""
    name = page.file.src_uri
    here = next((path for path, site in ON_THE_SITE.items() if site == name), f"docs/{name}")

    def moved(link):
        path, mark, anchor = link[0].partition("#")
        inside = re.sub(rf"^({config.repo_url}|{RAW})/((blob|tree)/)?main/", "", path)
        if not inside or "://" in inside:
            return link[0]
        if inside == path:
            inside = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
        if not (ROOT / inside).exists():
            return link[0]
        on_site = ON_THE_SITE.get(inside, inside.removeprefix("docs/"))
        file = files.src_uris.get(on_site) if on_site != inside else None
        if file and file.inclusion.is_included():
            start = posixpath.dirname(name) or "."
            return posixpath.relpath(on_site, start) + mark + anchor
        kind = "tree" if (ROOT / inside).is_dir() else "blob"
        return f"{config.repo_url}/{kind}/main/{inside}{mark}{anchor}"

    return LINK.sub(moved, BADGES.sub("", markdown))
