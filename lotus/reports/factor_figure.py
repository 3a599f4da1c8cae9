"""Scores over what a grid of methods differs in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype

from lotus.atomic import atomic_path
from lotus.metrics.catalogue import score_of
from lotus.reports.figures import STYLE


def write_factor_figure(
    path: Path, cells: pd.DataFrame, factors: Sequence[str], scores: Sequence[str]
) -> None:
    """Write a panel per score: over the factor of most numbers, a line per levels of all others.

    Args:
        path: PNG file; whole or not at all.
        cells: A row per combination of levels: a column per factor, and one per score.
        factors: Names of the columns that are factors.
        scores: Names of the columns that are scores.
    """
    along = _longest(cells, factors)
    others = [name for name in factors if name != along]
    with matplotlib.rc_context(fname=STYLE):
        figure = Figure(figsize=(4.2 * len(scores) + 1.4, 3.4))
        panels = figure.subplots(1, len(scores), squeeze=False).ravel()
        for axes, score in zip(panels, scores, strict=True):
            _draw_panel(axes, cells, along, others, score)
        if others:
            panels[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=200, bbox_inches="tight", metadata={"Software": None})


def _longest(cells: pd.DataFrame, factors: Sequence[str]) -> str:
    """The factor of numbers that has most levels; of words alone the one that has most."""
    numbers = [name for name in factors if is_numeric_dtype(cells[name])]
    return max(numbers or factors, key=lambda name: cells[name].nunique())


def _draw_panel(
    axes: Axes, cells: pd.DataFrame, along: str, others: Sequence[str], score: str
) -> None:
    described = score_of(score)
    lines = cells.groupby(list(others), sort=False) if others else [((), cells)]
    for levels, own in lines:
        values = own.sort_values(along) if is_numeric_dtype(own[along]) else own
        label = ", ".join(f"{name} {level}" for name, level in zip(others, levels, strict=True))
        axes.plot(values[along], values[score] * described.paper_scale, "o-", lw=1.4, label=label)
    axes.set_xlabel(along)
    axes.set_ylabel(described.paper_heading)
