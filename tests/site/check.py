"""Check the built site without a network: links, anchors, what pages load, search, and the API.

nox -s site
"""

import html.parser
import json
import pathlib
import re
import sys
from urllib.parse import unquote, urlsplit

import griffe

ROOT = pathlib.Path(__file__).parents[2]
SITE = ROOT / "site"
# Where the site is published: only the page for what is not found names it.
BASE = "/keras_norms/"
LOADING = {"stylesheet", "icon", "preload", "preconnect", "prefetch", "modulepreload", "manifest"}
# One word of a page, of a finding, of a docstring and of a requirement.
WORDS = ["MaxNorm", "wrong-axis", "conv_spectral_bound", "KN-MAXNORM-001"]


class Page(html.parser.HTMLParser):
    """The anchors of a page, the links from it, and the addresses that it loads."""

    def __init__(self, file):
        super().__init__()
        self.anchors, self.links, self.loads = {""}, [], []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        """Note one element."""
        found = dict(attributes)
        self.anchors |= {found.get("id"), found.get("name")}
        address = found.get("src", found.get("href"))
        if address is None:
            return
        if tag == "link" and not LOADING & set(found.get("rel", "").split()):
            return  # the address of the page itself, say
        self.links.append(address)
        if tag != "a":
            self.loads.append(address)


def problems():
    """What is wrong, a line each."""
    pages = {file: Page(file) for file in sorted(SITE.rglob("*.html"))}
    for file, page in pages.items():
        name = file.relative_to(SITE)
        yield from (f"{name} loads {a}" for a in page.loads if urlsplit(a).netloc)
        yield from (f"{name}: no {link}" for link in page.links if not leads(link, file, pages))
    for file in SITE.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import )[\"']?(https?:[^\"')]+)", file.read_text("utf-8"))
        yield from (f"{file.relative_to(SITE)} loads {address}" for address in loaded)
    index = (SITE / "search" / "search_index.json").read_text("utf-8")
    text = " ".join(f"{each['title']} {each['text']}" for each in json.loads(index)["docs"])
    yield from (f"search does not know {word}" for word in WORDS if word not in text)
    if (SITE / "search" / "search_index.js").read_text("utf-8") != f"var __index = {index}":
        yield "search has no index for a site that is opened from a folder"
    yield from missing_names({anchor for page in pages.values() for anchor in page.anchors})


def leads(link, file, pages):
    """Whether a link of a page leads to a file of the site and an anchor in it, or out of it."""
    scheme, host, path, _, anchor = urlsplit(link)
    if scheme or host:
        return True
    path = unquote(path)
    target = SITE / path.removeprefix(BASE) if path.startswith(BASE) else file.parent / path
    target = target.resolve() if path else file
    target = target / "index.html" if target.is_dir() else target
    if target not in pages:
        return target.is_file()
    return unquote(anchor) in pages[target].anchors


def missing_names(anchors):
    """The names of `keras_norms` that no page of the reference explains."""
    package = griffe.load("keras_norms", search_paths=[str(ROOT)])
    paths = [a for a in anchors - {None} if a.startswith("keras_norms.")]
    shown = {package[path.removeprefix("keras_norms.")].canonical_path for path in paths}
    for name in package.exports:
        if package[name].canonical_path not in shown:
            yield f"no page explains keras_norms.{name}"


def main():
    """Print all problems; exit with 1 if there are any."""
    found = list(problems())
    print("\n".join(found) or "The site is complete, and needs no network.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
