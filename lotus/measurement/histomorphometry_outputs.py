"""The folder of a histomorphometry: tables, workbook, overlays, ImageJ ROIs and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lotus.atomic import atomic_path
from lotus.imaging import write_image
from lotus.imaging.drawings import write_imagej_rois
from lotus.measurement.histomorphometry import (
    Conventions,
    Drawn,
    Region,
    case_table,
    region_table,
)
from lotus.measurement.histomorphometry_against import compared_regions
from lotus.measurement.histomorphometry_definitions import (
    DEFINITIONS,
    case_summary,
    convention_rows,
)
from lotus.measurement.section_drawing import drawings, layers, section_lines
from lotus.morphometry.histogram import histogram
from lotus.morphometry.summary import summary_table
from lotus.reports.measurement import Picture, write_measurement_report
from lotus.reports.section_picture import draw_section

REGIONS = "histomorphometry.csv"
CASES = "cases.csv"
AGAINST = "against.csv"
WORKBOOK = "histomorphometry.xlsx"
OVERLAYS = "overlays"
REPORT = "histomorphometry.html"
MOST_PICTURES = 12
_TITLE = "Histomorphometry"


@dataclass
class HistomorphometryWriter:
    """Writes what is drawn region by region, then the tables; a region's lines are not kept.

    Attributes:
        folder: Made if it is not there.
        conventions: What was chosen.
        others: The same regions measured otherwise, by any name, of
            :func:`~lotus.measurement.histomorphometry_against.read_other`; then there is
            ``against.csv``.
        warnings: What a person should look at, a line each; known when all is written.
    """

    folder: Path
    conventions: Conventions
    others: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _regions: list[Region] = field(default_factory=list)
    _pictures: list[Picture] = field(default_factory=list)
    _osteoid: list[NDArray[np.float64]] = field(default_factory=list)
    _interlabel: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, region: Region) -> None:
        """Draw a region and remember its numbers.

        Args:
            region: A measured one.
        """
        if region.drawn is not None:
            note = "; ".join([f"case {region.case}", *region.doubts])
            self._draw(region.roi, region.drawn, note)
        self._regions.append(replace(region, drawn=None))

    def finish(self) -> pd.DataFrame:
        """Write the tables and the report.

        Returns:
            The table of cases.

        Raises:
            ValueError: There is no region, or none that another table knows.
        """
        if not self._regions:
            raise ValueError(f"nothing was measured for {self.folder}")
        regions = region_table(self._regions, self.conventions)
        cases = case_table(self._regions, self.conventions)
        tables = {REGIONS: regions, CASES: cases}
        if self.others:
            tables[AGAINST] = compared_regions(regions, self.others)
        for name, table in tables.items():
            with atomic_path(self.folder / name) as temporary:
                table.to_csv(temporary, index=False)
        self._write_workbook(regions, cases)
        self.warnings = warnings_of(self._regions, cases)
        self._write_report(cases, tables.get(AGAINST))
        return cases

    def _draw(self, roi: str, drawn: Drawn, note: str) -> None:
        spacing = drawn.pixel_size_um
        lines = section_lines(drawn.section)
        picture = draw_section(drawn.picture, layers(lines, spacing), spacing)
        write_image(self.folder / OVERLAYS / f"{roi}.png", picture)
        if found := drawings(lines, spacing):
            write_imagej_rois(self.folder / OVERLAYS / f"{roi}.zip", found)
        self._osteoid.append(drawn.section.seams.widths)
        pairs = drawn.section.interlabel
        self._interlabel.append(np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1))
        if len(self._pictures) < MOST_PICTURES:
            self._pictures.append(Picture(roi, note, picture))

    def _write_workbook(self, regions: pd.DataFrame, cases: pd.DataFrame) -> None:
        rows = convention_rows(self.conventions, self._regions)
        sheets = {
            "regions": regions,
            "cases": cases,
            "conventions": pd.DataFrame(rows, columns=["convention", "value"]),
            "definitions": pd.DataFrame(DEFINITIONS.items(), columns=["measure", "definition"]),
        }
        with (
            atomic_path(self.folder / WORKBOOK) as temporary,
            pd.ExcelWriter(temporary, engine="openpyxl") as book,
        ):
            for name, table in sheets.items():
                table.to_excel(book, sheet_name=name, index=False, freeze_panes=(1, 0))

    def _write_report(self, cases: pd.DataFrame, compared: pd.DataFrame | None) -> None:
        widths = (("O.Wi", self._osteoid), ("Ir.L.Wi", self._interlabel))
        write_measurement_report(
            self.folder / REPORT,
            title=f"{_TITLE} of {len(cases)} {'case' if len(cases) == 1 else 'cases'}",
            facts=convention_rows(self.conventions, self._regions),
            summary=summary_table(case_summary(cases)),
            histograms=[
                histogram(np.concatenate(each), measure=name, unit="µm", counted="perpendiculars")
                for name, each in widths
                if sum(map(len, each))
            ],
            pictures=self._pictures,
            warnings=self.warnings,
            compared=None if compared is None else _shown(compared),
        )


def warnings_of(regions: Sequence[Region], cases: pd.DataFrame) -> list[str]:
    """What a person should look at, a line each.

    Args:
        regions: All of them.
        cases: Table of :func:`~lotus.measurement.histomorphometry.case_table`.
    """
    doubts = [f"{each.roi}: {doubt}" for each in regions for doubt in each.doubts]
    of_cases = [
        f"case {row['case']}: {row['notes']}" for row in cases.to_dict("records") if row["notes"]
    ]
    return [*doubts, *of_cases]


def _shown(compared: pd.DataFrame) -> pd.DataFrame:
    """The comparison for the report, whose rows say in their names with what they compare."""
    parts = [compared["measure"], compared["domain"], compared["other"]]
    names = [", ".join(filter(None, each)) for each in zip(*parts, strict=True)]
    return compared.assign(measure=names)
