"""Vectorised drawing of many small ellipses, and smooth random fields in 2-D and 3-D."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Stamps are drawn in blocks of at most this many pixels, which bounds the memory of large images.
_PIXELS_PER_BLOCK = 4_000_000


@dataclass(frozen=True)
class Ellipses:
    """Ellipses on a pixel grid.

    Attributes:
        centre: float64 (N, 2): row and column of the centres in pixels.
        semi_axes: float64 (N, 2): long and short semi-axis in pixels.
        angle: float64 (N,): direction of the long axis in radians, from +column towards +row.
    """

    centre: NDArray[np.float64]
    semi_axes: NDArray[np.float64]
    angle: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of ellipses."""
        return len(self.angle)

    def scaled(self, factor: float) -> Ellipses:
        """The same ellipses with axes multiplied by ``factor``."""
        return Ellipses(self.centre, self.semi_axes * factor, self.angle)

    def grown(self, pixels: float) -> Ellipses:
        """The same ellipses with semi-axes longer by ``pixels``."""
        return Ellipses(self.centre, self.semi_axes + pixels, self.angle)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Ellipses:
        """The chosen ellipses."""
        return Ellipses(self.centre[index], self.semi_axes[index], self.angle[index])


def draw_coverage(
    shape: tuple[int, int], ellipses: Ellipses, strength: ArrayLike = 1.0
) -> NDArray[np.float32]:
    """Draw anti-aliased filled ellipses; where they overlap, the stronger one counts.

    Args:
        shape: Rows and columns of the image.
        ellipses: What to draw; parts outside the image are cut off.
        strength: Value inside each ellipse, one for all or (N,), not negative.

    Returns:
        Float32 (Y, X): covered share of each pixel times the strength.
    """
    canvas = np.zeros(shape, np.float32)
    values = np.broadcast_to(np.asarray(strength, np.float32), (len(ellipses),))
    for part, rows, columns, distance in _stamps(shape, ellipses):
        cover = np.clip(distance + 0.5, 0.0, 1.0) * values[part][:, None, None]
        inside = cover > 0
        np.maximum.at(canvas, (rows[inside], columns[inside]), cover[inside])
    return canvas


def draw_labels(shape: tuple[int, int], ellipses: Ellipses) -> NDArray[np.uint16]:
    """Draw ellipses as an instance label map: pixel centres inside ellipse i get i + 1.

    Args:
        shape: Rows and columns of the image.
        ellipses: At most 65,535 of them; a pixel inside several belongs to the last.

    Returns:
        Uint16 (Y, X); ellipses that cover no pixel centre leave a gap in the numbers.
    """
    labels = np.zeros(shape, np.uint16)
    for part, rows, columns, distance in _stamps(shape, ellipses):
        inside = distance > 0
        numbers = np.broadcast_to(np.arange(part.start, part.stop)[:, None, None] + 1, inside.shape)
        np.maximum.at(labels, (rows[inside], columns[inside]), numbers[inside].astype(np.uint16))
    return labels


