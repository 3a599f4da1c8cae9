"""Scores of classifiers with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lotus.atomic import atomic_path
from lotus.evaluation.classifier_comparison import ClassifierComparison
from lotus.metrics.catalogue import score_of
from lotus.reports.comparison_figure import CHARACTERS, COLUMNS, WIDTH_PER_METHOD
from lotus.reports.figures import STYLE, in_lines
from lotus.reports.paper_table import OF_STARS, marks

MARKERS = ("o", "s", "D")
SPREAD = 0.22
"""Between the levels of a method, as a share of its width."""


def write_classifier_figure(path: Path, comparisons: Sequence[ClassifierComparison]) -> None:
    """Write one panel per score: a method's score at every level, with its 95 % interval.

    Args:
        path: PNG file; whole or not at all.
        comparisons: The same methods at one level each.
    """
    methods = list(comparisons[0].cells)
    scores = list(comparisons[0].cells[methods[0]])
    columns = min(COLUMNS, len(scores))
    rows = math.ceil(len(scores) / columns)
    width = max(3.0, 1.0 + WIDTH_PER_METHOD * len(methods))
    with matplotlib.rc_context(fname=STYLE):
        figure = Figure(figsize=(columns * width, 3.4 * rows + 0.4))
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, score in zip(panels, scores, strict=False):
            _draw_panel(axes, comparisons, score)
        for axes in panels[len(scores) :]:
            axes.set_visible(False)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(comparisons))
        figure.supxlabel(_note(comparisons[0]), fontsize=8)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=200, metadata={"Software": None})


def _draw_panel(axes: Axes, comparisons: Sequence[ClassifierComparison], score: str) -> None:
    described = score_of(score)
    scale = described.paper_scale
    names = list(comparisons[0].cells)
    for number, comparison in enumerate(comparisons):
        shift = SPREAD * (number - (len(comparisons) - 1) / 2)
        for place, cells in enumerate(comparison.cells.values(), start=1):
            cell = cells[score]
            x, y = place + shift, scale * cell.value
            ends = (scale * cell.interval.low, scale * cell.interval.high)
            axes.plot([x, x], ends, color=f"C{number}", lw=2)
            label = f"{comparison.level} level" if place == 1 else None
            axes.plot([x], [y], MARKERS[number], color=f"C{number}", ms=6, label=label)
            p = cell.test.p if cell.test else math.nan
            text = marks(p, cell.p_holm)
            axes.text(x, 1.0, text, ha="center", va="bottom", transform=axes.get_xaxis_transform())
    axes.set_xticks(range(1, len(names) + 1), [in_lines(name, CHARACTERS) for name in names])
    axes.set_xlim(0.4, len(names) + 0.6)
    axes.set_ylabel(described.paper_heading)


def _note(comparison: ClassifierComparison) -> str:
    return (
        f"Lines: 95 % intervals of a bootstrap over {comparison.cases.n_patients} patients. "
        f"{OF_STARS} if exchanged\nwith {comparison.reference} within patients; in brackets the "
        "marks that remain after Holm's correction."
    )
