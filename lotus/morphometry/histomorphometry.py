"""Static and dynamic histomorphometry: from areas, perimeters and widths to the field's measures.

Names, units and formulas are those of the ASBMR (Dempster et al., J. Bone Miner. Res. 28, 2013;
Parfitt et al., J. Bone Miner. Res. 2, 1987). What is measured on a section is two-dimensional:
areas (Ar), perimeters (Pm) and widths (Wi). A section factor k turns them into volumes (V),
surfaces (S = k Pm) and thicknesses (Th = Wi / k).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from lotus.morphometry.spread import Spread

DAYS_PER_YEAR = 365.0
IMPUTED_MAR = 0.3
"""MAR in µm/d that studies of human bone impute where there are single labels alone."""
_UM_PER_MM = 1e3


class SectionFactor(Enum):
    """What perimeters are multiplied with, and widths divided by, to have surface and thickness.

    Attributes:
        ISOTROPIC: 4/π, exact where surfaces have no direction of their own.
        ILIAC: 1.2, found by experiment for human iliac cancellous bone.

    Example:
        >>> from lotus.morphometry.histomorphometry import SectionFactor
        >>> [round(factor.value, 3) for factor in SectionFactor]
        [1.273, 1.2]
    """

    ISOTROPIC = 4.0 / math.pi
    ILIAC = 1.2


@dataclass(frozen=True, kw_only=True)
class PrimaryMeasures:
    """What is measured on sections, in µm and µm²; NaN (or no width) where it was not measured.

    Zero says that it was looked for and not found: a fluorescence image without labels has label
    perimeters of 0, a trichrome image has NaN.

    Attributes:
        tissue_area: T.Ar, bone and marrow.
        bone_area: B.Ar, osteoid and labels included.
        mineralised_area: Md.Ar.
        osteoid_area: O.Ar.
        bone_perimeter: B.Pm, without the edges of the image.
        osteoid_perimeter: O.Pm, of B.Pm what is covered by osteoid.
        single_label_perimeter: sL.Pm.
        double_label_perimeter: dL.Pm.
        pore_area: Po.Ar, of pores in the bone, which are no part of B.Ar.
        pore_perimeter: Po.Pm.
        pore_number: Po.N.
        osteoid_width: O.Wi, before the section factor.
        interlabel_width: Ir.L.Wi from mid-label to mid-label, before the section factor.
    """

    tissue_area: float = math.nan
    bone_area: float = math.nan
    mineralised_area: float = math.nan
    osteoid_area: float = math.nan
    bone_perimeter: float = math.nan
    osteoid_perimeter: float = math.nan
    single_label_perimeter: float = math.nan
    double_label_perimeter: float = math.nan
    pore_area: float = math.nan
    pore_perimeter: float = math.nan
    pore_number: float = math.nan
    osteoid_width: Spread = field(default_factory=Spread)
    interlabel_width: Spread = field(default_factory=Spread)


def histomorphometry(
    primary: PrimaryMeasures,
    section_factor: SectionFactor = SectionFactor.ISOTROPIC,
    interlabel_days: float | None = None,
    *,
    imputed_mar: float | None = None,
) -> dict[str, float]:
    """All static and dynamic measures that what was measured allows.

    Without labels MS/BS and BFR are 0 and MAR is not defined; with single labels alone MAR and
    what follows from it are not defined, unless a MAR is imputed.

    Args:
        primary: Of a region, or of a case: the sums over its regions.
        section_factor: The factor k.
        interlabel_days: Time between the midpoints of the two labellings, in days; None where it
            is not known.
        imputed_mar: MAR in µm/d of bone with single labels alone, such as :data:`IMPUTED_MAR`.

    Returns:
        Values by name and unit; NaN where one is not defined or was not measured.

    Raises:
        ValueError: An interlabel time that is not positive.

    Example:
        >>> from lotus.morphometry.histomorphometry import PrimaryMeasures, histomorphometry
        >>> from lotus.morphometry.spread import Spread
        >>> section = PrimaryMeasures(
        ...     bone_perimeter=10_000,
        ...     double_label_perimeter=1000,
        ...     single_label_perimeter=1000,
        ...     interlabel_width=Spread(15.0, 0.0, 1),
        ... )
        >>> found = histomorphometry(section, interlabel_days=15)
        >>> [round(found[name], 3) for name in ("MS/BS (%)", "MAR (um/d)", "BFR/BS (um3/um2/yr)")]
        [15.0, 0.785, 43.001]
    """
    static = static_measures(primary, section_factor)
    dynamic = dynamic_measures(primary, section_factor, interlabel_days, imputed_mar=imputed_mar)
    return static | dynamic | mineralisation_measures(static, dynamic)


def static_measures(primary: PrimaryMeasures, section_factor: SectionFactor) -> dict[str, float]:
    """Structure and osteoid.

    Args:
        primary: What was measured.
        section_factor: The factor k.

    Returns:
        Values by name and unit. Tb.Th = 2 / (BS/BV), Tb.N = (BV/TV) / Tb.Th and
        Tb.Sp = 1 / Tb.N - Tb.Th (the plate model, Parfitt et al. 1983).

    Example:
        >>> from lotus.morphometry.histomorphometry import (
        ...     PrimaryMeasures,
        ...     SectionFactor,
        ...     static_measures,
        ... )
        >>> section = PrimaryMeasures(tissue_area=4e6, bone_area=1e6, bone_perimeter=1e4)
        >>> found = static_measures(section, SectionFactor.ILIAC)
        >>> found["BV/TV (%)"], found["BS/BV (1/mm)"]
        (25.0, 12.0)
    """
    k = section_factor.value
    tissue, bone = primary.tissue_area, primary.bone_area
    surface = k * primary.bone_perimeter
    thickness = _ratio(2.0 * bone, surface)
    number = _ratio(_ratio(bone, tissue), thickness)
    return {
        "T.Ar (mm2)": tissue / _UM_PER_MM**2,
        "B.Ar (mm2)": bone / _UM_PER_MM**2,
        "Md.Ar (mm2)": primary.mineralised_area / _UM_PER_MM**2,
        "O.Ar (mm2)": primary.osteoid_area / _UM_PER_MM**2,
        "B.Pm (mm)": primary.bone_perimeter / _UM_PER_MM,
        "O.Pm (mm)": primary.osteoid_perimeter / _UM_PER_MM,
        "BV/TV (%)": 100.0 * _ratio(bone, tissue),
        "Md.V/BV (%)": 100.0 * _ratio(primary.mineralised_area, bone),
        "OV/BV (%)": 100.0 * _ratio(primary.osteoid_area, bone),
        "OV/TV (%)": 100.0 * _ratio(primary.osteoid_area, tissue),
        "BS/TV (1/mm)": _UM_PER_MM * _ratio(surface, tissue),
        "BS/BV (1/mm)": _UM_PER_MM * _ratio(surface, bone),
        "OS/BS (%)": 100.0 * _ratio(primary.osteoid_perimeter, primary.bone_perimeter),
        "O.Th (um)": primary.osteoid_width.mean / k,
        "O.Th SD (um)": primary.osteoid_width.sd / k,
        "O.Th n": float(primary.osteoid_width.n),
        "Tb.Th (um)": thickness,
        "Tb.N (1/mm)": _UM_PER_MM * number,
        "Tb.Sp (um)": _ratio(1.0, number) - thickness,
        "Po.N": primary.pore_number,
        "Po.Ar (mm2)": primary.pore_area / _UM_PER_MM**2,
        "Po.Pm (mm)": primary.pore_perimeter / _UM_PER_MM,
        "Ct.Po (%)": 100.0 * _ratio(primary.pore_area, bone + primary.pore_area),
        "Po.Dn (1/mm2)": _UM_PER_MM**2 * _ratio(primary.pore_number, bone + primary.pore_area),
    }


def dynamic_measures(
    primary: PrimaryMeasures,
    section_factor: SectionFactor,
    interlabel_days: float | None,
    *,
    imputed_mar: float | None = None,
) -> dict[str, float]:
    """Labelled surface, mineral apposition and bone formation.

    Args:
        primary: What was measured.
        section_factor: The factor k.
        interlabel_days: As for :func:`histomorphometry`.
        imputed_mar: As for :func:`histomorphometry`.

    Returns:
        Values by name and unit: MS = dLS + sLS / 2, MAR = Ir.L.Wi / (k days), BFR = MAR x MS.

    Raises:
        ValueError: An interlabel time that is not positive.

    Example:
        >>> from lotus.morphometry.histomorphometry import (
        ...     PrimaryMeasures,
        ...     SectionFactor,
        ...     dynamic_measures,
        ... )
        >>> section = PrimaryMeasures(
        ...     bone_perimeter=100.0, single_label_perimeter=20.0, double_label_perimeter=0.0
        ... )
        >>> found = dynamic_measures(section, SectionFactor.ISOTROPIC, interlabel_days=10)
        >>> found["MS/BS (%)"], found["MAR (um/d)"]
        (10.0, nan)
    """
    check_interlabel_days(interlabel_days)
    k, bone = section_factor.value, primary.bone_perimeter
    single, double = primary.single_label_perimeter, primary.double_label_perimeter
    mineralising = 100.0 * _ratio(double + 0.5 * single, bone)
    width = primary.interlabel_width
    rate = math.nan if interlabel_days is None else width.mean / k / interlabel_days
    if imputed_mar is not None and single > 0 and width.n == 0:
        rate = imputed_mar
    # Bone without labels forms none, although nobody knows how fast it would.
    formation = 0.0 if mineralising == 0 else rate * mineralising / 100.0 * DAYS_PER_YEAR
    surface = k * bone
    return {
        "sL.Pm (mm)": single / _UM_PER_MM,
        "dL.Pm (mm)": double / _UM_PER_MM,
        "sLS/BS (%)": 100.0 * _ratio(single, bone),
        "dLS/BS (%)": 100.0 * _ratio(double, bone),
        "MS/BS (%)": mineralising,
        "Ir.L.Wi (um)": width.mean,
        "Ir.L.Wi SD (um)": width.sd,
        "Ir.L.Wi n": float(width.n),
        "MAR (um/d)": rate,
        "BFR/BS (um3/um2/yr)": formation,
        "BFR/BV (%/yr)": 100.0 * formation * _ratio(surface, primary.bone_area),
        "BFR/TV (%/yr)": 100.0 * formation * _ratio(surface, primary.tissue_area),
    }


def check_interlabel_days(interlabel_days: float | None) -> None:
    """Refuse a time that is none.

    Args:
        interlabel_days: In days; None where it is not known.

    Raises:
        ValueError: It is not positive.

    Example:
        >>> from lotus.morphometry.histomorphometry import check_interlabel_days
        >>> check_interlabel_days(15.0)
    """
    if interlabel_days is not None and not interlabel_days > 0:
        raise ValueError(
            f"the interlabel time is {interlabel_days:g} days; it is the time between the "
            "midpoints of the two labellings, such as 15 for the schedule 3-12-3"
        )


def mineralisation_measures(
    static: dict[str, float], dynamic: dict[str, float]
) -> dict[str, float]:
    """What needs osteoid and labels: of one image, or of two sections of one patient.

    Args:
        static: Of :func:`static_measures`, with OS/BS and O.Th.
        dynamic: Of :func:`dynamic_measures`, with MAR and MS/BS.

    Returns:
        Aj.AR = MAR x MS / OS, Mlt = O.Th / Aj.AR and Omt = O.Th / MAR; NaN where not defined.

    Example:
        >>> from lotus.morphometry.histomorphometry import mineralisation_measures
        >>> osteoid = {"OS/BS (%)": 20.0, "O.Th (um)": 12.0}
        >>> labels = {"BFR/BS (um3/um2/yr)": 36.5, "MAR (um/d)": 0.8}
        >>> found = mineralisation_measures(osteoid, labels)
        >>> [round(value, 6) for value in found.values()]  # 0.1 µm/d on a fifth of bone
        [0.5, 24.0, 15.0]
    """
    per_day = dynamic["BFR/BS (um3/um2/yr)"] / DAYS_PER_YEAR
    adjusted = _ratio(per_day, static["OS/BS (%)"] / 100.0)
    return {
        "Aj.AR (um/d)": adjusted,
        "Mlt (d)": _ratio(static["O.Th (um)"], adjusted),
        "Omt (d)": _ratio(static["O.Th (um)"], dynamic["MAR (um/d)"]),
    }


def summed(parts: Iterable[PrimaryMeasures]) -> PrimaryMeasures:
    """The primary measures of several images together, such as those of a case.

    Ratios are formed of the sums, so that a large image counts for more than a small one.

    Args:
        parts: Of images in which the same was measured; what one lacks the sum lacks.

    Returns:
        Sums of areas and perimeters, and all widths together; all NaN of no images.

    Example:
        >>> from lotus.morphometry.histomorphometry import PrimaryMeasures, summed
        >>> images = [PrimaryMeasures(bone_area=area, tissue_area=10.0) for area in (1.0, 3.0)]
        >>> summed(images).bone_area, summed(images).tissue_area
        (4.0, 20.0)
    """
    images = list(parts)
    if not images:
        return PrimaryMeasures()
    widths = ("osteoid_width", "interlabel_width")
    found: dict[str, Any] = {}
    for name in (each.name for each in fields(PrimaryMeasures)):
        values = [getattr(image, name) for image in images]
        found[name] = Spread.pooled(values) if name in widths else float(sum(values))
    return PrimaryMeasures(**found)


def _ratio(part: float, whole: float) -> float:
    """A quotient; NaN where there is nothing to divide by."""
    return part / whole if whole > 0 else math.nan
