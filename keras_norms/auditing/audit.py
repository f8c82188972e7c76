"""Audit: what holds in a model, what does not, what is never applied, and what to do about it."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_norms.auditing import report
from keras_norms.auditing.activity_findings import (
    cannot_apply_to_outputs,
    leaked_activity_penalty,
    not_finite_activities,
)
from keras_norms.auditing.batches import OnBatch, on_batch
from keras_norms.auditing.finding import Finding
from keras_norms.auditing.model_findings import MODEL_CHECKS, not_finite_loss, not_saved
from keras_norms.auditing.setting_findings import bad_argument, cannot_apply, wrong_kind
from keras_norms.auditing.weight_findings import findings_of
from keras_norms.models.describe import drop_in_of
from keras_norms.models.measures import (
    columns_of,
    largest_singular_value,
    norms_of,
    penalty_in_loss,
    worst_excess,
)
from keras_norms.models.operators import CONVOLUTIONS, conv_spectral_bound
from keras_norms.models.weights import contents_of


@dataclasses.dataclass(frozen=True, eq=False)
class WeightReport:
    """One weight of an audited model.

    Attributes:
        path: Its path.
        shape: Its shape.
        layout: One word per axis; "*" if it is elementwise, "..." if it has any axes and no units,
            as the factors of LoRA; None if its layout is not known.
        norms: The Euclidean norm of each unit, a NumPy array; of the whole weight if its layout
            is elementwise or not known.
        constraint: The constraint that Keras applies, or None.
        excess: How far outside its set the worst group is; 0.0 for a weight in its set, up to
            rounding; NaN if it or a norm is not finite; None without a constraint, or with one that
            cannot be applied.
        regularizer: The regularizer that Keras applies, or None.
        penalty: What the regularizer adds to the loss; None if there is none, or the weight is
            frozen.
        columns: What `audit_columns` of its constraint and regularizer returns, by heading, and the
            columns of `spectra=True`.
    """

    path: str
    shape: tuple[int, ...]
    layout: str | None
    norms: Any
    constraint: Any
    excess: float | None
    regularizer: Any
    penalty: float | None
    columns: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """What `audit` found. It prints as tables, and notebooks show them as HTML.

    Attributes:
        name: The model's name.
        weights: A tuple of `WeightReport`: kernels and tables, and each weight with a setting.
        activities: The penalty of each layer's outputs on `x`, by "path/activity".
        loss: The loss on `x` and `y` with all penalties; None without `y`.
        findings: A tuple of `Finding`, errors first.
    """

    name: str
    weights: tuple[WeightReport, ...]
    activities: dict[str, float]
    loss: float | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings of severity "error"."""
        return tuple(f for f in self.findings if f.severity == "error")

    def share(self, penalty: float | None) -> float | None:
        """The share of a penalty in the loss; None if either is unknown, or the loss not finite."""
        if penalty is None or not self.loss or not math.isfinite(self.loss):
            return None
        return penalty / self.loss

    def to_dict(self) -> dict[str, Any]:
        """A dict that JSON can hold: everything but the norm of each single unit.

        Returns:
            The keys are "model", "weights" (one dict for each), "activities", "loss" and
            "findings" (one dict for each, with "code", "severity", "path", "message", "fix").
        """
        return report.as_dict(self)

    def to_markdown(self) -> str:
        """The tables as GitHub's Markdown."""
        return report.as_markdown(self)

    def __str__(self) -> str:
        return report.as_text(self)

    __repr__ = __str__  # what one wants to see at the prompt

    def _repr_html_(self):
        return report.as_html(self)

    def plot(self) -> Any:
        """The norms of the units of each weight, against the bounds of its constraint.

        Needs matplotlib, else it raises a `ModuleNotFoundError`: `pip install matplotlib`.

        Returns:
            A `matplotlib.figure.Figure`, which notebooks show; `.savefig(file)` writes it.
        """
        from keras_norms.auditing.pictures import norms_against_bounds

        return norms_against_bounds(self.weights)


