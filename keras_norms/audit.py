"""Audit: what holds in a model, what does not, what is never applied, and what to do about it."""

import dataclasses
import html
import io
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_norms.findings import findings_of
from keras_norms.fixes import title
from keras_norms.penalties import penalties_of
from keras_norms.sets import norms_of, worst_excess
from keras_norms.weight_findings import Finding
from keras_norms.weights import layers_of, weights_of


@dataclasses.dataclass(frozen=True)
class WeightReport:
    """One weight of an audited model.

    Attributes:
        path: Its path.
        shape: Its shape.
        words: One word per axis of its layout; "*" if it is elementwise, None if unknown.
        norms: The Euclidean norm of each unit, a NumPy array; of the whole weight if its layout
            is elementwise or unknown.
        constraint: The constraint that Keras applies, or None.
        excess: How far outside its set the worst group is; 0.0 inside, up to rounding; None
            without a constraint.
        regularizer: The regularizer that Keras applies, or None.
        penalty: What that adds to the loss; None without, or if the weight is frozen.
    """

    path: str
    shape: tuple[int, ...]
    words: str | None
    norms: Any
    constraint: Any
    excess: float | None
    regularizer: Any
    penalty: float | None


@dataclasses.dataclass(frozen=True)
class Audit:
    """What `audit` finds. Prints as tables; notebooks show them as HTML.

    Attributes:
        name: The model's name.
        weights: A tuple of `WeightReport`: kernels and tables, and whatever has a setting.
        activities: The penalty of each layer's outputs by "path/activity", from `x`.
        loss: The loss on `x` and `y` with all penalties; None without.
        findings: A tuple of `Finding`, errors first.
    """

    name: str
    weights: tuple[WeightReport, ...]
    activities: dict[str, float]
    loss: float | None
    findings: tuple[Finding, ...]

    @property
    def errors(self):
        """The findings that fail silently."""
        return tuple(f for f in self.findings if f.severity == "error")

    def share(self, penalty):
        """The share of a penalty in the loss; None if either is unknown."""
        return penalty / self.loss if self.loss and penalty is not None else None

    def to_dict(self):
        """Everything but the single norms, as JSON can hold it."""
        return {
            "model": self.name,
            "weights": [
                {
                    "path": w.path,
                    "shape": list(w.shape),
                    "layout": w.words,
                    "groups": len(w.norms),
                    "norm": dict(zip(_THREE, map(_json, _three(w.norms)), strict=True)),
                    "constraint": w.constraint and title(w.constraint),
                    "excess": _json(w.excess),
                    "regularizer": w.regularizer and title(w.regularizer),
                    "penalty": _json(w.penalty),
                    "share": _json(self.share(w.penalty)),
                }
                for w in self.weights
            ],
            "activities": [
                {"path": path, "penalty": _json(value), "share": _json(self.share(value))}
                for path, value in self.activities.items()
            ],
            "loss": _json(self.loss),
            "findings": [dataclasses.asdict(f) for f in self.findings],
        }

    def to_markdown(self):
        """The tables as GitHub's Markdown."""
        lines = []
        for heading, columns, rows in (*self._tables(), self._findings_table()):
            cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
            table = [columns, ["---"] * len(columns), *cells] if rows else []
            lines += [f"**{heading}**", "", *(f"| {' | '.join(row)} |" for row in table), ""]
        return "\n".join(lines).strip()

    def __str__(self):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        file = io.StringIO()
        console = Console(file=file, width=500, color_system=None)  # as wide as the cells
        for heading, columns, rows in self._tables():
            table = Table(*columns, box=None, title=heading, title_justify="left", pad_edge=False)
            for row in rows:
                table.add_row(*map(Text, row))
            console.print(table)
        lines = [*file.getvalue().splitlines(), self._findings_table()[0]]
        for f in self.findings:
            lines += [f"{f.severity} {f.code}: {f.path}", f"  {f.message}", f"  fix: {f.fix}"]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self):
        parts = []
        for heading, columns, rows in (*self._tables(), self._findings_table()):
            head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
            body = "".join(
                f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in rows
            )
            parts.append(
                f"<p><b>{html.escape(heading)}</b></p>"
                f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            )
        return "".join(parts)

    def plot(self):
        """The norms of the units of each weight, against the bounds of its constraint.

        Needs matplotlib: `pip install "keras-norms[plot]"`.

        Returns:
            A `matplotlib.figure.Figure`, which notebooks show; `.savefig(file)` writes it.
        """
        from keras_norms.pictures import norms_against_bounds

        return norms_against_bounds(self.weights)

    def _tables(self):
        """Heading, columns and rows of text, of each table of numbers."""
        yield self._weights_table()
        if self.activities:
            rows = [[p, _number(v), _percent(self.share(v))] for p, v in self.activities.items()]
            yield "Penalties of outputs", ["layer", "penalty", "share of loss"], rows

    def _findings_table(self):
        errors = len(self.errors)
        warnings = len(self.findings) - errors
        heading = f"{errors} error{'s'[: errors != 1]}, {warnings} warning{'s'[: warnings != 1]}"
        columns = ["severity", "code", "path", "message", "fix"]
        return heading, columns, [[getattr(f, c) for c in columns] for f in self.findings]

    def _weights_table(self):
        columns = ["weight", "shape", "layout", "units", "norms: least, median, largest"]
        columns += ["constraint", "excess", "regularizer", "penalty", "share of loss"]
        rows = []
        for w in self.weights:
            rows.append(
                [
                    w.path,
                    str(w.shape),
                    w.words or "?",
                    str(len(w.norms)),
                    " ".join(map(_number, _three(w.norms))),
                    title(w.constraint) if w.constraint else "",
                    _number(w.excess),
                    title(w.regularizer) if w.regularizer else "",
                    _number(w.penalty),
                    _percent(self.share(w.penalty)),
                ]
            )
        used = [i for i, _ in enumerate(columns) if any(row[i] for row in rows)]
        heading = self.name if self.loss is None else f"{self.name}: loss {_number(self.loss)}"
        return heading, [columns[i] for i in used], [[row[i] for i in used] for row in rows]


