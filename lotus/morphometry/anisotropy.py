"""Degree of anisotropy from mean intercept lengths (Harrigan & Mann, J. Mater. Sci. 19, 1984)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lotus.morphometry.compiled import compiled
from lotus.morphometry.distance import in_parts

Floats = NDArray[np.float64]
DIRECTIONS = 256
SAMPLING = 2.3
"""From one sample of a line to the next, in voxels."""
_LINES_PER_RADIUS = 50
_LEAST_LINE_DISTANCE = 2.0


@dataclass(frozen=True)
class Anisotropy:
    """How much a structure is directed.

    Attributes:
        degree: DA, 0 where all directions are equal to 1 where structures go on for ever in one:
            1 - (shortest / longest axis)² of the ellipsoid of mean intercept lengths. NaN where no
            line meets the structure.
        lengths: (3,) half axes of the ellipsoid, longest first; infinite where nothing is met.
        axes: (3, 3) their directions, a row each, as unit vectors (Z, Y, X).
    """

    degree: float
    lengths: Floats
    axes: Floats


def anisotropy(
    mask: NDArray[np.bool_], spacing: tuple[float, float, float], *, directions: int = DIRECTIONS
) -> Anisotropy:
    """Fit an ellipsoid to the mean intercept lengths in all directions.

    Parallel lines through the largest ball in the middle of the volume, so that every direction
    sees the same bone, are sampled every 2.3 voxels as in BoneJ 1, so that steps between voxels are
    no phase changes; between voxels the mask is interpolated linearly. A mean intercept length is
    the length of all lines in a direction by the number of phase changes along them, every one
    counted, from and to the structure (BoneJ 1's convention). The tensor M with u'Mu = 1/MIL(u)² is
    fitted by least squares; its eigenvectors are the axes and its eigenvalues 1/length². The
    directions are the same each time.

    Args:
        mask: Bool (Z, Y, X).
        spacing: Size of a voxel (Z, Y, X).
        directions: How many, evenly over half a sphere; at least 6 determine an ellipsoid.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.anisotropy import anisotropy
        >>> plates = np.zeros((24, 24, 24), bool)
        >>> plates[::6] = plates[1::6] = plates[2::6] = True
        >>> found = anisotropy(plates, (1.0, 1.0, 1.0))
        >>> round(found.degree, 2), np.abs(found.axes[2]).round(2).tolist()
        (1.0, [1.0, 0.0, 0.0])
    """
    units = even_directions(directions)
    rates = phase_changes(mask, spacing, units)
    if not np.nansum(rates):
        return Anisotropy(math.nan, np.full(3, np.inf), np.eye(3))
    z, y, x = units.T
    products = np.stack((z * z, y * y, x * x, 2 * z * y, 2 * z * x, 2 * y * x), axis=1)
    zz, yy, xx, zy, zx, yx = np.linalg.lstsq(products, rates**2, rcond=None)[0]
    values, vectors = np.linalg.eigh([[zz, zy, zx], [zy, yy, yx], [zx, yx, xx]])
    values = np.maximum(values, 0.0)
    with np.errstate(divide="ignore"):
        lengths = 1.0 / np.sqrt(values)
    return Anisotropy(float(1.0 - values[0] / values[2]), lengths, vectors.T)


def even_directions(count: int) -> Floats:
    """Unit vectors spread evenly over half a sphere, on a Fibonacci spiral.

    Args:
        count: How many.

    Returns:
        (count, 3) as Z, Y, X, with Z above 0.

    Example:
        >>> from lotus.morphometry.anisotropy import even_directions
        >>> even_directions(100).mean(axis=0).round(2).tolist()
        [0.5, 0.0, 0.0]
    """
    number = np.arange(count)
    z = (number + 0.5) / count
    around = number * math.pi * (3.0 - math.sqrt(5.0))
    across = np.sqrt(1.0 - z**2)
    return np.stack((z, across * np.sin(around), across * np.cos(around)), axis=1)


def phase_changes(
    mask: NDArray[np.bool_], spacing: tuple[float, float, float], directions: Floats
) -> Floats:
    """Phase changes per length along lines in each direction: the reciprocal of the MIL.

    Args:
        mask: Bool (Z, Y, X).
        spacing: Size of a voxel (Z, Y, X).
        directions: (N, 3) unit vectors (Z, Y, X).

    Returns:
        (N,) in the reciprocal unit of ``spacing``; NaN where no line has two samples.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.anisotropy import phase_changes
        >>> plates = np.zeros((200, 200, 200), bool)
        >>> plates[np.arange(200) // 5 % 2 == 1] = True
        >>> phase_changes(plates, (0.5, 0.5, 0.5), np.eye(3)).round(2).tolist()  # one per 2.5
        [0.4, 0.0, 0.0]
    """
    size = np.array(spacing)
    step = SAMPLING * min(spacing)
    radius = float(np.min((np.array(mask.shape) - 1) * size)) / 2
    # Many lines in small volumes, and in large ones as many as are enough.
    distance = max(_LEAST_LINE_DISTANCE * min(spacing), radius / _LINES_PER_RADIUS)
    changes, steps = np.zeros((2, len(directions)))

    def count(first: int, last: int) -> None:
        for number in range(first, last):
            changes[number], steps[number] = _count_changes(
                mask, size, _basis(directions[number]), radius, step, distance
            )

    in_parts(len(directions), count)
    with np.errstate(invalid="ignore"):
        return np.asarray(changes / (steps * step), np.float64)


def _basis(direction: Floats) -> Floats:
    """A direction and two across it, orthonormal, a row each."""
    least = np.eye(3)[np.argmin(np.abs(direction))]
    across = np.cross(direction, least)
    across /= np.linalg.norm(across)
    return np.stack((direction, across, np.cross(direction, across)))


@compiled
def _count_changes(
    mask: NDArray[np.bool_],
    spacing: Floats,
    basis: Floats,
    radius: float,
    step: float,
    distance: float,
) -> tuple[int, int]:
    """Phase changes and steps along the parallel lines of one direction through a ball."""
    middle = (np.array(mask.shape) - 1) / 2
    along, across, aside = basis[0] / spacing, basis[1] / spacing, basis[2] / spacing
    lines = int(radius / distance)
    changes = steps = 0
    for row in range(-lines, lines + 1):
        for column in range(-lines, lines + 1):
            rest = radius**2 - (row**2 + column**2) * distance**2
            if rest < 0.0:
                continue
            start = middle + (row * across + column * aside) * distance
            reach = int(np.sqrt(rest) / step)
            previous = -1
            for sample in range(-reach, reach + 1):
                length = sample * step
                inside = _at(
                    mask,
                    start[0] + length * along[0],
                    start[1] + length * along[1],
                    start[2] + length * along[2],
                )
                if previous >= 0:
                    steps += 1
                    changes += inside != previous
                previous = inside
    return changes, steps


@compiled
def _at(mask: NDArray[np.bool_], z: float, y: float, x: float) -> int:
    """1 where the interpolated mask is above 1/2, 0 where it is not."""
    # Rounding may put the end of a line beyond the first or last voxel.
    z0, y0, x0 = max(int(z), 0), max(int(y), 0), max(int(x), 0)
    z1, y1, x1 = (
        min(z0 + 1, mask.shape[0] - 1),
        min(y0 + 1, mask.shape[1] - 1),
        min(x0 + 1, mask.shape[2] - 1),
    )
    z, y, x = z - z0, y - y0, x - x0
    before = (mask[z0, y0, x0] * (1 - x) + mask[z0, y0, x1] * x) * (1 - y)
    before += (mask[z0, y1, x0] * (1 - x) + mask[z0, y1, x1] * x) * y
    behind = (mask[z1, y0, x0] * (1 - x) + mask[z1, y0, x1] * x) * (1 - y)
    behind += (mask[z1, y1, x0] * (1 - x) + mask[z1, y1, x1] * x) * y
    return int(before * (1 - z) + behind * z > 0.5)
