"""The matrix: what the reports of all backends say, as tables and as badges.

    python -m conformance.matrix FOLDER COLUMN [COLUMN ...] [--also COLUMN ...] [--write]

Reads FOLDER/<column>-<device>.json, and -keras.json beside them for Keras' own classes, and writes
matrix.md, matrix.html, keras-failures.md and the badges there, as Shields endpoints. A column is a
backend, or a backend with an older Keras. The first badge is red and the exit code 1 unless each
CPU report is of this commit, of the cases and controls of the manifest, of the backend and device
of its name and of one Keras, and unless cases passed, none failed and all controls are dead. If the
commit is not known, as in a download without git, or the tree has changed since, the badge says
"incomplete"; the exit code is 1 only where the variable CI is "true". The badges of the GPU, of a
mesh of devices, and of the columns that --also names, stay grey until there is a report, unless
--must-have says that there must be one. If there are reports on Keras' own classes, they must be of
all backends, and of the same commit and cases, or the exit code is 1.

With --write, the tables also take the places that comments mark in README.md, docs/results.md and
docs/keras-failures.md, and the badges those in docs/. Nothing is written if anything is incomplete.

Only the standard library is needed.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import sys

from conformance.page import page
from conformance.reports import Wanted, badge, badge_if_run, load, problem
from conformance.tables import accounting, errors, failures, origin, proof, summary, table
from keras_norms.testing.commit import commit_of
from keras_norms.testing.manifest import manifest_beside

ROOT = pathlib.Path(__file__).parents[1]
BADGES = ("badge.json", "badge-gpu.json", "badge-older-keras.json", "badge-mesh.json")


def filled(text, name, body):
    """A page with `body` in the place that has this name.

    Raises:
        ValueError: If the page does not have the place exactly once.
    """
    begin, end = f"<!-- generated: {name} -->\n", "<!-- end of what is generated -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"A page must have one place {begin.strip()}")
    return pattern.sub(lambda _: f"{begin}\n{body}\n{end}", text)


def write(root, ours, keras, cells, keras_cells, badges):
    """Put the tables into the pages of the project, and the badges beside them.

    Without a report of a GPU, a mesh or an older Keras, their badges and the table of all cells
    stay.

    Args:
        root: The root of the project.
        ours: The reports on our classes, by backend.
        keras: Those on Keras' own.
        cells: Those on ours of every device and Keras, by the name of the column.
        keras_cells: The same for Keras' own.
        badges: The endpoints by the name of their file.
    """
    cases = {report["counts"]["planned"] for report in ours.values()}
    controls = {len(report["controls"]) for report in ours.values()}
    heading = (
        f"{max(cases)} cases and {max(controls)} controls, passed of run ({origin(ours)}):\n\n"
    )
    places = {
        "README.md": {"proof": proof(ours)},
        "docs/results.md": {
            "matrix": heading + table(ours, keras),
            "errors": errors(ours),
            "keras": summary(keras),
        },
        "docs/keras-failures.md": failures(keras),
    }
    if len(cells) > len(ours):
        places["docs/results.md"]["columns"] = accounting(cells, keras_cells)
    badges = {name: each for name, each in badges.items() if each["message"] != "not run"}
    pages = {}
    for path, bodies in places.items():
        pages[path] = (root / path).read_text("utf-8")
        for name, body in bodies.items():
            pages[path] = filled(pages[path], name, body)
    for path, text in pages.items():
        (root / path).write_text(text, "utf-8")
    for name, endpoint in badges.items():
        (root / "docs" / name).write_text(json.dumps(endpoint) + "\n", "utf-8")


def parsed(arguments):
    """The arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("columns", nargs="*")
    parser.add_argument("--also", nargs="+", default=[])
    parser.add_argument("--must-have", choices=("gpu", "columns"), action="append", default=[])
    parser.add_argument("--write", action="store_true")
    return parser.parse_args([str(argument) for argument in arguments])


