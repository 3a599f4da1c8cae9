"""Shapes of all objects of a label map at once: boxes, perimeters, convex hulls.

Labels are 1..N here, every one of them in use, and 0 is background.
"""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class Runs:
    """The rows of all objects as runs of pixels, object by object from top to bottom.

    Args:
        labels: (Y, X) label map with the labels 1..N.

    Attributes:
        row: Row of each run.
        first: Its first column.
        last: Its last column.
        object_starts: (N,) index of the first run of each object.

    Raises:
        ValueError: Not a 2-D label map.

    Example:
        >>> import numpy as np
        >>> runs = Runs(np.array([[1, 1, 0, 2], [1, 0, 0, 2]]))
        >>> runs.row.tolist(), runs.first.tolist(), runs.last.tolist()
        ([0, 1, 0, 1], [0, 0, 3, 3], [1, 0, 3, 3])
        >>> [side.tolist() for side in runs.boxes()]
        [[0, 0], [0, 3], [2, 2], [2, 4]]
    """

    def __init__(self, labels: NDArray[np.integer]) -> None:
        _refuse_volumes(labels)
        edged = np.pad(labels, ((0, 0), (1, 1)))
        changes = edged[:, 1:] != edged[:, :-1]
        row, first = np.nonzero(changes[:, :-1] & (labels > 0))
        last = np.nonzero(changes[:, 1:] & (labels > 0))[1]
        owner = labels[row, first]
        order = np.argsort(owner, kind="stable")
        self.row, self.first, self.last = row[order], first[order], last[order]
        self.object_starts = np.flatnonzero(np.diff(owner[order], prepend=0))

    def boxes(self) -> tuple[Integers, Integers, Integers, Integers]:
        """First row, first column, last row + 1 and last column + 1 of each object, (N,) each."""
        starts = self.object_starts
        if not len(starts):
            return (starts,) * 4
        return (
            np.minimum.reduceat(self.row, starts),
            np.minimum.reduceat(self.first, starts),
            np.maximum.reduceat(self.row, starts) + 1,
            np.maximum.reduceat(self.last, starts) + 1,
        )


def crofton_perimeters(labels: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Perimeters (N,) in pixels by Crofton's formula in 4 directions.

    Lines of a grid in direction θ, d_θ apart, cross the outline n_θ times; the perimeter is π/2
    times the mean of n_θ d_θ (Lehmann & Legland, Insight Journal 2012). On the pixel grid d is 1
    along rows and columns and 1/√2 along diagonals.

    Args:
        labels: (Y, X) label map with the labels 1..N.
        count: N.

    Raises:
        ValueError: Not a 2-D label map.

    Example:
        >>> import numpy as np
        >>> crofton_perimeters(np.array([[1]]), 1).round(4).tolist()  # pi / 8 * (4 + sqrt(8))
        [2.6815]
    """
    _refuse_volumes(labels)
    padded = np.pad(labels, 1)
    neighbours = (
        (padded[:, 1:], padded[:, :-1], 1.0),
        (padded[1:], padded[:-1], 1.0),
        (padded[1:, 1:], padded[:-1, :-1], math.sqrt(0.5)),
        (padded[1:, :-1], padded[:-1, 1:], math.sqrt(0.5)),
    )
    crossings = np.zeros(count + 1)
    for here, there, distance in neighbours:
        outline = here != there
        for side in (here, there):
            crossings += distance * np.bincount(side[outline], minlength=count + 1)
    return math.pi / 8 * crossings[1:]


def convex_areas(runs: Runs) -> Integers:
    """Pixels (N,) whose middle lies in or on the convex hull of each object.

    The hull is that of the middles of the pixels' sides, as in scikit-image: it holds every pixel
    of the object, and nothing beyond a straight edge.

    Args:
        runs: The runs of the objects.

    Example:
        >>> import numpy as np
        >>> bay = np.array([[1, 0, 1], [1, 1, 1]])
        >>> convex_areas(Runs(bay)).tolist()
        [6]
    """
    if not len(runs.object_starts):
        return runs.object_starts
    hulls = _hulls(runs)
    sizes = np.array([len(hull) for hull in hulls])
    corners = np.concatenate(hulls).astype(np.int64)
    after = np.arange(1, len(corners) + 1)
    after[np.cumsum(sizes) - 1] -= sizes
    top, _, bottom, _ = runs.boxes()
    slot_starts = np.concatenate(([0], np.cumsum(bottom - top)))
    slot_of_row_0 = np.repeat(slot_starts[:-1] - top, sizes)
    left, right = _row_limits(corners, corners[after], slot_of_row_0, int(slot_starts[-1]))
    return np.add.reduceat(right - left + 1, slot_starts[:-1])


def _refuse_volumes(labels: NDArray[np.integer]) -> None:
    if labels.ndim != 2:
        raise ValueError(f"the label map has the shape {labels.shape}; (Y, X) is expected")


def _hulls(runs: Runs) -> list[NDArray[np.int32]]:
    """Corners (M, 2) of every hull as (x, y), in order.

    They are in half pixels, where all are whole: the middle of pixel (y, x) is (2 y, 2 x).
    """
    y, left, right = 2 * runs.row, 2 * runs.first, 2 * runs.last
    xs = np.stack((left - 1, left, left, right, right, right + 1), axis=1)
    ys = np.stack((y, y - 1, y + 1, y - 1, y + 1, y), axis=1)
    points = np.stack((xs, ys), axis=2).astype(np.int32)
    return [
        cast("NDArray[np.int32]", cv2.convexHull(own.reshape(-1, 2))[:, 0])
        for own in np.split(points, runs.object_starts[1:])
    ]


def _row_limits(
    start: Integers, end: Integers, slot_of_row_0: Integers, slots: int
) -> tuple[Integers, Integers]:
    """First and last pixel column in every row of every hull.

    Args:
        start: (E, 2) corners (x, y) in half pixels that the edges start at.
        end: The corners that they end at.
        slot_of_row_0: (E,) where the row 0 of an edge's hull would stand in the result.
        slots: Rows of all hulls together.
    """
    leaning = start[:, 1] != end[:, 1]
    start, end, slot = start[leaning], end[leaning], slot_of_row_0[leaning]
    is_down = (start[:, 1] < end[:, 1])[:, None]
    x0, y0 = np.where(is_down, start, end).T
    x1, y1 = np.where(is_down, end, start).T
    # The pixel rows 2 k that an edge meets, and where: x0 + (2 k - y0) (x1 - x0) / (y1 - y0).
    first = -(-y0 // 2)
    met = np.maximum(y1 // 2 - first + 1, 0)
    edge = np.repeat(np.arange(len(y0)), met)
    k = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(met) - met, met)
    height = (y1 - y0)[edge]
    doubled = x0[edge] * height + (2 * k - y0[edge]) * (x1 - x0)[edge]
    left, right = np.full(slots, np.iinfo(np.int64).max), np.full(slots, -1)
    np.minimum.at(left, slot[edge] + k, -(-doubled // (2 * height)))
    np.maximum.at(right, slot[edge] + k, doubled // (2 * height))
    return left, right