def audit(model, x=None, y=None, progress=None):
    """Look at every weight, constraint and penalty of a model, and say what is not as it looks.

    Nothing is changed, and nothing is trained. Errors are what fails silently, such as a norm
    over the wrong axis, or a constraint that Keras never applies; each has a fix to paste.

    Args:
        model: A built Keras model or layer.
        x: A batch of inputs, to measure penalties of outputs; no dropout, as in evaluation.
        y: Its targets, to measure the share of each penalty in the loss of a compiled model.
        progress: A function that is given the list of weights, and yields each, such as
            `rich.progress.track`.

    Returns:
        An `Audit`: print it, or use `findings`, `errors`, `to_dict()`, `to_markdown()`, `plot()`.

    Raises:
        TypeError: If `model` is not a Keras model or layer.
        ValueError: If the model is not built; if `y` comes without `x`, or for a model that is
            not compiled.

    Example:
    >>> import keras, keras_norms as kn
    >>> conv = keras.layers.Conv2D(8, 3, kernel_constraint=keras.constraints.MaxNorm(9.0))
    >>> model = keras.Sequential([keras.layers.Input((28, 28, 1)), conv])
    >>> [(finding.code, finding.severity) for finding in kn.audit(model).findings]
    [('wrong-axis', 'error')]
    """
    if y is not None and (x is None or getattr(model, "optimizer", None) is None):
        raise ValueError(
            "`y` needs `x`, and a compiled model, whose loss it is for. Received: "
            f"x={'None' if x is None else 'given'}, and optimizer="
            f"{getattr(model, 'optimizer', None)}"
        )
    weights = weights_of(model)
    reports, worst = [], []
    for weight in weights if progress is None else progress(weights):
        variable = weight.variable
        report = _report(weight)
        finite = np.isfinite(report.norms).all() or weight.obstacle == "quantized"
        worst.append(report.excess if finite else np.nan)
        plain = variable.constraint is None and variable.regularizer is None
        if not (plain and weight.words == "*"):
            reports.append(report)
    activities, loss = ({}, None) if x is None else _on_data(model, x, y)
    return Audit(
        name=model.name,
        weights=tuple(reports),
        activities=activities,
        loss=loss,
        findings=tuple(findings_of(model, weights, worst)),
    )


def _report(weight):
    variable = weight.variable
    if weight.obstacle == "quantized":  # integers, whose norm is not the weight's
        norms = np.array([np.nan])
    else:
        norms = norms_of(variable, weight.norm_axes)
    excess = None
    if variable.constraint is not None:
        excess = worst_excess(variable.constraint, variable)
    penalty = None
    if variable.regularizer is not None and variable.trainable:
        penalty = float(ops.convert_to_numpy(variable.regularizer(variable)))
    return WeightReport(
        path=weight.path,
        shape=tuple(variable.shape),
        words=weight.words,
        norms=norms,
        constraint=variable.constraint,
        excess=excess,
        regularizer=variable.regularizer,
        penalty=penalty,
    )


def _on_data(model, x, y):
    """The penalty of each layer's outputs on a batch, and the loss if there are targets."""
    x = keras.tree.map_structure(ops.convert_to_tensor, x)
    # Random numbers, metrics and the states of recurrent layers, which are not to move.
    states = [*model.non_trainable_variables, *getattr(model, "metrics_variables", [])]
    for layer, _ in layers_of(model):
        if getattr(layer, "stateful", False):  # which Keras does not list among the variables
            states += keras.tree.flatten(layer.states)
    before = [ops.copy(state.value) for state in states]
    paths = {penalty.path for penalty in penalties_of(model)}
    loss = None
    try:
        outputs = model(x, training=False)
        activities = {}
        for layer, _ in layers_of(model):
            path = f"{layer.path or layer.name}/activity"
            if path in paths:
                values = [float(ops.convert_to_numpy(each)) for each in layer._get_own_losses()]
                activities[path] = sum(values)
        if y is not None:
            y = keras.tree.map_structure(ops.convert_to_tensor, y)
            total = model.compute_loss(x=x, y=y, y_pred=outputs, training=False)
            loss = float(ops.convert_to_numpy(total))
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
    return activities, loss


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