def loaded(folder, columns, also, suffix=""):
    """The reports of CPUs, of CPUs under an older Keras, of a mesh and of GPUs, by column."""
    places = ((columns, "cpu"), (also, "cpu"), (columns, "mesh"), (columns, "gpu"))
    return [load(folder, names, device, suffix) for names, device in places]


def cells_of(cpu, older, mesh, gpu):
    """All reports by the name of their column, which says the device if it is no CPU."""
    others = {f"{column}-mesh": report for column, report in mesh.items()}
    return cpu | older | others | {f"{column}-gpu": report for column, report in gpu.items()}


def needs_of(folder):
    """What each case below a folder needs, by its id: its dtype, and its way of training."""
    files = [json.loads(path.read_text("utf-8")) for path in folder.glob("**/*.json")]
    cases = [case for file in files for case in file["cases"]]
    return {case["id"]: (case["dtype"], case["inputs"].get("path")) for case in cases}


def main(*arguments, root=ROOT):
    """The exit code: 1 if a badge is red, or there is nothing to write the pages from."""
    options = parsed(arguments)
    folder, columns, also = options.folder, options.columns, options.also
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("matrix.md", "matrix.html", "keras-failures.md", *BADGES):
        (folder / name).unlink(missing_ok=True)  # those of an earlier run must not stand for this
    cases = root / "conformance" / "cases"
    wanted = Wanted(columns, commit_of(root), manifest_beside(cases), needs_of(cases))
    cpu, older, mesh, gpu = loaded(folder, columns, also)
    keras, *keras_elsewhere = loaded(folder, columns, also, "-keras")
    on_gpu, on_columns = ("gpu" in options.must_have, "columns" in options.must_have)
    of_older = dataclasses.replace(wanted, columns=also)
    endpoints = (
        badge(cpu, wanted, "backend parity"),
        badge_if_run(gpu, wanted, "GPU parity", "gpu", must_have=on_gpu),
        badge_if_run(older, of_older, "older Keras", must_have=on_columns),
        badge_if_run(mesh, wanted, "mesh parity", "mesh", must_have=on_columns),
    )
    cells, keras_cells = cells_of(cpu, older, mesh, gpu), cells_of(keras, *keras_elsewhere)
    badges = dict(zip(BADGES, endpoints, strict=True))
    (folder / "matrix.md").write_text(table(cpu, keras), "utf-8")
    (folder / "matrix.html").write_text(page(cells, keras_cells, endpoints), "utf-8")
    (folder / "keras-failures.md").write_text(
        "\n".join(f"## {name}\n\n{text}" for name, text in failures(keras).items()), "utf-8"
    )
    for name, endpoint in badges.items():
        (folder / name).write_text(json.dumps(endpoint) + "\n", "utf-8")
    print(table(cpu, keras))
    print("; ".join(f"{e['label']}: {e['message']}" for e in badges.values()))
    colors = {endpoint["color"] for endpoint in badges.values()}
    # Without any, there are no columns of Keras' own classes, which is enough for users.
    wrong = problem(keras, wanted, target="keras") if keras or options.write else None
    for reports, device in zip(keras_elsewhere, ("cpu", "mesh", "gpu"), strict=True):
        if reports:
            of_these = dataclasses.replace(wanted, columns=list(reports))
            wrong = wrong or problem(reports, of_these, device, "keras")
    if wrong:
        print(f"Keras' own classes: {wrong}")
    if options.write:
        if wrong or colors & {"red", "orange"}:
            print(f"Nothing is written: {wrong or 'a badge is incomplete'}")
            return 1
        write(root, cpu, keras, cells, keras_cells, badges)
    # A user with changes, or without git, may run the suite; what is published must be clean.
    strict = os.environ.get("CI") == "true"
    return int(bool(wrong) or "red" in colors or (strict and "orange" in colors))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
