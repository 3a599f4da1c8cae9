"""Lines on a section, below the size of a pixel: contours of masks, smoothed and sampled evenly.

Points are (y, x) in µm from the upper left corner of the image, so the middle of pixel (i, j) is at
((i + 1/2) Δy, (j + 1/2) Δx).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree
from skimage.measure import find_contours

Points = NDArray[np.float64]
Spacing = tuple[float, float]

BLUR_PX = 1.0
"""Standard deviation by which masks are blurred before their contour is taken."""
SMOOTHING_PX = 2.0
"""Standard deviation by which lines are smoothed along themselves."""
STEP_PX = 1.0
"""Distance of the points of a line."""


_PLACES_BETWEEN = (0.25, 0.375, 0.5, 0.625, 0.75)


@dataclass(frozen=True)
class Line:
    """A line with points at even distances.

    Attributes:
        points: (N, 2) in µm, (y, x); of a closed line the first one does not come again.
        closed: Whether the last point is followed by the first.
    """

    points: Points
    closed: bool = False

    @property
    def segments(self) -> NDArray[np.float64]:
        """Length in µm from each point to the next, (N,) of a closed line, else (N - 1,)."""
        ring = np.concatenate([self.points, self.points[:1]]) if self.closed else self.points
        return np.asarray(np.linalg.norm(np.diff(ring, axis=0), axis=1))

    @property
    def length(self) -> float:
        """In µm."""
        return float(self.segments.sum())

    @property
    def shares(self) -> NDArray[np.float64]:
        """Length in µm that each point stands for, (N,): half of both segments that it ends."""
        return shares_of(self.segments, self.closed)

    @property
    def tangents(self) -> Points:
        """Unit vectors (N, 2) along the line."""
        if self.closed:
            ahead, behind = np.roll(self.points, -1, axis=0), np.roll(self.points, 1, axis=0)
            along = ahead - behind
        else:
            along = np.gradient(self.points, axis=0)
        size = np.linalg.norm(along, axis=1, keepdims=True)
        return np.asarray(along / np.where(size > 0, size, 1.0))

    @property
    def normals(self) -> Points:
        """Unit vectors (N, 2) across the line, a quarter turn from the tangents."""
        along = self.tangents
        return np.stack([-along[:, 1], along[:, 0]], axis=1)


def shares_of(segments: NDArray[np.float64], closed: bool) -> NDArray[np.float64]:
    """What of the length of a line each of its points stands for.

    Args:
        segments: Length from each point to the next.
        closed: Whether the last segment leads back to the first point.

    Returns:
        One value per point; they add up to the length.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import shares_of
        >>> shares_of(np.array([2.0, 4.0]), closed=False)
        array([1., 3., 2.])
    """
    if closed:
        return np.asarray((segments + np.roll(segments, 1)) / 2)
    halves = np.concatenate([[0.0], segments, [0.0]]) / 2
    return np.asarray(halves[:-1] + halves[1:])


def contours(mask: NDArray[np.bool_], spacing: Spacing) -> list[Line]:
    """The outlines of a mask, by marching squares of the mask blurred by a pixel, then smoothed.

    Where the border of the image cuts the mask there is no outline. Counting the edges of pixels
    makes a line too long by 4/π on the mean over all directions; here a straight line is right to
    0.2 % whatever its direction, and the radius r of a circle is too small by
    (1² + 2²) / 2r pixels. What is thinner than 2 pixels is lost.

    Args:
        mask: Bool (Y, X).
        spacing: Size of a pixel (Y, X) in µm.

    Returns:
        One line per outline, of holes too; the mask lies on the side of ``normals``.

    Raises:
        ValueError: Not two axes.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import contours
        >>> y, x = np.mgrid[:101, :101] - 50
        >>> [line] = contours(y**2 + x**2 < 40**2, (0.5, 0.5))
        >>> line.closed, round(line.length / (2 * np.pi * 20), 3)
        (True, 0.997)
    """
    if mask.ndim != 2:
        raise ValueError(f"contours are those of a mask (Y, X), not {mask.shape}")
    if min(mask.shape) < 2 or mask.all() or not mask.any():
        return []
    reach = 2 * round(3 * BLUR_PX) + 1
    blurred = cv2.GaussianBlur(
        mask.astype(np.float32), (reach, reach), BLUR_PX, borderType=cv2.BORDER_REPLICATE
    )
    found = find_contours(blurred, 0.5, positive_orientation="high")
    return [line for each in found if (line := even_line(each, spacing)) is not None]


def even_line(pixels: Points, spacing: Spacing) -> Line | None:
    """A line through places on the grid of pixels, smoothed and with points at even distances.

    Args:
        pixels: (N, 2) indices (y, x); a closed line ends where it begins.
        spacing: Size of a pixel (Y, X) in µm.

    Returns:
        The line; None where the places are fewer than three or all the same.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import even_line
        >>> stairs = np.array([[step // 3, step] for step in range(31)], float)
        >>> round(even_line(stairs, (1.0, 1.0)).length, 1)  # from (0, 0) to (10, 30)
        31.7
    """
    closed = len(pixels) > 3 and bool(np.allclose(pixels[0], pixels[-1]))
    step = STEP_PX * float(np.mean(spacing))
    even = resampled((pixels + 0.5) * np.asarray(spacing), closed, step)
    if even is None:
        return None
    smooth = resampled(smoothed(even, closed), closed, step)
    return None if smooth is None else Line(smooth, closed)


def resampled(points: Points, closed: bool, step: float) -> Points | None:
    """Points at even distances of about ``step`` along a polygon line.

    Args:
        points: (N, 2).
        closed: Whether the line leads back to its first point; that one is then not repeated.
        step: Distance.

    Returns:
        (M, 2); None of a line that is shorter than a step, or closed and shorter than 4.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import resampled
        >>> resampled(np.array([[0.0, 0.0], [0.0, 3.0]]), closed=False, step=1.5).tolist()
        [[0.0, 0.0], [0.0, 1.5], [0.0, 3.0]]
    """
    ring = np.concatenate([points, points[:1]]) if closed else points
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    count = round(along[-1] / step)
    if count < (4 if closed else 1):
        return None
    places = np.linspace(0.0, along[-1], count + 1)
    even = np.stack([np.interp(places, along, ring[:, axis]) for axis in range(2)], axis=1)
    return even[:-1] if closed else even


def smoothed(points: Points, closed: bool, sigma: float = SMOOTHING_PX / STEP_PX) -> Points:
    """A line without the staircase of pixels; the ends of an open one stay where they are.

    Args:
        points: (N, 2) at even distances.
        closed: Whether the last point is followed by the first.
        sigma: Standard deviation, in points.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import smoothed
        >>> straight = np.stack([np.arange(9.0), np.arange(9.0)], axis=1)
        >>> bool(np.allclose(smoothed(straight, closed=False), straight))
        True
    """
    if closed:
        return np.asarray(gaussian_filter1d(points, sigma, axis=0, mode="wrap"))
    width = min(int(4 * sigma) + 1, len(points) - 1)
    # Mirrored about its end, a straight line goes on.
    longer = np.pad(points, ((width, width), (0, 0)), mode="reflect", reflect_type="odd")
    filtered = gaussian_filter1d(longer, sigma, axis=0, mode="nearest")
    return np.asarray(filtered[width : width + len(points)])


def kept_parts(line: Line, kept: NDArray[np.bool_]) -> list[Line]:
    """The stretches of a line in which all points are kept.

    Args:
        line: With N points.
        kept: (N,).

    Returns:
        The line itself where all of it is kept; else open lines of two points or more.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import Line, kept_parts
        >>> line = Line(np.array([[0.0, x] for x in range(5)]))
        >>> [len(part.points) for part in kept_parts(line, np.array([1, 1, 0, 1, 1], bool))]
        [2, 2]
    """
    if kept.all():
        return [line]
    points = line.points
    if line.closed:
        # Begins after a point that is left out, so that no stretch is cut in two.
        start = int(np.argmin(kept))
        points, kept = np.roll(points, -start, axis=0), np.roll(kept, -start)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
    return [
        Line(points[first:stop])
        for first, stop in zip(edges[::2], edges[1::2], strict=True)
        if stop - first > 1
    ]


def sample(values: NDArray[np.generic], points: Points, spacing: Spacing) -> NDArray[np.generic]:
    """The value of the pixel in which each point lies.

    Args:
        values: (Y, X).
        points: (..., 2) in µm; outside of the image the nearest pixel is taken.
        spacing: Size of a pixel (Y, X) in µm.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import sample
        >>> sample(np.array([[1, 2], [3, 4]]), np.array([[0.9, 1.1], [5.0, 0.0]]), (1.0, 1.0))
        array([2, 3])
    """
    index = np.floor(points / np.asarray(spacing)).astype(np.int64)
    index = np.clip(index, 0, np.array(values.shape) - 1)
    return np.asarray(values[index[..., 0], index[..., 1]])


def lies_between(
    mask: NDArray[np.bool_], here: Points, there: Points, spacing: Spacing
) -> NDArray[np.bool_]:
    """Whether the mask holds all the way between places, (N,).

    Args:
        mask: Bool (Y, X).
        here: (N, 2) in µm.
        there: (N, 2) in µm.
        spacing: Size of a pixel (Y, X) in µm.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import lies_between
        >>> mask = np.array([[True, True, False, True]])
        >>> here, there = np.array([[0.5, 0.5]]), np.array([[0.5, 3.5]])
        >>> lies_between(mask, here, there, (1.0, 1.0))
        array([False])
    """
    between = np.ones(len(here), np.bool_)
    for share in _PLACES_BETWEEN:
        between &= sample(mask, here + share * (there - here), spacing).astype(np.bool_)
    return between


def nearest(
    tree: cKDTree, points: Points, within: float = np.inf
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance (N,) of the nearest point of a tree to each of (N, 2), and its number.

    Args:
        tree: Of other points.
        points: (N, 2).
        within: What is further away counts as infinitely far, with the number 0.

    Example:
        >>> import numpy as np
        >>> from scipy.spatial import cKDTree
        >>> from lotus.morphometry.lines import nearest
        >>> distance, index = nearest(cKDTree([[0.0, 0.0], [0.0, 5.0]]), np.array([[3.0, 5.0]]))
        >>> distance.tolist(), index.tolist()
        ([3.0], [1])
    """
    distance, index = tree.query(points, distance_upper_bound=within)
    found = np.isfinite(distance)
    return np.asarray(distance), np.where(found, index, 0)


def gathered_points(lines: Sequence[Line]) -> Points:
    """The points (N, 2) of all lines, one after another.

    Example:
        >>> from lotus.morphometry.lines import gathered_points
        >>> gathered_points([]).shape
        (0, 2)
    """
    return np.concatenate([line.points for line in lines]) if lines else np.zeros((0, 2))
