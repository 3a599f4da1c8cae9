"""Structures in a volume as they are seen from a side: an orthographic projection."""

from __future__ import annotations

import math
from collections.abc import Iterable
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
        voxel: Longest side of a voxel, likewise.
    """

    values: NDArray[np.float32]
    depth: NDArray[np.float32]
    box: NDArray[np.float64]
    pixel: float
    voxel: float


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
    view, size = _view(azimuth, elevation), np.array(values.shape) * spacing
    seen = (np.array(list(product((-0.5, 0.5), repeat=3))) * size) @ view.T
    corner, extent = seen[:, :2].min(axis=0), np.ptp(seen[:, :2], axis=0)
    pixel = float(extent.max()) / longest_edge
    shape = tuple(int(length) for length in np.ceil(extent / pixel) + 1)
    places, shown = _surface(values)
    placed = ((places + 0.5) * spacing - size / 2) @ view.T
    # What a voxel covers, whichever way it is turned: so neighbours leave no gap.
    covered = np.ceil(np.abs(view[:2]) @ spacing / pixel).astype(int)
    at = ((placed[:, :2] - corner) / pixel - (covered - 1) / 2).astype(np.intp)
    steps = np.ndindex(*covered.tolist())
    image, depth = _nearest(shape, at, steps, placed[:, 2].astype(np.float32), shown)
    ends = np.array([(a, a | side) for a in range(8) for side in (1, 2, 4) if not a & side])
    return Projection(image, depth, ((seen[:, :2] - corner) / pixel)[ends], pixel, max(spacing))


def _nearest(
    shape: tuple[int, ...],
    corners: NDArray[np.intp],
    steps: Iterable[tuple[int, ...]],
    depths: NDArray[np.float32],
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Value and depth (H, W) of the nearest of the boxes (N,) that cover a pixel."""
    nearest = np.full(shape, -np.inf, np.float32)
    image = np.full(shape, np.nan, np.float32)
    last = np.array(shape) - 1
    covered = [tuple(np.clip(corners + step, 0, last).T) for step in steps]
    for at in covered:
        np.maximum.at(nearest, at, depths)
    for rows, columns in covered:
        is_seen = nearest[rows, columns] == depths
        image[rows[is_seen], columns[is_seen]] = values[is_seen]
    return image, np.where(np.isnan(image), np.float32(np.nan), nearest)


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
