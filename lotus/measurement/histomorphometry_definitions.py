"""What each measure of histomorphometry is, in words, for tables and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lotus.measurement.histomorphometry import Conventions, Region
from lotus.morphometry.summary import Measure, mean_measure

DEFINITIONS: Mapping[str, str] = {
    "T.Ar (mm2)": "tissue area: the image, without what is outside",
    "B.Ar (mm2)": "bone area: mineralised bone, osteoid, labels and the transition zone",
    "Md.Ar (mm2)": "mineralised area: bone without osteoid",
    "O.Ar (mm2)": "osteoid area",
    "B.Pm (mm)": "bone perimeter, by contours smoothed below a pixel, without the image's border",
    "O.Pm (mm)": "osteoid perimeter: the part of B.Pm beneath which osteoid lies",
    "BV/TV (%)": "100 B.Ar / T.Ar",
    "Md.V/BV (%)": "100 Md.Ar / B.Ar",
    "OV/BV (%)": "100 O.Ar / B.Ar",
    "OV/TV (%)": "100 O.Ar / T.Ar",
    "BS/TV (1/mm)": "k B.Pm / T.Ar",
    "BS/BV (1/mm)": "k B.Pm / B.Ar",
    "OS/BS (%)": "100 O.Pm / B.Pm",
    "O.Th (um)": "mean osteoid width / k; perpendiculars from the surface and from the interface",
    "O.Th SD (um)": "standard deviation of those widths / k",
    "O.Th n": "number of those perpendiculars",
    "Tb.Th (um)": "2 B.Ar / (k B.Pm)",
    "Tb.N (1/mm)": "(BV/TV) / Tb.Th",
    "Tb.Sp (um)": "1 / Tb.N - Tb.Th",
    "Po.N": "number of pores that were drawn",
    "Po.Ar (mm2)": "pore area, which is no part of B.Ar",
    "Po.Pm (mm)": "pore perimeter",
    "Ct.Po (%)": "cortical porosity: 100 Po.Ar / (B.Ar + Po.Ar)",
    "Po.Dn (1/mm2)": "pore density: Po.N / (B.Ar + Po.Ar)",
    "sL.Pm (mm)": "single-label perimeter: the bone perimeter that single labels cover",
    "dL.Pm (mm)": "double-label perimeter: the same of double labels, mean of their two lines",
    "sLS/BS (%)": "100 sL.Pm / B.Pm",
    "dLS/BS (%)": "100 dL.Pm / B.Pm",
    "MS/BS (%)": "mineralising surface: 100 (dL.Pm + sL.Pm / 2) / B.Pm",
    "Ir.L.Wi (um)": "interlabel width, mid-label to mid-label, by perpendiculars from both labels",
    "Ir.L.Wi SD (um)": "standard deviation of those widths",
    "Ir.L.Wi n": "number of those perpendiculars",
    "MAR (um/d)": "mineral apposition rate: Ir.L.Wi / (k interlabel time)",
    "BFR/BS (um3/um2/yr)": "bone formation rate: MAR MS/BS, 365 days",
    "BFR/BV (%/yr)": "BFR/BS BS/BV",
    "BFR/TV (%/yr)": "BFR/BS BS/TV",
    "Aj.AR (um/d)": "adjusted apposition rate: MAR MS / OS",
    "Mlt (d)": "mineralisation lag time: O.Th / Aj.AR",
    "Omt (d)": "osteoid maturation time: O.Th / MAR",
    "Ir.L.Wi by fill (um)": "interlabel width by areas: (outer fill - half the labels) / length",
}


_WRITTEN = str.maketrans("23", "²³")


def measure_of(column: str) -> tuple[str, str]:
    """Name and unit of a column, such as ``T.Ar`` and ``mm²`` of ``T.Ar (mm2)``.

    Args:
        column: Of a table.
    """
    name, _, unit = column.partition(" (")
    return name, unit.removesuffix(")").translate(_WRITTEN).replace("um", "µm")


def case_summary(cases: pd.DataFrame) -> list[Measure]:
    """Mean over cases of each measure, with standard deviation and number of cases.

    Args:
        cases: Of :func:`~lotus.measurement.histomorphometry.case_table`.
    """
    rows = []
    for column, definition in DEFINITIONS.items():
        if column in cases and not column.endswith((" n", "SD (um)")):
            name, unit = measure_of(column)
            values = np.asarray(cases[column], np.float64)
            rows.append(mean_measure(values, measure=name, unit=unit, definition=definition))
    return rows


def convention_rows(conventions: Conventions, regions: Sequence[Region]) -> list[tuple[str, str]]:
    """What was chosen, as names and words.

    Args:
        conventions: The choices.
        regions: What was measured.
    """
    factor, days = conventions.section_factor, conventions.interlabel_days
    sizes = sorted({each.pixel_size_um[0] for each in regions if each.pixel_size_um})
    return [
        ("regions", str(len(regions))),
        ("cases", str(len({each.case for each in regions}))),
        ("section factor k", f"{factor.name.lower()}, {factor.value:.4f}"),
        ("interlabel time", "not given" if days is None else f"{days:g} days"),
        ("transition zone", f"counts as {conventions.transition}"),
        (
            "single labels alone",
            "MAR is imputed" if conventions.impute_mar else "MAR is not defined",
        ),
        ("pixel", ", ".join(f"{size:g}" for size in sizes) + " µm" if sizes else "not known"),
    ]
