"""The report of a measured volume: its summary, distributions and pictures on one HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from lotus.atomic import atomic_path
from lotus.morphometry.histogram import Histogram
from lotus.reports.figures import STYLE, canvas, to_svg
from lotus.reports.pictures import picture_uri
from lotus.reports.tables import Table

DIGITS = 5


@dataclass(frozen=True)
class Picture:
    """A picture of the report.

    Attributes:
        title: Stands above it.
        note: What it shows, and in which colours.
        pixels: uint8 (Y, X, 3).
    """

    title: str
    note: str
    pixels: NDArray[np.uint8]


def write_measurement_report(
    path: Path,
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    summary: pd.DataFrame,
    histograms: Iterable[Histogram] = (),
    pictures: Iterable[Picture] = (),
    warnings: Sequence[str] = (),
    compared: pd.DataFrame | None = None,
) -> None:
    """Write the report as one HTML file that refers to nothing outside itself.

    Args:
        path: The file.
        title: What was measured.
        facts: Name and text, shown first.
        summary: The columns of :func:`~lotus.morphometry.summary.summary_table`.
        histograms: Distributions.
        pictures: Renderings.
        warnings: What makes the measures doubtful.
        compared: The measures beside those of another volume.
    """
    environment = Environment(
        loader=PackageLoader("lotus.reports", ""), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("measurement.html.j2").render(
        title=title,
        facts=facts,
        warnings=warnings,
        table=_table(summary),
        compared=None if compared is None else _compared(compared),
        histograms=[(each.measure, histogram_chart(each)) for each in histograms],
        pictures=[(each.title, each.note, picture_uri(each.pixels)) for each in pictures],
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def histogram_chart(histogram: Histogram) -> str:
    """Bars of a histogram, as SVG text.

    Args:
        histogram: With any bins.
    """
    unit = f" ({histogram.unit})" if histogram.unit else ""
    with matplotlib.rc_context(fname=STYLE):
        figure, axes = canvas(f"{histogram.measure}{unit}", histogram.counted)
        axes.stairs(histogram.counts, histogram.edges, fill=True, alpha=0.85)
        return to_svg(figure)


def _table(summary: pd.DataFrame) -> Table:
    rows = [
        [
            str(row["measure"]),
            _number(row["value"]),
            "" if math.isnan(row["sd"]) else _number(row["sd"]),
            "" if pd.isna(row["n"]) else f"{row['n']:,}",
            str(row["unit"]),
            str(row["definition"]),
        ]
        for row in summary.to_dict("records")
    ]
    return Table(["measure", "value", "SD", "n", "unit", "definition"], rows)


def _compared(compared: pd.DataFrame) -> Table:
    rows = [
        [
            str(row["measure"]),
            str(row["unit"]),
            *(_number(row[name]) for name in ("value", "against", "difference")),
            "undefined" if math.isnan(row["relative"]) else f"{row['relative']:+.1%}",
        ]
        for row in compared.to_dict("records")
    ]
    return Table(["measure", "unit", "here", "there", "difference", "relative"], rows)


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.{DIGITS}g}"
