"""Structures in a volume as they are seen from a side: an orthographic projection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

Floats = NDArray[np.floating]
AZIMUTH, ELEVATION = math.radians(30), math.radians(25)


@dataclass(frozen=True)
class Projection:
    """What is nearest to the viewer in each pixel.

    Attributes:
        values: (H, W) of the voxel that is seen; NaN where there is none.
        depth: (H, W) how far it stands out towards the viewer from the volume's middle, in the unit
            of the spacing; NaN where there is none.
        box: (12, 2, 2) the ends (row, column) of the edges of the volume, in pixels.
        pixel: Size of a pixel in the unit of the spacing.
    """

    values: NDArray[np.float32]
    depth: NDArray[np.float32]
    box: NDArray[np.float64]
    pixel: float


def project(
    values: Floats,
    spacing: tuple[float, float, float],
    *,
    azimuth: float = AZIMUTH,
    elevation: float = ELEVATION,
    longest_edge: int = 800,
) -> Projection:
    """Look at a volume from afar; the slices' axis z points up.

    From the azimuth 0 and the elevation 0 x points to the right and y towards the viewer, who walks
    towards x with growing azimuth and up with growing elevation.

    Args:
        values: (Z, Y, X), positive in the structure, 0 or NaN elsewhere.
        spacing: Size of a voxel (Z, Y, X).
        azimuth: In radians.
        elevation: In radians.
        longest_edge: Of the picture, in pixels.

    Returns:
        The projection.
    """
    view = _view(azimuth, elevation)
    size = np.array(values.shape) * spacing
    corners = (np.array(list(product((0, 1), repeat=3))) - 0.5) * size
    seen = corners @ view.T
    extent = np.ptp(seen, axis=0)
    pixel = float(extent[:2].max()) / longest_edge
    shape = tuple(int(length) for length in np.ceil(extent[:2] / pixel) + 1)
    places, shown = _surface(values)
    rows, columns, depth = (((places + 0.5) * spacing - size / 2) @ view.T).T
    # A voxel is as wide as its diagonal at most, and there are no gaps between neighbours.
    width = math.ceil(1.2 * max(spacing) / pixel)
    top, left = seen[:, :2].min(axis=0) + pixel * (width - 1) / 2
    row = ((rows - top) / pixel).astype(np.intp)
    column = ((columns - left) / pixel).astype(np.intp)
    nearest = np.full(shape, -np.inf, np.float32)
    image = np.full(shape, np.nan, np.float32)
    depth = depth.astype(np.float32)
    covered = [
        (np.clip(row + dy, 0, shape[0] - 1), np.clip(column + dx, 0, shape[1] - 1))
        for dy, dx in np.ndindex(width, width)
    ]
    for at in covered:
        np.maximum.at(nearest, at, depth)
    for at in covered:
        is_seen = nearest[at] == depth
        image[at[0][is_seen], at[1][is_seen]] = shown[is_seen]
    edges = [(a, b) for a in range(8) for b in (a | 1, a | 2, a | 4) if b > a]
    box = (seen[:, :2] - seen[:, :2].min(axis=0)) / pixel
    return Projection(
        image, np.where(np.isnan(image), np.nan, nearest), box[np.array(edges)], pixel
    )


def _view(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Directions (down, right, towards the viewer) in (z, y, x)."""
    sin_a, cos_a = math.sin(azimuth), math.cos(azimuth)
    sin_e, cos_e = math.sin(elevation), math.cos(elevation)
    return np.array(
        [
            [-cos_e, sin_e * cos_a, sin_e * sin_a],
            [0.0, -sin_a, cos_a],
            [sin_e, cos_e * cos_a, cos_e * sin_a],
        ]
    )


def _surface(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Places (N, 3) and values (N,) of the voxels that a viewer may see."""
    inside = values > 0
    places = np.argwhere(inside & ~binary_erosion(inside))
    return places, values[tuple(places.T)].astype(np.float32)
