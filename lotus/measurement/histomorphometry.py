"""What `lotus measure histomorphometry` finds: one row per region of interest and one per case."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lotus.morphometry.histomorphometry import (
    IMPUTED_MAR,
    PrimaryMeasures,
    SectionFactor,
    check_interlabel_days,
    dynamic_measures,
    mineralisation_measures,
    static_measures,
    summed,
)
from lotus.morphometry.section import Section, Transition

FILL_WIDTH = "Ir.L.Wi by fill (um)"


@dataclass(frozen=True)
class Conventions:
    """What is chosen rather than measured; it stands in every table.

    Attributes:
        section_factor: From two dimensions to three.
        interlabel_days: Between the midpoints of the labellings; None: not known.
        impute_mar: Whether single labels alone get a MAR of :data:`IMPUTED_MAR` µm/d.
        transition: What the zone between osteoid and mineralised bone counts as.

    Raises:
        ValueError: An interlabel time that is not positive.
    """

    section_factor: SectionFactor = SectionFactor.ISOTROPIC
    interlabel_days: float | None = None
    impute_mar: bool = False
    transition: Transition = "mineralised"

    def __post_init__(self) -> None:
        """Check what would be refused only once everything is measured."""
        check_interlabel_days(self.interlabel_days)

    @property
    def imputed_mar(self) -> float | None:
        """In µm/d; None where none is imputed."""
        return IMPUTED_MAR if self.impute_mar else None

    def columns(self) -> dict[str, object]:
        """The last columns of every table."""
        factor = self.section_factor
        days = math.nan if self.interlabel_days is None else self.interlabel_days
        return {
            "section factor": f"{factor.name.lower()} {factor.value:.4f}",
            "interlabel time (d)": days,
            "transition zone": self.transition,
        }


@dataclass(frozen=True)
class Drawn:
    """What shows how a region was measured.

    Attributes:
        section: The lines.
        picture: Class map (Y, X) or RGB (Y, X, 3) beneath them.
        pixel_size_um: Of the picture, (Y, X).
    """

    section: Section
    picture: NDArray[np.generic]
    pixel_size_um: tuple[float, float]


@dataclass(frozen=True)
class Region:
    """One measured region of interest (ROI).

    Attributes:
        roi: Its name.
        case: Patient or specimen.
        primary: What was measured.
        domain: Such as ``trichrome``; empty where nobody said.
        fill_width: Interlabel width in µm by areas; NaN where it was not measured so.
        pixel_size_um: (Y, X); None where it is not known.
        drawn: The lines behind the numbers; None where a person drew them.
        doubts: What a person should look at.
    """

    roi: str
    case: str
    primary: PrimaryMeasures
    domain: str = ""
    fill_width: float = math.nan
    pixel_size_um: tuple[float, float] | None = None
    drawn: Drawn | None = None
    doubts: Sequence[str] = ()


def region_table(regions: Iterable[Region], conventions: Conventions) -> pd.DataFrame:
    """One row per region.

    Args:
        regions: In the order of the rows.
        conventions: What was chosen.

    Returns:
        The columns ``roi, case``, the measures with their unit, the conventions and ``notes``.
    """
    rows = []
    for region in regions:
        measures = case_measures([region.primary], conventions)
        rows.append(
            {
                "roi": region.roi,
                "case": region.case,
                **_with_fill(measures, region.fill_width),
                **_said(measures, conventions),
                "domain": region.domain,
                "notes": "; ".join(region.doubts),
            }
        )
    return pd.DataFrame(rows)


def case_table(regions: Sequence[Region], conventions: Conventions) -> pd.DataFrame:
    """One row per case: areas and perimeters are summed over its regions, then ratios formed.

    Args:
        regions: Of all cases.
        conventions: What was chosen.

    Returns:
        The columns ``case, ROIs, static ROIs, dynamic ROIs``, the measures with their unit, the
        conventions and ``notes``.
    """
    rows = []
    for case in dict.fromkeys(region.case for region in regions):
        own = [region for region in regions if region.case == case]
        primaries = [region.primary for region in own]
        static, dynamic = static_part(primaries), dynamic_part(primaries)
        measures = case_measures(primaries, conventions)
        rows.append(
            {
                "case": case,
                "ROIs": len(own),
                "static ROIs": len(static),
                "dynamic ROIs": len(dynamic),
                **measures,
                **_said(measures, conventions),
                "notes": "; ".join(_case_doubts(static, dynamic, conventions)),
            }
        )
    return pd.DataFrame(rows)


def case_measures(
    primaries: Sequence[PrimaryMeasures], conventions: Conventions
) -> dict[str, float]:
    """All measures of a case.

    Structure and osteoid are those of its images stained for them, labels and formation those of
    its fluorescence images, and Aj.AR, Mlt and Omt are made of both.

    Args:
        primaries: Of its images.
        conventions: What was chosen.

    Returns:
        Values by name and unit, NaN where not defined.
    """
    factor = conventions.section_factor
    static = static_measures(summed(static_part(primaries)), factor)
    dynamic = dynamic_measures(
        summed(dynamic_part(primaries)),
        factor,
        conventions.interlabel_days,
        imputed_mar=conventions.imputed_mar,
    )
    return static | dynamic | mineralisation_measures(static, dynamic)


def static_part(primaries: Sequence[PrimaryMeasures]) -> list[PrimaryMeasures]:
    """Those images of a case that structure and osteoid are taken from.

    They are the ones in which osteoid was looked for and labels were not (a stain for osteoid
    shows it better than fluorescence); without such those with osteoid; without such all.

    Args:
        primaries: Of all images of a case.
    """
    with_osteoid = [each for each in primaries if not math.isnan(each.osteoid_area)]
    stained = [each for each in with_osteoid if math.isnan(each.double_label_perimeter)]
    return stained or with_osteoid or list(primaries)


def dynamic_part(primaries: Sequence[PrimaryMeasures]) -> list[PrimaryMeasures]:
    """Those images of a case in which labels were looked for.

    Args:
        primaries: Of all images of a case.
    """
    return [each for each in primaries if not math.isnan(each.double_label_perimeter)]


def _with_fill(measures: Mapping[str, float], fill_width: float) -> dict[str, float]:
    """Measures with the width by fill behind the one by perpendiculars."""
    found: dict[str, float] = {}
    for name, value in measures.items():
        found[name] = value
        if name == "Ir.L.Wi n":
            found[FILL_WIDTH] = fill_width
    return found


def _said(measures: Mapping[str, float], conventions: Conventions) -> dict[str, object]:
    imputed = measures["Ir.L.Wi n"] == 0 and not math.isnan(measures["MAR (um/d)"])
    return {**conventions.columns(), "MAR imputed": "yes" if imputed else "no"}


def _case_doubts(
    static: Sequence[PrimaryMeasures],
    dynamic: Sequence[PrimaryMeasures],
    conventions: Conventions,
) -> list[str]:
    """Why measures of a case are not defined."""
    doubts = []
    stain = summed(static)
    if math.isnan(stain.osteoid_area):
        doubts.append("no image in which osteoid was looked for: no Aj.AR, Mlt, Omt")
    if not dynamic:
        doubts.append("no image in which labels were looked for: no MS, MAR, BFR, Aj.AR, Mlt, Omt")
    labelled = summed(dynamic)
    if labelled.single_label_perimeter > 0 and labelled.interlabel_width.n == 0:
        said = f"is imputed as {IMPUTED_MAR:g} µm/d" if conventions.impute_mar else "is not defined"
        doubts.append(f"single labels alone: MAR {said}")
    if dynamic and conventions.interlabel_days is None:
        doubts.append("no interlabel time: no MAR, BFR")
    if stain.bone_area == 0:
        doubts.append("no bone")
    return doubts
