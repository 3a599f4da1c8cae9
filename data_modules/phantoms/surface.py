"""The surface of trabeculae as smooth lines, and where pixels lie along it and below it.

What is built on it (osteoid, labels) has a length and a width by construction, so that its truth
needs no pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from data_modules.phantoms.architecture import (
    NETWORK_STEP_UM,
    network_window,
    trabecular_network,
)

Points = NDArray[np.float64]
Values = NDArray[np.float64]

STEP_UM = 0.5
"""Distance of the points of a line."""
MARGIN_UM = 90.0
"""What is known of the bone beyond each edge of the image."""
_NETWORK_SMOOTHING_UM = 9.0
_LINE_SMOOTHING_UM = 6.0
_GRID_UM = 3.0
_SHORTEST_LINE_UM = 200.0
_CANDIDATE_WINDOWS = 6


@dataclass(frozen=True)
class Surface:
    """Closed lines around bone; the points of one follow those of another.

    Attributes:
        points: (N, 2), y and x in µm from the corner of the image.
        normals: (N, 2), of unit length and into the bone.
        shares: (N,), length of surface in µm that each point stands for.
        starts: Number of the first point of each line.
        size_um: Height and width of the image in µm.
    """

    points: Points
    normals: Points
    shares: Values
    starts: NDArray[np.int64]
    size_um: tuple[float, float]

    @property
    def lines(self) -> list[slice]:
        """The points of each line."""
        stops = [*self.starts[1:].tolist(), len(self.points)]
        return [slice(a, b) for a, b in zip(self.starts.tolist(), stops, strict=True)]

    def at_depth(self, depth_um: Values | float) -> Points:
        """Places (N, 2) below each point."""
        return np.asarray(self.points + self.normals * np.reshape(depth_um, (-1, 1)))

    def is_inside(self, places: Points) -> NDArray[np.bool_]:
        """Whether places (N, 2) are in the image, (N,)."""
        return np.asarray(((places >= 0) & (places <= np.array(self.size_um))).all(axis=1))

    def is_cut_lengthwise(
        self, points: NDArray[np.int64], depth_um: Values, width_um: float
    ) -> bool:
        """Whether the edge of the image runs along a band below points, at most its width away.

        What is left of such a band in the image has neither its width nor its middle.
        """
        places = self.points[points] + self.normals[points] * depth_um[:, None]
        to_edge = np.minimum(np.abs(places), np.abs(places - np.array(self.size_um))).min(axis=1)
        return bool(np.count_nonzero(to_edge < width_um) * STEP_UM > 5.0 * width_um)

    def enclosed_area(self, depth_um: Values | float = 0.0) -> float:
        """Area in µm² of what is deeper than ``depth_um`` (N,) and in the image.

        The area of a polygon (Gauss) whose corners outside the image are moved to its edge: what
        the polygon winds around in the image stays the same.
        """
        places = np.clip(self.at_depth(depth_um), 0.0, np.array(self.size_um))
        return float(sum(_signed_area(places[line]) for line in self.lines))

    def room(self, depth_um: float) -> NDArray[np.bool_]:
        """Whether what is so deep below a point is near to no other part of the surface, (N,)."""
        distance, _ = cKDTree(self.points).query(self.at_depth(depth_um), workers=1)
        return np.asarray(distance > depth_um - 0.05 * depth_um)

    def locate(self, shape: tuple[int, int]) -> tuple[NDArray[np.int64], Values]:
        """Nearest point of the surface and depth below it of each pixel's middle.

        Args:
            shape: Rows and columns of the image.

        Returns:
            Numbers of points (Y, X), and depth in µm (Y, X), negative outside of bone.
        """
        rows, columns = (
            (np.arange(count) + 0.5) * size / count
            for count, size in zip(shape, self.size_um, strict=True)
        )
        places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
        distance, nearest = cKDTree(self.points).query(places, workers=1)
        away = places - self.points[nearest]
        along_normal = (away * self.normals[nearest]).sum(axis=-1)
        # The points are so dense that close to them the way along the normal is the distance.
        depth = np.where(
            distance < 2.0 * STEP_UM, along_normal, np.copysign(distance, along_normal)
        )
        return np.asarray(nearest, np.int64), np.asarray(depth, np.float64)


def trabecular_surface(
    size_um: tuple[float, float], bone_fraction: float, rng: np.random.Generator
) -> Surface:
    """Draw trabeculae with smooth surfaces.

    Args:
        size_um: Height and width of the image in µm.
        bone_fraction: Bone volume fraction BV/TV of the network, between 0 and 1.
        rng: Random generator.

    Returns:
        The surface, which goes on beyond the image; of a few windows the one with the most of it
        in the image.
    """
    network = trabecular_network(bone_fraction, rng)
    network = ndimage.gaussian_filter(network, _NETWORK_SMOOTHING_UM / NETWORK_STEP_UM, mode="wrap")
    best, longest = None, 0.0
    while best is None:  # until a window shows a surface, which is soon
        for corner in rng.random((_CANDIDATE_WINDOWS, 2)) * len(network):
            surface = _window_surface(network, corner, size_um)
            length = float(surface.shares[surface.is_inside(surface.points)].sum())
            if length > longest:
                best, longest = surface, length
    return best


def surface_of(lines: list[Points], size_um: tuple[float, float]) -> Surface:
    """A surface from closed lines.

    Args:
        lines: (N, 2), y and x in µm, without the first point again at the end; the area by Gauss
            of what surrounds bone is positive, that of what surrounds a hole negative.
        size_um: Height and width of the image in µm.

    Returns:
        The surface.
    """
    before = [line - np.roll(line, 1, axis=0) for line in lines]
    lengths = [np.linalg.norm(step, axis=1) for step in before]
    shares = [(length + np.roll(length, -1)) / 2.0 for length in lengths]
    tangents = [np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0) for line in lines]
    tangent = np.concatenate([np.zeros((0, 2)), *tangents])
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    counts = np.array([0, *(len(line) for line in lines)])
    return Surface(
        points=np.concatenate([np.zeros((0, 2)), *lines]),
        normals=np.stack([-tangent[:, 1], tangent[:, 0]], axis=1),
        shares=np.concatenate([np.zeros(0), *shares]),
        starts=np.cumsum(counts)[:-1],
        size_um=size_um,
    )


def _window_surface(
    network: NDArray[np.float64], corner: Points, size_um: tuple[float, float]
) -> Surface:
    """Outlines of the bone in a window of the network, closed beyond the image."""
    shape = (
        int((size_um[0] + 2 * MARGIN_UM) / _GRID_UM) + 1,
        int((size_um[1] + 2 * MARGIN_UM) / _GRID_UM) + 1,
    )
    step = _GRID_UM / NETWORK_STEP_UM
    depth = network_window(network, corner, shape, step, order=3, stride=1)
    closed = np.pad(depth, 1, constant_values=-_GRID_UM)
    lines = [
        _smooth_line((line[:-1] - 1.0) * _GRID_UM - MARGIN_UM)
        for line in find_contours(closed, 0.0)
        if np.linalg.norm(np.diff(line, axis=0), axis=1).sum() * _GRID_UM > _SHORTEST_LINE_UM
    ]
    if sum(_signed_area(line) for line in lines) < 0:
        lines = [line[::-1] for line in lines]
    return surface_of(lines, size_um)


def _smooth_line(line: Points) -> Points:
    """A closed line with points every :data:`STEP_UM`, without corners."""
    even = _resampled(line)
    smooth = ndimage.gaussian_filter1d(even, _LINE_SMOOTHING_UM / STEP_UM, axis=0, mode="wrap")
    return _resampled(smooth)


def _resampled(line: Points) -> Points:
    ring = np.concatenate([line, line[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    places = np.linspace(0.0, way[-1], max(round(way[-1] / STEP_UM), 8), endpoint=False)
    return np.stack([np.interp(places, way, ring[:, axis]) for axis in (0, 1)], axis=1)


def _signed_area(line: Points) -> float:
    y, x = line.T
    return float((y * np.roll(x, -1) - np.roll(y, -1) * x).sum()) / 2.0
