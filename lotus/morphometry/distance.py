"""Exact squared distances to the background, on the grid of voxels or on one twice as fine."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lotus.morphometry.compiled import compiled

Squares = NDArray[np.float32]
_PARTS_PER_THREAD = 4


def squared_distances(
    mask: NDArray[np.bool_], spacing: tuple[float, float, float], *, refinement: int = 1
) -> Squares:
    """Squared Euclidean distance of every point of a grid to the nearest background.

    With ``refinement`` 1 the grid is that of the voxels' centres. With 2 a point lies also in the
    middle between any two neighbours, and background is where the mask, interpolated linearly, is
    at most 1/2: flat faces of voxels are, and steps between them are cut. Nothing is known beyond
    the image's border, so nothing there is background. Only rows that hold foreground are worked
    on, which makes sparse masks fast.

    Args:
        mask: Bool (Z, Y, X).
        spacing: From one point of the grid to the next (Z, Y, X), in any unit.
        refinement: 1 or 2; then the grid has (2 Z - 1, 2 Y - 1, 2 X - 1) points, and the even ones
            are the voxels' centres.

    Returns:
        float32 of the grid's shape; 0 in the background, infinite where there is no background.
        Exact to the bit where spacing is 1 and no distance exceeds 4096.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.distance import squared_distances
        >>> plate = np.array([[[0, 1, 1, 0]]], bool)
        >>> squared_distances(plate, (1, 1, 1)).ravel().tolist()
        [0.0, 1.0, 1.0, 0.0]
        >>> squared_distances(plate, (0.5, 0.5, 0.5), refinement=2).ravel().tolist()
        [0.0, 0.0, 0.25, 1.0, 0.25, 0.0, 0.0]
    """
    depth, height, width = (refinement * (size - 1) + 1 for size in mask.shape)
    z_steps, y_steps, x_steps = squared_steps((depth, height, width), spacing)
    # Pages of rows without foreground are never touched.
    squares = np.zeros((depth, height, width), np.float32)
    in_parts(depth, lambda a, b: _along_x(mask, refinement - 1, x_steps, squares, a, b))
    in_parts(depth, lambda a, b: _along_y(squares, y_steps, a, b))
    in_parts(height, lambda a, b: _along_y(squares.transpose(1, 0, 2), z_steps, a, b))
    return squares


def squared_steps(
    counts: tuple[int, int, int], spacing: tuple[float, float, float]
) -> tuple[Squares, Squares, Squares]:
    """Squared lengths of 0, 1, 2, ... steps along each axis, float32.

    Sums of these, x and y before z, are the same to the bit wherever distances are compared.

    Args:
        counts: How many, for each axis.
        spacing: Length of a step along each axis.

    Example:
        >>> from lotus.morphometry.distance import squared_steps
        >>> [steps.tolist() for steps in squared_steps((1, 2, 3), (1.0, 1.0, 0.5))]
        [[0.0], [0.0, 1.0], [0.0, 0.25, 1.0]]
    """
    z_steps, y_steps, x_steps = (
        ((np.arange(count) * length) ** 2).astype(np.float32)
        for count, length in zip(counts, spacing, strict=True)
    )
    return z_steps, y_steps, x_steps


def in_parts(size: int, work: Callable[[int, int], object]) -> None:
    """Do the same work on parts of a range in as many threads as there are processors.

    Args:
        size: Length of the range.
        work: Gets the first number of a part and the one after its last; it releases the GIL.

    Example:
        >>> from lotus.morphometry.distance import in_parts
        >>> squares = [0] * 5
        >>> def fill(first, last):
        ...     squares[first:last] = [number**2 for number in range(first, last)]
        >>> in_parts(5, fill)
        >>> squares
        [0, 1, 4, 9, 16]
    """
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = min(size, _PARTS_PER_THREAD * (threads or 1))
    limits = [size * part // parts for part in range(parts + 1)] if parts else []
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, first, last) for first, last in pairwise(limits)]:
            done.result()


@compiled
def _along_x(
    mask: NDArray[np.bool_],
    halvings: int,
    steps: Squares,
    squares: Squares,
    first: int,
    last: int,
) -> None:
    """Squared distance within the rows of some planes of the grid."""
    height, width = squares.shape[1:]
    inside = np.empty(width, np.bool_)
    for z in range(first, last):
        z0, z1 = z >> halvings, (z + halvings) >> halvings
        for y in range(height):
            y0, y1 = y >> halvings, (y + halvings) >> halvings
            found = False
            for x in range(width):
                x0, x1 = x >> halvings, (x + halvings) >> halvings
                # Most of the voxels that a point touches decide; some are counted repeatedly.
                inside[x] = (
                    (int(mask[z0, y0, x0]) + mask[z0, y0, x1])
                    + (int(mask[z0, y1, x0]) + mask[z0, y1, x1])
                    + (int(mask[z1, y0, x0]) + mask[z1, y0, x1])
                    + (int(mask[z1, y1, x0]) + mask[z1, y1, x1])
                ) > 4
                found |= inside[x]
            if not found:
                continue
            count = width
            for x in range(width):
                count = min(count + 1, width) if inside[x] else 0
                if inside[x]:
                    squares[z, y, x] = steps[count] if count < width else np.inf
            count = width
            for x in range(width - 1, -1, -1):
                count = min(count + 1, width) if inside[x] else 0
                if count < width and inside[x]:
                    squares[z, y, x] = min(squares[z, y, x], steps[count])


@compiled
def _along_y(squares: Squares, steps: Squares, first: int, last: int) -> None:
    """Shorten the distances of some planes by what lies before and behind along the rows' axis."""
    height, width = squares.shape[1:]
    known = np.empty((height, width), np.float32)
    for z in range(first, last):
        known[:] = squares[z]
        for y in range(height):
            farthest = max(y, height - 1 - y)
            for x in range(width):
                shortest = known[y, x]
                if shortest == 0.0:
                    continue
                step = 1
                while step <= farthest and steps[step] < shortest:
                    if step <= y:
                        shortest = min(shortest, known[y - step, x] + steps[step])
                    if y + step < height:
                        shortest = min(shortest, known[y + step, x] + steps[step])
                    step += 1
                squares[z, y, x] = shortest