def audit(
    model: Any,
    x: Any = None,
    y: Any = None,
    progress: Callable[[Sequence[Any]], Iterable[Any]] | None = None,
    saving: bool = False,
    spectra: bool = False,
) -> Audit:
    """Look at every weight, constraint and penalty of a model, and report what does not work.

    Nothing is changed, and nothing is trained. An error means that the model does not train, or
    that a constraint or penalty does not do what you asked for, such as a norm over the wrong
    axis. A warning means that it may surprise you. Each has a fix to paste.

    Args:
        model: A built Keras model or layer.
        x: A batch of inputs, to measure penalties of outputs as in evaluation, without dropout.
        y: Its targets, to measure the share of each penalty in the loss of a compiled model.
        progress: A function that is given the list of weights, and yields each, such as
            `rich.progress.track`.
        saving: Whether to save the model to a temporary file, load it, and compare all settings.
            Without it, only layers of classes that are not Keras' own are made again, from their
            configs, without values; what that does not settle is not reported.
        spectra: Whether to show, for each kernel, the largest singular value of its units ("largest
            singular value"), as an upper bound that is at most 0.1 % above it; and for each
            convolution what `conv_spectral_bound` says of the layer ("operator norm").

    Returns:
        An `Audit`: print it, or use `findings`, `errors`, `to_dict()`, `to_markdown()`, `plot()`.

    Raises:
        TypeError: If `model` is not a Keras model or layer, or `x` no batch of numbers.
        ValueError: If the model is not built; if `y` comes without `x`, or for a model that is
            not compiled, or if its loss cannot be computed.

    Example:
    >>> import keras, keras_norms as kn
    >>> conv = keras.layers.Conv2D(8, 3, kernel_constraint=keras.constraints.MaxNorm(9.0))
    >>> model = keras.Sequential([keras.layers.Input((28, 28, 1)), conv])
    >>> [(finding.code, finding.severity) for finding in kn.audit(model).findings]
    [('wrong-axis', 'error')]
    """
    contents = contents_of(model)
    if y is not None and x is None:
        raise ValueError("`y` needs `x`, the inputs whose targets it has. Received: x=None")
    if y is not None and not getattr(model, "compiled", False):
        raise ValueError(
            "`y` needs a compiled model, because the loss is measured; call `model.compile`, or "
            f"leave `y` out. Received: {model.name}, which is not compiled"
        )
    if saving and not hasattr(model, "save"):
        raise ValueError(
            "`saving=True` needs a model, which can be saved and loaded. Received: "
            f"{model.name}, a {type(model).__name__}"
        )
    weights = contents.weights
    reports, found = [], []
    for weight in weights if progress is None else progress(weights):
        variable = weight.variable
        one, broken = _report(weight, spectra)
        finite = np.isfinite(one.norms).all() or not weight.has_norms
        found += broken or findings_of(weight, finite, one.excess, one.penalty)
        is_plain = variable.constraint is None and variable.regularizer is None
        if not (is_plain and weight.layout == "*"):
            reports.append(one)
    batch = OnBatch() if x is None else on_batch(contents, x, y)
    found += cannot_apply_to_outputs(contents, batch.errors)
    for check, measured in (
        (not_finite_activities, batch.activities),
        (not_finite_loss, batch.loss),
    ):
        if not any(finding.code == "not-finite" for finding in found):  # else that is why
            found += check(contents, measured)
    of_model = [*_findings_of_model(contents, saving)]
    known = {finding.path for finding in of_model if finding.code == "activity-dropped"}
    found += leaked_activity_penalty(contents, batch.leaked - known)
    return Audit(
        name=model.name,
        weights=tuple(reports),
        activities=batch.activities,
        loss=batch.loss,
        findings=_in_order([*found, *of_model]),
    )


def _findings_of_model(contents, saving):
    for check in MODEL_CHECKS:
        yield from check(contents)
    yield from not_saved(contents, saving)


def _in_order(findings):
    return tuple(sorted(findings, key=lambda finding: finding.severity))  # "error" < "warning"


def _report(weight, spectra):
    """The report of a weight, and a finding in a list if one of its settings cannot be applied."""
    variable = weight.variable
    broken = [*wrong_kind(weight), *bad_argument(weight)]
    measured = {"constraint": None, "regularizer": None}
    columns: dict[str, float] = {}
    measures: dict[str, Any] = {"constraint": _excess, "regularizer": penalty_in_loss}
    if broken or weight.obstacle == "quantized":
        measures = {}
    for kind, measure in measures.items():
        try:
            measured[kind] = measure(weight)
        except Exception as error:  # of a function of the user's, or an axis that is not there
            broken = [cannot_apply(weight, kind, error)]
            break
        columns |= columns_of(drop_in_of(getattr(variable, kind)), variable)
    if spectra and weight.is_kernel and weight.has_norms:
        columns |= _spectra(weight)
    measured_weight = WeightReport(
        path=weight.path,
        shape=tuple(variable.shape),
        layout=weight.layout,
        norms=norms_of(variable, weight.norm_axes) if weight.has_norms else np.array([np.nan]),
        constraint=variable.constraint,
        excess=measured["constraint"],
        regularizer=variable.regularizer,
        penalty=measured["regularizer"],
        columns=columns,
    )
    return measured_weight, broken


def _spectra(weight):
    """The largest singular value of the units of a kernel, and of its convolution if it has one."""
    columns = {"largest singular value": largest_singular_value(weight)}
    # A separable convolution ends with the second of its kernels.
    if weight.name in ("kernel", "pointwise_kernel") and isinstance(weight.layer, CONVOLUTIONS):
        columns["operator norm"] = conv_spectral_bound(weight.layer)
    return columns


def _excess(weight):
    variable = weight.variable
    return None if variable.constraint is None else worst_excess(variable.constraint, variable)
