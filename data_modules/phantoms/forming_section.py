"""A section of bone that forms bone: class map of its pixels, and measures by construction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_modules.phantoms.anatomy import SLICE_SPREAD, Patient, SectionConfig, vary
from data_modules.phantoms.formation import (
    INTERLABEL_DAYS,
    SECTION_FACTOR,
    Formation,
    form_bone,
)
from data_modules.phantoms.surface import Surface, Values, trabecular_surface

MINERALISED, OSTEOID, LABEL = 1, 2, 3
"""Values of the class maps; 0 is everything else."""


@dataclass(frozen=True)
class FormingSection:
    """A section on its pixel grid.

    Attributes:
        surface: Of the bone.
        formation: What is on it.
        nearest: Nearest point of the surface of each pixel, (Y, X).
        depth_um: Depth below the surface, (Y, X), negative outside of bone.
        pixel_size_um: Edge of a pixel in µm.
    """

    surface: Surface
    formation: Formation
    nearest: NDArray[np.int64]
    depth_um: Values
    pixel_size_um: float

    def seam_um(self) -> Values:
        """Distance to the edge of the osteoid in µm, (Y, X), positive in osteoid."""
        width = self.formation.osteoid[self.nearest]
        return np.minimum(self.depth_um, width - self.depth_um)

    def label_um(self, which: int) -> Values:
        """Distance to the edge of label 1 or 2 in µm, (Y, X), positive in the label."""
        middle, width = (
            (self.formation.label1, self.formation.width1)
            if which == 1
            else (self.formation.label2, self.formation.width2)
        )
        away = np.abs(self.depth_um - middle[self.nearest])
        half = width[self.nearest] / 2.0
        return np.where(half > 0, half - away, -np.inf)

    def class_map(self, *, labels: bool) -> NDArray[np.uint8]:
        """The class of each pixel's middle, (Y, X).

        Args:
            labels: Whether the labels have a class of their own or are mineralised bone.
        """
        classes = np.where(self.depth_um > 0, MINERALISED, 0).astype(np.uint8)
        classes[self.seam_um() > 0] = OSTEOID
        if labels:
            classes[np.maximum(self.label_um(1), self.label_um(2)) > 0] = LABEL
        return classes

    def truth(self, *, labels: bool) -> dict[str, float | str]:
        """Measures by construction, as columns of ``truth.csv``.

        Lengths and areas are those of the lines within the image, widths the mean along the
        surface; nothing is counted in pixels. Thickness and MAR are widths by the section factor
        4/π. NaN where one is not defined.

        Args:
            labels: Whether the image shows labels.
        """
        found = self._static()
        if labels:
            found |= self._dynamic(found["B.Pm (mm)"])
        return {**found, "pixel_size_um": self.pixel_size_um}

    def _static(self) -> dict[str, float]:
        surface, width = self.surface, self.formation.osteoid
        shares = surface.shares * surface.is_inside(surface.points)
        seam = width > 0
        tissue, bone = float(np.prod(surface.size_um)), surface.enclosed_area()
        mineralised = surface.enclosed_area(width)
        perimeter, covered = float(shares.sum()), float(shares[seam].sum())
        mean, sd = _weighted(width[seam], shares[seam])
        return {
            "T.Ar (mm2)": tissue / 1e6,
            "B.Ar (mm2)": bone / 1e6,
            "Md.Ar (mm2)": mineralised / 1e6,
            "O.Ar (mm2)": (bone - mineralised) / 1e6,
            "B.Pm (mm)": perimeter / 1e3,
            "O.Pm (mm)": covered / 1e3,
            "BV/TV (%)": 100.0 * bone / tissue,
            "OV/BV (%)": 100.0 * (bone - mineralised) / bone if bone > 0 else math.nan,
            "OS/BS (%)": 100.0 * covered / perimeter,
            "O.Wi (um)": mean,
            "O.Wi SD (um)": sd,
            "O.Th (um)": mean / SECTION_FACTOR,
        }

    def _dynamic(self, perimeter_mm: float) -> dict[str, float]:
        surface, formation = self.surface, self.formation
        seen1, seen2 = (
            (width > 0) & surface.is_inside(surface.at_depth(middle))
            for middle, width in (
                (formation.label1, formation.width1),
                (formation.label2, formation.width2),
            )
        )
        both = seen1 & seen2
        mean, sd = _weighted(formation.interlabel[both], surface.shares[both])
        # Of B.Pm: a label whose surface lies beyond the image covers none of it.
        shares = surface.shares * surface.is_inside(surface.points)
        single = float(shares[seen1 ^ seen2].sum()) / 1e3
        double = float(shares[both].sum()) / 1e3
        forming = (double + single / 2.0) / perimeter_mm
        rate = mean / SECTION_FACTOR / INTERLABEL_DAYS
        return {
            "sL.Pm (mm)": single,
            "dL.Pm (mm)": double,
            "MS/BS (%)": 100.0 * forming,
            "Ir.L.Wi (um)": mean,
            "Ir.L.Wi SD (um)": sd,
            "MAR (um/d)": rate,
            "BFR/BS (um3/um2/yr)": rate * forming * 365.0 if forming > 0 else 0.0,
            "interlabel_days": INTERLABEL_DAYS,
        }


def cut_forming_section(
    patient: Patient, size: int, pixel_size_um: float, rng: np.random.Generator
) -> FormingSection:
    """Cut a section out of a patient's trabecular bone.

    Args:
        patient: Whose bone it is.
        size: Rows and columns in pixels, at least 32.
        pixel_size_um: Edge of a pixel in µm, 0.1 to 5.
        rng: Random generator of this section.

    Returns:
        The section.

    Raises:
        ValueError: A size or pixel out of range.
    """
    SectionConfig(size, pixel_size_um)  # refuses what no section can be
    bone = vary(patient.bone, SLICE_SPREAD, rng)
    edge = size * pixel_size_um
    surface = trabecular_surface((edge, edge), bone.bone_fraction, rng)
    formation = form_bone(surface, patient.turnover, rng)
    nearest, depth = surface.locate((size, size))
    return FormingSection(surface, formation, nearest, depth, pixel_size_um)


def _weighted(values: Values, weights: Values) -> tuple[float, float]:
    """Mean and standard deviation; NaN of nothing."""
    if not weights.sum() > 0:
        return math.nan, math.nan
    mean = float(np.average(values, weights=weights))
    return mean, math.sqrt(float(np.average((values - mean) ** 2, weights=weights)))
