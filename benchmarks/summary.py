"""The tables of docs/benchmarks.md, from the output that is kept in benchmarks/output/.

    python -m benchmarks.summary

`nox -s benchmarks -- --write` runs it at the end, and a test compares the page with it.
"""

import collections
import pathlib
import re
import statistics

from conformance.matrix import filled

ROOT = pathlib.Path(__file__).parents[1]
BACKENDS = ("tensorflow", "torch", "jax")


def rows_of(backend, name):
    """The rows of the table that a benchmark printed: one dictionary each, by the headings."""
    lines = _lines(backend, name)
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("mode "))
    split = [re.split(r"\s{2,}", line.strip()) for line in lines[start:]]
    headings, *rows = [cells for cells in split if len(cells) == len(split[0])]
    return [dict(zip(headings, row, strict=True)) for row in rows]


def _lines(backend, name):
    path = ROOT / "benchmarks" / "output" / backend / f"{name}.txt"
    return path.read_text("utf-8").splitlines()


def _number(cell):
    """The number in a cell, which may have a remark behind it."""
    return float(cell.split()[0])


def _grouped(rows, *headings):
    found = collections.defaultdict(list)
    for row in rows:
        found[tuple(row[heading] for heading in headings)].append(row)
    return found.items()


def _table(headings, rows):
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def norms():
    """Norm constraints beside Keras' own."""
    rows = []
    for backend in BACKENDS:
        for (mode, dtype), some in _grouped(rows_of(backend, "constraints"), "mode", "dtype"):
            ratios = [_number(row["ours / Keras"]) for row in some]
            slowest = max(some, key=lambda row: _number(row["ours / Keras"]))
            least = [_number(row["ours / (w * 2)"]) for row in some]
            rows.append(
                (
                    *(f"{backend}, {mode}", dtype, f"{statistics.median(ratios):.2f}"),
                    f"{sum(ratio <= 1.15 for ratio in ratios)} of {len(ratios)}",
                    f"{max(ratios):.2f}: {slowest['constraint']} {slowest['shape']}, "
                    f"axis {slowest['axis']}",
                    f"{min(least):.1f} to {max(least):.1f}",
                )
            )
    headings = ("backend", "weights", "median", "rows up to 1.15", "largest", "beside `w * 2`")
    return _table(headings, rows)


def thresholds():
    """The simplex and the L1 ball beside peers."""
    rows = []
    for backend in BACKENDS:
        for (mode, peer), some in _grouped(rows_of(backend, "thresholds"), "mode", "peer"):
            times = [_number(row["times"]) for row in some]
            errors = [max(_number(row[of]) for row in some) for of in ("error, ulp", "its error")]
            rows.append(
                (
                    *(f"{backend}, {mode}", peer, f"{min(times):.1f} to {max(times):.1f}"),
                    *(f"{error:.2g}" for error in errors),
                )
            )
    return _table(("backend", "peer", "times as long", "our error, ulp", "its error"), rows)


def memory():
    """Memory on top of a weight, in weights."""
    columns = ("constraint", "shape", "dtype", "ours, weights", "Keras, weights")
    rows = [
        (f"{backend}, {row['mode']}", *(row[column].split(" above")[0] for column in columns))
        for backend in BACKENDS
        for row in rows_of(backend, "memory")
    ]
    return _table(("backend", "constraint", "shape", "weights", "ours", "Keras' own"), rows)


def models():
    """What is printed about whole models, as it is."""
    blocks = []
    for backend in BACKENDS:
        lines = _lines(backend, "whole_models")
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{backend}, Keras"))
        blocks.append("\n".join(["```", *(line.rstrip() for line in lines[start:]), "```"]))
    return "\n\n".join(blocks)  # TensorFlow has logged something before


def imports():
    """What the import takes longer."""
    printed = [_lines(backend, "import_time")[-1] for backend in BACKENDS]
    added = [re.search(r"adds ([\d.]+) ms", line)[1] for line in printed]
    return _table(("backend", "milliseconds"), zip(BACKENDS, added, strict=True))


PLACES = {
    "norms": norms,
    "thresholds": thresholds,
    "memory": memory,
    "models": models,
    "imports": imports,
}


def with_tables(page):
    """A page with the tables of today in their places."""
    for name, made in PLACES.items():
        page = filled(page, name, made() + "\n")
    return page


if __name__ == "__main__":
    path = ROOT / "docs" / "benchmarks.md"
    path.write_text(with_tables(path.read_text("utf-8")), "utf-8")
