"""Rows of the summary about the local thickness of bone, of marrow or of a network."""

from __future__ import annotations

import math

import numpy as np

from lotus.measurement.scale import Scale
from lotus.morphometry.histogram import Histogram
from lotus.morphometry.summary import Measure
from lotus.morphometry.tally import Tally
from lotus.morphometry.thickness import Convention, Thickness

RESOLVED_VOXELS = 3
"""Fewest voxels across a structure whose thickness is to be believed."""
BINS_PER_VOXEL = 8
DIAMETERS: dict[Convention, str] = {
    "surface": "up to the surface, where the interpolated mask is 1/2",
    "centre": "up to the centre of the nearest voxel outside, as BoneJ (masked)",
}


class PhaseThickness:
    """Local thickness over the voxels of a phase, which comes in blocks.

    Args:
        name: Of the measure, such as ``Tb.Th``.
        phase: In words.
        scale: Size of a voxel.
        convention: Of thickness.
    """

    def __init__(self, name: str, phase: str, scale: Scale, convention: Convention) -> None:
        self._name, self._phase, self._scale = name, phase, scale
        self._diameter = DIAMETERS[convention]
        self._tally = Tally(min(scale.spacing) / BINS_PER_VOXEL)
        self._thin = 0

    @property
    def mean(self) -> float:
        """NaN where it is not defined."""
        return self._tally.mean

    @property
    def resolved_width(self) -> float:
        """What is thinner is not resolved: three voxels."""
        return RESOLVED_VOXELS * max(self._scale.spacing)

    def add(self, block: Thickness) -> None:
        """Take the voxels of a block.

        Args:
            block: (Z, Y, X) as :func:`~lotus.morphometry.thickness.thickness_blocks` gives it; what
                is 0 is not of the phase, and NaN is not defined.
        """
        values = block[block > 0]
        self._tally.add(values)
        self._thin += int(np.count_nonzero(values < self.resolved_width))

    def measures(self) -> list[Measure]:
        """Mean with standard deviation, the greatest, and the share that is not resolved."""
        tally, unit = self._tally, self._scale.length_unit
        return [
            Measure(
                measure=self._name,
                value=tally.mean,
                sd=tally.sd,
                n=tally.count,
                unit=unit,
                definition="mean over voxels of the local thickness (Hildebrand & Rüegsegger 1997) "
                f"of {self._phase}: diameter {self._diameter}",
            ),
            Measure(
                measure=f"{self._name} max",
                value=tally.maximum,
                unit=unit,
                definition=f"the greatest local thickness of {self._phase}",
            ),
            Measure(
                measure=f"{self._name} unresolved",
                value=self._thin / tally.count if tally.count else math.nan,
                n=self._thin,
                unit="",
                definition=f"share of {self._phase} thinner than {self.resolved_width:g} {unit} "
                f"({RESOLVED_VOXELS} voxels), where the grid makes the thickness",
            ),
        ]

    def histograms(self) -> list[Histogram]:
        """The distribution over voxels; none where there are no values."""
        unit = self._scale.length_unit
        found = self._tally.histogram(measure=self._name, unit=unit, counted="voxels")
        return [found] if self._tally.count else []