def _stamps(
    shape: tuple[int, int], ellipses: Ellipses
) -> Iterator[tuple[slice, NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """Blocks of stamps: row, column and signed distance to the outline (inside > 0), (n, K, K)."""
    if not len(ellipses):
        return
    reach = int(np.ceil(ellipses.semi_axes.max())) + 2
    offset = np.arange(-reach, reach + 1)
    block = max(1, _PIXELS_PER_BLOCK // len(offset) ** 2)
    for start in range(0, len(ellipses), block):
        part = slice(start, min(start + block, len(ellipses)))
        centre, axes = ellipses.centre[part], ellipses.semi_axes[part]
        corner = np.rint(centre).astype(np.intp)
        rows = corner[:, 0, None, None] + offset[None, :, None]
        columns = corner[:, 1, None, None] + offset[None, None, :]
        y = rows - centre[:, 0, None, None]
        x = columns - centre[:, 1, None, None]
        cosine = np.cos(ellipses.angle[part])[:, None, None]
        sine = np.sin(ellipses.angle[part])[:, None, None]
        along = (x * cosine + y * sine) / axes[:, 0, None, None]
        across = (y * cosine - x * sine) / axes[:, 1, None, None]
        # First-order distance to the outline: (1 - f) / |grad f| with f the elliptic radius.
        radius = np.sqrt(along**2 + across**2) + 1e-6
        slope = np.hypot(along / axes[:, 0, None, None], across / axes[:, 1, None, None]) / radius
        distance = (1.0 - radius) / np.maximum(slope, 1.0 / axes[:, 0, None, None])
        outside = (rows < 0) | (rows >= shape[0]) | (columns < 0) | (columns >= shape[1])
        signed = np.where(outside, -np.inf, distance).astype(np.float32)
        rows = np.broadcast_to(rows, signed.shape)
        columns = np.broadcast_to(columns, signed.shape)
        yield part, rows, columns, signed


def smooth_noise(
    shape: tuple[int, int], wavelength: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A smooth random field of zero mean and about unit standard deviation.

    Args:
        shape: Rows and columns.
        wavelength: Size of its features in pixels, > 0.
        rng: Random generator.

    Returns:
        Float32 (Y, X).
    """
    spacing = max(wavelength / 2.5, 1.0)
    rows, columns = (spline_weights(length, spacing, rng.random()) for length in shape)
    coarse = rng.standard_normal((rows.shape[1], columns.shape[1])).astype(np.float32)
    return np.asarray(rows @ coarse @ columns.T)


@dataclass(frozen=True)
class SmoothVolume:
    """A smooth random volume of zero mean and about unit variance, of which slices are made.

    Attributes:
        weights: Float32 (length, nodes) of each axis.
        nodes: Float32 (Z', Y', X'): independent normal values.
    """

    weights: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    nodes: NDArray[np.float32]

    def slices(self, first: int, stop: int) -> NDArray[np.float32]:
        """Slices of numbers from ``first`` to below ``stop``, (Z, Y, X), however they are asked."""
        along, rows, columns = self.weights
        return np.stack(
            [rows @ np.tensordot(weight, self.nodes, 1) @ columns.T for weight in along[first:stop]]
        )


def draw_smooth_volume(
    shape: tuple[int, int, int], wavelength: float, rng: np.random.Generator
) -> SmoothVolume:
    """Draw a smooth random volume.

    Args:
        shape: (Z, Y, X) in voxels.
        wavelength: Size of its features in voxels, > 0.
        rng: Random generator.

    Returns:
        The volume.
    """
    spacing = max(wavelength / 2.5, 1.0)
    along, rows, columns = (spline_weights(length, spacing, rng.random()) for length in shape)
    nodes = (along.shape[1], rows.shape[1], columns.shape[1])
    return SmoothVolume((along, rows, columns), rng.standard_normal(nodes, np.float32))


def spline_weights(length: int, spacing: float, start: float) -> NDArray[np.float32]:
    """Values of the uniform cubic B-splines, scaled to unit mean energy per row.

    Args:
        length: Number of pixels.
        spacing: Distance of the splines' nodes in pixels, at least 1.
        start: Where the first pixel lies between the first two nodes, from 0 to 1.

    Returns:
        Float32 (length, nodes).
    """
    position = start + np.arange(length) / spacing
    node = np.arange(-1, int(position[-1]) + 3)
    gap = np.abs(position[:, None] - node[None, :])
    near = 2.0 / 3.0 - gap**2 + gap**3 / 2.0
    far = np.clip(2.0 - gap, 0.0, None) ** 3 / 6.0
    # The mean of the squared weights is the integral of the squared spline, 151/315.
    weights: NDArray[np.float32] = (np.where(gap < 1.0, near, far) / np.sqrt(151 / 315)).astype(
        np.float32
    )
    return weights
