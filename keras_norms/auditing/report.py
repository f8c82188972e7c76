"""Report: an audit as a dictionary, as text, as Markdown and as HTML."""

import dataclasses
import html
import io
import shutil

import numpy as np

from keras_norms.models.describe import title


def as_dict(audit):
    """A dict that JSON can hold: everything but the norm of each single unit."""
    return {
        "model": audit.name,
        "weights": [
            {
                "path": w.path,
                "shape": list(w.shape),
                "layout": w.layout,
                "groups": len(w.norms),
                "norm": dict(zip(_THREE, map(_json, _three(w.norms)), strict=True)),
                "constraint": w.constraint and title(w.constraint),
                "excess": _json(w.excess),
                "regularizer": w.regularizer and title(w.regularizer),
                "penalty": _json(w.penalty),
                "share": _json(audit.share(w.penalty)),
                "columns": {heading: _json(value) for heading, value in w.columns.items()},
            }
            for w in audit.weights
        ],
        "activities": [
            {"path": path, "penalty": _json(value), "share": _json(audit.share(value))}
            for path, value in audit.activities.items()
        ],
        "loss": _json(audit.loss),
        "findings": [dataclasses.asdict(f) for f in audit.findings],
    }


def as_text(audit):
    """The tables for a terminal, and the findings with their fixes."""
    # Without a terminal, as wide as the cells.
    width = shutil.get_terminal_size((500, 24)).columns
    lines = []
    for heading, columns, rows in _tables(audit):
        table = _as_table(heading, columns, rows)
        fits = max(map(len, table), default=0) <= width
        lines += table if fits else _as_blocks(heading, columns, rows, width)
    return "\n".join([*lines, _findings_table(audit)[0], *map(str, audit.findings)])


def _as_table(heading, columns, rows):
    """The lines of a table whose cells are never broken."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = io.StringIO()
    # In a notebook, rich would show the table there instead of writing it.
    console = Console(
        file=file, width=1_000_000, color_system=None, emoji=False, force_jupyter=False
    )
    table = Table(box=None, title=heading, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table if rows else Text(heading))  # without rows, rich shows no title
    return [line.rstrip() for line in file.getvalue().splitlines()]


def _as_blocks(heading, columns, rows, width):
    """The lines of a table that is too wide: under its first cell, each row says the others."""
    lines = [heading]
    for first, *others in rows:
        lines.append(first)
        line = " "
        for column, cell in zip(columns[1:], others, strict=True):
            if not cell:
                continue
            item = f" {column} {cell};"
            if len(line + item) > width and line.strip():
                lines.append(line)
                line = " "
            line += item
        lines.append(line.removesuffix(";"))
    return lines


def as_markdown(audit):
    """The tables as GitHub's Markdown."""
    lines = []
    for heading, columns, rows in (*_tables(audit), _findings_table(audit)):
        cells = [[_as_markdown_cell(cell) for cell in row] for row in (columns, *rows)]
        table = [cells[0], ["---"] * len(columns), *cells[1:]] if rows else []
        lines += [f"**{heading}**", "", *(f"| {' | '.join(row)} |" for row in table), ""]
    return "\n".join(lines).strip()


def _as_markdown_cell(text):
    """A text that stands in one cell as it is: no tag, no other row, no other column."""
    line = " ".join(html.escape(text, quote=False).splitlines())
    return line.replace("\\", "\\\\").replace("|", "\\|")


# Colours that are legible on a light and on a dark page; all else is the page's own.
_COLORS = {"error": "#d33", "warning": "#b80"}


def as_html(audit):
    """The findings and the tables as HTML, which notebooks show."""
    heading, _, _ = _findings_table(audit)
    parts = [f"<p><b>{html.escape(audit.name)}</b>: {heading}</p>"]
    parts += [_finding_as_html(finding) for finding in audit.findings]
    for title_, columns, rows in _tables(audit):
        head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in rows
        )
        parts.append(
            f"<p><b>{html.escape(title_)}</b></p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
    return "".join(parts)


def _finding_as_html(finding):
    color = _COLORS[finding.severity]
    return (
        f'<div style="border-left: 4px solid {color}; padding-left: 8px; margin: 8px 0">'
        f'<b style="color: {color}">{finding.severity}</b> <b>{finding.code}</b>: '
        f"{html.escape(finding.path)}<br>{html.escape(finding.message)}"
        f'<pre style="margin: 4px 0; white-space: pre-wrap"><code>{html.escape(finding.fix)}'
        "</code></pre></div>"
    )


def _tables(audit):
    """Heading, columns and rows of text, of each table of numbers."""
    yield _weights_table(audit)
    if audit.activities:
        rows = [[p, _number(v), _percent(audit.share(v))] for p, v in audit.activities.items()]
        yield "Penalties of outputs", ["layer", "penalty", "share of loss"], rows


def _findings_table(audit):
    errors = len(audit.errors)
    warnings = len(audit.findings) - errors
    heading = f"{errors} error{'s'[: errors != 1]}, {warnings} warning{'s'[: warnings != 1]}"
    columns = ["severity", "code", "path", "message", "fix"]
    return heading, columns, [[getattr(f, c) for c in columns] for f in audit.findings]


def _weights_table(audit):
    further = list(dict.fromkeys(heading for w in audit.weights for heading in w.columns))
    columns = ["weight", "shape", "layout", "units", "least, median, largest norm"]
    columns += ["constraint", "excess", "regularizer", "penalty", "share of loss", *further]
    rows = []
    for w in audit.weights:
        rows.append(
            [
                w.path,
                str(w.shape),
                w.layout or "?",
                str(len(w.norms)),
                " ".join(map(_number, _three(w.norms))),
                title(w.constraint) if w.constraint else "",
                _number(w.excess),
                title(w.regularizer) if w.regularizer else "",
                _number(w.penalty),
                _percent(audit.share(w.penalty)),
                *(_number(w.columns.get(heading)) for heading in further),
            ]
        )
    used = [i for i, _ in enumerate(columns) if any(row[i] for row in rows)]
    loss = "" if audit.loss is None else f": loss {_number(audit.loss)}"
    used_rows = [[row[i] for i in used] for row in rows]
    return f"{audit.name}{loss}", [columns[i] for i in used], used_rows


_THREE = ("min", "median", "max")


def _three(norms):
    """The least, the median and the largest; NaN for a weight without entries."""
    if norms.size == 0:
        return (np.nan,) * 3
    return tuple(float(f(norms)) for f in (np.min, np.median, np.max))


def _json(value):
    """None for NaN and infinity, which JSON lacks."""
    return value if value is not None and np.isfinite(value) else None


def _number(value):
    return "" if value is None else f"{value:.3g}"


def _percent(share):
    return "" if share is None else f"{share:.1%}"
