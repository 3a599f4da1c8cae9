"""Box plots of a comparison."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lotus.atomic import atomic_path
from lotus.evaluation.comparison import Comparison
from lotus.metrics.catalogue import score_of
from lotus.reports.comparison import marks_of
from lotus.reports.figures import STYLE, draw_boxes, in_lines

COLUMNS = 2
WIDTH_PER_METHOD = 0.95
CHARACTERS = 11
"""Of a name that fit into the width of a method; longer names go over several lines."""


def write_comparison_figure(path: Path, comparison: Comparison) -> None:
    """Write one panel per score with one box per method, every patient or image as a dot.

    Box: quartiles and median; whiskers: 1.5 interquartile ranges. The stars above a box are those
    of the table.

    Args:
        path: PNG file; whole or not at all.
        comparison: What to show.
    """
    scores = list(next(iter(comparison.cells.values())))
    columns = min(COLUMNS, len(scores))
    rows = math.ceil(len(scores) / columns)
    width = max(3.0, 1.0 + WIDTH_PER_METHOD * len(comparison.cells))
    with matplotlib.rc_context(fname=STYLE):
        figure = Figure(figsize=(columns * width, 3.4 * rows + 0.4))
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, score in zip(panels, scores, strict=False):
            _draw_panel(axes, comparison, score)
        for axes in panels[len(scores) :]:
            axes.set_visible(False)
        figure.supxlabel(_note(comparison), fontsize=8)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=200, metadata={"Software": None})


def _draw_panel(axes: Axes, comparison: Comparison, score: str) -> None:
    described = score_of(score)
    samples = {
        in_lines(method, CHARACTERS): (units[score] * described.paper_scale).tolist()
        for method, units in comparison.units.items()
    }
    draw_boxes(axes, samples)
    axes.set_ylabel(described.paper_heading)
    for place, cells in enumerate(comparison.cells.values(), start=1):
        text = marks_of(cells[score])
        axes.text(place, 1.0, text, ha="center", va="bottom", transform=axes.get_xaxis_transform())


def _note(comparison: Comparison) -> str:
    return (
        f"One dot per {comparison.unit}. * p < 0.05, ** p < 0.001 in a paired t-test against "
        f"{comparison.reference};\nin brackets the marks that remain after Holm's correction."
    )
