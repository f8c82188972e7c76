"""Pictures: the norms of units against their bounds."""

import io
import math

import numpy as np
from matplotlib.figure import Figure

from keras_norms.models.describe import drop_in_of
from keras_norms.models.measures import group_axes_of
from keras_norms.numerics.groups import axes_of_layout
from keras_norms.setting import ask

MOST_DOTS = 2000


class Picture(Figure):
    """A figure that notebooks show; they would show a plain one only after pyplot is imported."""

    def _repr_png_(self):
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def norms_against_bounds(reports):
    """One row per weight: each unit's norm as a dot, and the bounds of its constraint as bars.

    Args:
        reports: The `weights` of an `Audit`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure = Picture(figsize=(8, 1.2 + 0.3 * len(reports)), layout="constrained")
    axes = figure.subplots()
    draw = np.random.default_rng(0)
    for row, report in enumerate(reports):
        least, largest = ask(drop_in_of(report.constraint), "norm_bounds", (0.0, math.inf))
        norms = report.norms[np.isfinite(report.norms)]
        shown = norms[:: math.ceil(len(norms) / MOST_DOTS) or 1]
        outside = (shown > largest * (1 + 1e-5)) | (shown < least * (1 - 1e-5))
        # The excess is 0 if rounding explains it. Where groups are no units, as with a wrong axis,
        # it says nothing of the norms that are shown.
        outside &= bool(report.excess) or not _groups_are_units(report)
        height = row + draw.uniform(-0.3, 0.3, len(shown))
        colors = np.where(outside, "tab:red", "tab:blue")
        axes.scatter(shown, height, s=9, c=colors, alpha=0.6, linewidths=0, zorder=3)
        for bound in {least, largest} - {0, math.inf}:
            axes.plot([bound, bound], [row - 0.4, row + 0.4], color="black", linewidth=1.5)
    axes.set_yticks(range(len(reports)), [report.path for report in reports], parse_math=False)
    axes.set_ylim(max(len(reports), 1) - 0.5, -0.5)
    _scale(axes, np.concatenate([np.empty(0), *(report.norms for report in reports)]))
    axes.set_xlabel("Euclidean norm of each unit; bar: bound; red: outside")
    return figure


def _scale(axes, norms):
    """From 0 on; on a logarithmic scale if the norms differ much and none is 0."""
    norms = norms[np.isfinite(norms)]
    if norms.size and 0 < 20 * norms.min() < norms.max():
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)


def _groups_are_units(report):
    """Whether the constraint is about the norms of units, which the picture shows."""
    constraint = drop_in_of(report.constraint)
    has_units = "unit" in (report.layout or "").split()
    if not has_units or not ask(constraint, "has_groups", False):
        return True
    return group_axes_of(constraint, len(report.shape)) == axes_of_layout(report.layout)
