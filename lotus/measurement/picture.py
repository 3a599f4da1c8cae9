"""Pictures of a structure of any size, coloured by a measure at each of its voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from lotus.measurement.scale import Scale
from lotus.reports.measurement import Picture
from lotus.reports.projection import project
from lotus.reports.rendering import render

LONGEST_EDGE = 320
"""Of the volume that is drawn, in its own voxels; a larger one is made coarser."""


class StructurePicture:
    """Collects the voxels of a structure block by block; a voxel that is drawn has their maximum.

    Args:
        shape: (Z, Y, X) of the volume.
        scale: Size of a voxel.
    """

    def __init__(self, shape: tuple[int, int, int], scale: Scale) -> None:
        self._scale = scale
        self._shape = shape
        self._factor = -(-max(shape) // LONGEST_EDGE)
        self._coarse = np.zeros([-(-side // self._factor) for side in shape], np.float32)

    def add(self, start: int, values: NDArray[np.floating]) -> None:
        """Take a block.

        Args:
            start: Number of its first slice.
            values: (Z, Y, X), positive in the structure; NaN where undefined, which is not drawn.
        """
        z, y, x = np.nonzero(values > 0)
        at = ((z + start) // self._factor, y // self._factor, x // self._factor)
        np.maximum.at(self._coarse, at, values[z, y, x].astype(np.float32))

    def drawn(self, title: str, measure: str, power: int = 1) -> Picture:
        """The picture.

        Args:
            title: Stands above it.
            measure: What the values are.
            power: Of the length that is their unit: 1 µm, 3 µm³.
        """
        side, unit = self._scale.spacing, self._scale.length_unit
        z, y, x = (size * length for size, length in zip(self._shape, side, strict=True))
        coarse = (side[0] * self._factor, side[1] * self._factor, side[2] * self._factor)
        _, power_unit = self._scale.micrometres(0.0, power)
        # Where a ball touches the surface, its neighbours there lie in smaller balls alone.
        nearby = np.where(self._coarse > 0, maximum_filter(self._coarse, 3), 0)
        pixels = render(project(nearby, coarse), measure=measure, unit=power_unit)
        size = f"{x:.4g} x {y:.4g} x {z:.4g} {unit} (x, y, z)"
        return Picture(title, f"Orthographic; the box is {size}, slices count upwards.", pixels)
