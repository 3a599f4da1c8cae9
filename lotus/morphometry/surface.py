"""Area of the surface between a structure and what surrounds it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes, mesh_surface_area

_SLICES_AT_ONCE = 32


def surface_area(slices: Iterable[NDArray[np.bool_]], spacing: tuple[float, float, float]) -> float:
    """Area of the triangulated surface (marching cubes at the level 1/2 of the binary mask).

    Where the image's border cuts the structure there is no surface. Nothing is smoothed: edges of
    voxels are cut by 45°, which leaves surfaces along the axes exact, and makes a ball's about 8 %
    too large.

    Args:
        slices: Bool (Y, X), all of one shape; a mask (Z, Y, X) is such slices.
        spacing: Size of a voxel (Z, Y, X).

    Returns:
        The area in the unit of ``spacing``, squared; 0 for fewer than two slices.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.surface import surface_area
        >>> mask = np.zeros((4, 5, 5), bool)
        >>> mask[2:] = True
        >>> surface_area(mask, (1.0, 0.5, 0.5))  # 4 x 4 intervals of 0.5 between voxels' centres
        4.0
    """
    area = 0.0
    waiting: list[NDArray[np.bool_]] = []
    for plane in slices:
        waiting.append(plane)
        if len(waiting) > _SLICES_AT_ONCE:
            area += _area(np.stack(waiting), spacing)
            # The last slice of a part is the first of the next.
            waiting = waiting[-1:]
    return area + _area(np.stack(waiting), spacing) if len(waiting) > 1 else area


def _area(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> float:
    if mask.all() or not mask.any() or min(mask.shape) < 2:
        return 0.0
    corners, triangles, *_ = marching_cubes(mask.astype(np.float32), 0.5, spacing=spacing)
    return float(mesh_surface_area(corners, triangles))
