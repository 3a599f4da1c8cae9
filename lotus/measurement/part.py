"""What is measured of a volume part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lotus.measurement.outputs import Measured
from lotus.measurement.volume import LabelVolume, scale_warnings
from lotus.morphometry.histogram import Histogram
from lotus.morphometry.summary import Measure
from lotus.reports.measurement import Picture


@dataclass(frozen=True)
class Part:
    """Some measures, and what shows them.

    Attributes:
        measures: Rows of the summary.
        histograms: Distributions of what these give means of.
        pictures: For the report.
        warnings: What makes the measures doubtful, a line each.
    """

    measures: Sequence[Measure] = ()
    histograms: Sequence[Histogram] = ()
    pictures: Sequence[Picture] = ()
    warnings: Sequence[str] = ()


def gathered(
    volume: LabelVolume,
    what: str,
    parts: Sequence[Part],
    *,
    cells: pd.DataFrame | None,
    facts: Mapping[str, str] | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> Measured:
    """All parts as the content of one folder.

    Args:
        volume: What was measured.
        what: Of it, such as ``Porosity``.
        parts: In the order of the summary.
        cells: A row per cell; None: cells were not measured.
        facts: Besides its size.
        tables: Others, by the names of their files.
    """
    spacing = volume.scale.spacing_um
    size = "unknown" if spacing is None else " x ".join(f"{side:g}" for side in spacing) + " µm"
    known = {"voxels (z, y, x)": " x ".join(map(str, volume.shape)), "voxel": size}
    return Measured(
        title=f"{what} of {volume.path.name}",
        facts=list((known | dict(facts or {})).items()),
        measures=[row for part in parts for row in part.measures],
        cells=cells,
        tables=tables or {},
        histograms=[each for part in parts for each in part.histograms],
        pictures=[each for part in parts for each in part.pictures],
        warnings=[*scale_warnings(volume), *(line for part in parts for line in part.warnings)],
    )
