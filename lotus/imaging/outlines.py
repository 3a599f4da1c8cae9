"""Outlines of objects along pixel edges.

Every outline runs along the edges between pixels, so the area it encloses is the number of pixels.
An object is first taken apart into 4-connected parts; each part is one polygon with one outer ring
and a ring per hole. Where two pixels of a part touch at a corner only, the outline turns left (the
part lies on its right). No ring can then pass a corner twice: the part joins the two pixels some
other way round, which separates the two background pixels at that corner from each other.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import cc3d
import numpy as np
from numpy.typing import NDArray

Ring = list[tuple[int, int]]
"""Corner points (x, y) in pixels from the upper left corner of the image, first = last."""

Polygon = list[Ring]
"""The outer ring, clockwise on the screen, then the holes, counterclockwise."""

_EAST, _SOUTH, _WEST, _NORTH = range(4)


def outline_objects(
    labels: NDArray[np.integer], offset_yx: tuple[int, int] = (0, 0)
) -> dict[int, list[Polygon]]:
    """Trace every object of a label map.

    Args:
        labels: (Y, X) integers, 0 = background.
        offset_yx: Place of the array's first pixel in the whole image, in pixels.

    Returns:
        For every label, in ascending order, its polygons: one, or one per 4-connected part.

    Raises:
        ValueError: Not a 2-D array of integers, or an offset that is not (Y, X).
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"a label map is a 2-D array of integers, not {labels.dtype} {labels.shape}"
        )
    if len(offset_yx) != 2:
        raise ValueError(f"the offset is {offset_yx}; (Y, X) in pixels is expected")
    parts = np.pad(cc3d.connected_components(labels, connectivity=4), 1)
    corners, ends, directions, owners = _straight_runs(parts)
    following = _following_runs(corners, ends, directions, owners, parts.shape[1]).tolist()
    points = [
        (x + offset_yx[1], y + offset_yx[0])
        for y, x in zip(corners[0].tolist(), corners[1].tolist(), strict=True)
    ]
    polygons: dict[int, Polygon] = defaultdict(list)
    seen = [False] * len(points)
    # Runs to the east come first, row by row, so a part's first ring is its outer one.
    for start, owner in enumerate(owners.tolist()):
        if seen[start]:
            continue
        ring, run = [], start
        while not seen[run]:
            seen[run] = True
            ring.append(points[run])
            run = following[run]
        polygons[owner].append([*ring, ring[0]])
    objects: dict[int, list[Polygon]] = defaultdict(list)
    for polygon in polygons.values():
        x, y = polygon[0][0]
        objects[int(labels[y - offset_yx[0], x - offset_yx[1]])].append(polygon)
    return dict(sorted(objects.items()))


def ring_area(ring: Ring) -> int:
    """Return the enclosed area in pixels (shoelace formula), positive for clockwise on the screen.

    Args:
        ring: Closed ring of whole coordinates.
    """
    doubled = sum(x * y_ - x_ * y for (x, y), (x_, y_) in pairwise(ring))
    return doubled // 2


_Runs = tuple[
    tuple[NDArray[np.int64], NDArray[np.int64]],
    tuple[NDArray[np.int64], NDArray[np.int64]],
    NDArray[np.int64],
    NDArray[np.int64],
]


def _straight_runs(parts: NDArray[np.integer]) -> _Runs:
    """Find the straight pieces of all outlines, each with its part on the right.

    Args:
        parts: Numbered parts with a border of 0.

    Returns:
        First corner (y, x), last corner (y, x), direction and part of every piece.
    """
    upper_left, upper_right = parts[:-1, :-1], parts[:-1, 1:]
    lower_left, lower_right = parts[1:, :-1], parts[1:, 1:]
    # The owner of the unit edge that leaves a corner in a direction is the pixel on its right.
    row, first, last, east = _runs(np.where(lower_right != upper_right, lower_right, 0))
    pieces = [(row, first, row, last + 1, east, _EAST)]
    column, first, last, south = _runs(np.where(lower_left != lower_right, lower_left, 0).T)
    pieces.append((first, column, last + 1, column, south, _SOUTH))
    row, first, last, west = _runs(np.where(upper_left != lower_left, upper_left, 0))
    pieces.append((row, last, row, first - 1, west, _WEST))
    column, first, last, north = _runs(np.where(upper_right != upper_left, upper_right, 0).T)
    pieces.append((last, column, first - 1, column, north, _NORTH))
    y, x, end_y, end_x, owners = (
        np.concatenate([piece[k] for piece in pieces]).astype(np.int64) for k in range(5)
    )
    directions = np.repeat([piece[5] for piece in pieces], [len(piece[0]) for piece in pieces])
    return (y, x), (end_y, end_x), directions, owners


def _runs(
    owners: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]:
    """Return row, first column, last column and value of the runs of equal nonzero values."""
    width = owners.shape[1]
    flat = owners.ravel()
    # Few pixels lie on an edge: the ends of runs are sought among those alone.
    edge = np.flatnonzero(flat)
    value, column = flat[edge], edge % width
    goes_on = (np.diff(edge) == 1) & (np.diff(value) == 0) & (column[1:] > 0)
    starts, ends = np.ones(len(edge), np.bool_), np.ones(len(edge), np.bool_)
    starts[1:], ends[:-1] = ~goes_on, ~goes_on
    first = edge[starts]
    return first // width, first % width, column[ends], value[starts]


def _following_runs(
    corners: tuple[NDArray[np.int64], NDArray[np.int64]],
    ends: tuple[NDArray[np.int64], NDArray[np.int64]],
    directions: NDArray[np.int64],
    owners: NDArray[np.int64],
    width: int,
) -> NDArray[np.int64]:
    """Return for every piece the index of the piece that goes on where it ends: left, else right.

    From one corner at most one piece leaves in every direction, so corner and direction name it.
    """
    keys = (corners[0] * width + corners[1]) * 4 + directions
    order = np.argsort(keys)
    end = (ends[0] * width + ends[1]) * 4

    def leaving(turn: int) -> NDArray[np.int64]:
        place = np.searchsorted(keys, end + (directions + turn) % 4, sorter=order)
        return order[np.minimum(place, len(order) - 1)]

    left = leaving(-1)
    turns_left = (keys[left] == end + (directions - 1) % 4) & (owners[left] == owners)
    return np.where(turns_left, left, leaving(1))
