"""The folder of a measured volume: tables of everything, and the report to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lotus.atomic import atomic_path
from lotus.morphometry.histogram import Histogram, histogram_table
from lotus.morphometry.summary import Measure, compared_summary, summary_table
from lotus.reports.measurement import Picture, write_measurement_report

SUMMARY = "summary.csv"
CELLS = "cells.csv"
HISTOGRAMS = "histograms.csv"
AGAINST = "against.csv"
REPORT = "measurement.html"


@dataclass(frozen=True)
class Measured:
    """What was found in a volume.

    Attributes:
        title: Of the report.
        facts: Name and text of what is worth knowing before the measures: file, voxels, convention.
        measures: Rows of the summary.
        cells: One row per cell; None where a measurement has none.
        tables: Others, by the names of their files without ``.csv``.
        histograms: Distributions of what the summary gives means of.
        pictures: For the report.
        warnings: What makes the measures doubtful, a line each.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    measures: Sequence[Measure]
    cells: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    histograms: Sequence[Histogram] = ()
    pictures: Sequence[Picture] = ()
    warnings: Sequence[str] = field(default=())


def read_summary(folder: Path) -> pd.DataFrame:
    """The summary of a measured volume.

    Args:
        folder: Of :func:`write_measured`.

    Raises:
        FileNotFoundError: There is none.
    """
    path = folder / SUMMARY
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {SUMMARY}; it is no folder of `lotus measure`")
    return pd.read_csv(path, keep_default_na=False, na_values={"value": "", "sd": "", "n": ""})


def write_measured(folder: Path, measured: Measured, against: pd.DataFrame | None = None) -> None:
    """Write ``summary.csv``, ``cells.csv`` and others where there are, histograms, the report.

    Every file appears whole or not at all.

    Args:
        folder: Made if it is not there.
        measured: What was found.
        against: Summary of another volume, such as of the truth; then there is ``against.csv``.

    Raises:
        ValueError: The summaries have nothing in common.
    """
    summary = summary_table(measured.measures)
    compared = None if against is None else compared_summary(summary, against)
    _write_table(folder / SUMMARY, summary)
    if compared is not None:
        _write_table(folder / AGAINST, compared)
    if measured.cells is not None:
        _write_table(folder / CELLS, measured.cells)
    for name, table in measured.tables.items():
        _write_table(folder / f"{name}.csv", table)
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
        compared=compared,
    )


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
