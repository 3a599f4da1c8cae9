"""The folder of a measured volume: tables of everything, and the report to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lotus.atomic import atomic_path
from lotus.morphometry.histogram import Histogram, histogram_table
from lotus.morphometry.summary import Measure, summary_table
from lotus.reports.measurement import Picture, write_measurement_report

SUMMARY = "summary.csv"
CELLS = "cells.csv"
HISTOGRAMS = "histograms.csv"
REPORT = "measurement.html"


@dataclass(frozen=True)
class Measured:
    """What was found in a volume.

    Attributes:
        title: Of the report.
        facts: Name and text of what is worth knowing before the measures: file, voxels, convention.
        measures: Rows of the summary.
        cells: One row per cell; None where a measurement has none.
        histograms: Distributions of what the summary gives means of.
        pictures: For the report.
        warnings: What makes the measures doubtful, a line each.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    measures: Sequence[Measure]
    cells: pd.DataFrame | None = None
    histograms: Sequence[Histogram] = ()
    pictures: Sequence[Picture] = ()
    warnings: Sequence[str] = field(default=())


def write_measured(folder: Path, measured: Measured) -> None:
    """Write ``summary.csv``, ``cells.csv`` where there are cells, histograms and the report.

    Every file appears whole or not at all.

    Args:
        folder: Made if it is not there.
        measured: What was found.
    """
    summary = summary_table(measured.measures)
    _write_table(folder / SUMMARY, summary)
    if measured.cells is not None:
        _write_table(folder / CELLS, measured.cells)
    if measured.histograms:
        _write_table(folder / HISTOGRAMS, histogram_table(measured.histograms))
    write_measurement_report(
        folder / REPORT,
        title=measured.title,
        facts=measured.facts,
        summary=summary,
        histograms=measured.histograms,
        pictures=measured.pictures,
        warnings=measured.warnings,
    )


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
