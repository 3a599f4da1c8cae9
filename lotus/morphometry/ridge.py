"""Balls within a structure that are in no other: the distance ridge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lotus.morphometry.balls import Balls, steps_within
from lotus.morphometry.compiled import compiled
from lotus.morphometry.distance import Squares, in_parts

_BUCKETS = 2**16
# Neighbours differ along one axis, two or three: bits for Z, Y, X.
_KINDS = 8
_NOBODY = 14
"""What marks a ball of the ridge; the number of the neighbour that covers most of it is added."""


def ridge(
    squares: Squares,
    spacing: tuple[float, float, float],
    refinement: int,
    first: int,
    last: int,
) -> Balls:
    """Centres whose balls cover something that no neighbour's ball covers: the distance ridge.

    What the balls of all centres cover, those of the ridge cover too, with no smaller radius.
    Which radius a neighbour needs to cover a ball is looked up in a table over all balls, as that
    of Rémy & Thiel (Image Vis. Comput. 23, 2005), here for any spacing.

    Args:
        squares: Squared radius (Z, Y, X) of the ball around each point, finite; 0 is no ball.
        spacing: Length of a step of the grid along each axis, none below 1.
        refinement: 2 if only the grid's even points are to be covered, else 1.
        first: First plane to look for centres in.
        last: The plane after the last.

    Returns:
        The balls, each with the neighbour whose ball covers most of it.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.ridge import ridge
        >>> from lotus.morphometry.distance import squared_distances
        >>> plate = np.array([0, 1, 1, 1, 0], bool).reshape(5, 1, 1)
        >>> ridge(squared_distances(plate, (1, 1, 1)), (1, 1, 1), 1, 0, 5).centres.tolist()
        [[2, 0, 0]]
    """
    largest = float(squares[first:last].max(initial=0.0))
    width = max(1.0, largest / _BUCKETS)
    needed = _needed_squares(largest, width, spacing, refinement)
    marks = np.zeros(squares.shape, np.uint8)
    step = np.array(spacing)

    def mark(start: int, stop: int) -> None:
        _mark_ridge(squares, needed, width, step, refinement - 1, marks, start, stop)

    in_parts(last - first, lambda a, b: mark(first + a, first + b))
    places = np.nonzero(marks)
    numbers = marks[places].astype(np.int64) - _NOBODY
    centres = np.stack(places, axis=1)
    neighbours = np.stack(np.unravel_index(numbers + 13, (3, 3, 3)), axis=1) - 1
    own, theirs = squares[places], squares[tuple((centres + neighbours).T)].astype(np.float64)
    bounds = (own + ((neighbours * step) ** 2).sum(axis=1) - theirs) / 2
    bounds[numbers == 0] = np.inf
    return Balls(centres, own, neighbours, bounds)


def _needed_squares(
    largest: float, width: float, spacing: tuple[float, float, float], refinement: int
) -> Squares:
    """Squared radius that the ball around a neighbour needs to cover another ball.

    Returns:
        By parity of the centre, kind of neighbour and squared radius of the ball in buckets of
        ``width``: what the largest ball in the bucket needs.
    """
    buckets = int(largest / width) + 1
    # -1: balls around points in between may be too small to cover a voxel.
    needed = np.full((refinement, refinement, refinement, _KINDS, buckets), -1, np.float32)
    z_steps, y_steps, x_steps = steps_within(largest, spacing)
    _fill_needed(z_steps, y_steps, x_steps, width, refinement - 1, needed)
    return np.maximum.accumulate(needed, axis=-1)


@compiled
def _fill_needed(
    z_steps: Squares,
    y_steps: Squares,
    x_steps: Squares,
    width: float,
    odd: int,
    needed: Squares,
) -> None:
    """For each point, how far it is from the neighbour on the other side of the centre."""
    buckets = needed.shape[-1]
    for z in range(len(z_steps) - 1):
        for y in range(len(y_steps) - 1):
            for x in range(len(x_steps) - 1):
                bucket = int(((x_steps[x] + y_steps[y]) + z_steps[z]) / width)
                if bucket >= buckets:
                    break
                for kind in range(1, 8):
                    far_z = z_steps[z + (kind >> 2)]
                    far_y = y_steps[y + ((kind >> 1) & 1)]
                    far = (x_steps[x + (kind & 1)] + far_y) + far_z
                    own = needed[z & odd, y & odd, x & odd, kind]
                    own[bucket] = max(own[bucket], far)


@compiled
def _mark_ridge(
    squares: Squares,
    needed: Squares,
    width: float,
    spacing: NDArray[np.float64],
    odd: int,
    marks: NDArray[np.uint8],
    first: int,
    last: int,
) -> None:
    """Mark the centres of some planes that no neighbour covers."""
    for z in range(first, last):
        for y in range(squares.shape[1]):
            for x in range(squares.shape[2]):
                own = squares[z, y, x]
                if own > 0.0:
                    table = needed[z & odd, y & odd, x & odd, :, int(own / width)]
                    marks[z, y, x] = _mark_of(squares, table, spacing, z, y, x)


@compiled
def _mark_of(
    squares: Squares, table: Squares, spacing: NDArray[np.float64], z: int, y: int, x: int
) -> int:
    """0 for a ball that a neighbour covers, else the mark of the one that covers most of it."""
    depth, height, width = squares.shape
    own = squares[z, y, x]
    mark, least = _NOBODY, np.inf
    for dz in range(-1 if z else 0, 2 if z + 1 < depth else 1):
        for dy in range(-1 if y else 0, 2 if y + 1 < height else 1):
            for dx in range(-1 if x else 0, 2 if x + 1 < width else 1):
                number = 9 * dz + 3 * dy + dx
                other = squares[z + dz, y + dy, x + dx]
                # Of two balls of one size the first comes first.
                if other < own or (other == own and number >= 0):
                    continue
                if other >= table[4 * abs(dz) + 2 * abs(dy) + abs(dx)]:
                    return 0
                away = (dz * spacing[0]) ** 2 + (dy * spacing[1]) ** 2 + (dx * spacing[2]) ** 2
                # Twice as far from the centre as the plane that cuts off what is not covered.
                uncovered = (own + away - other) / np.sqrt(away)
                if uncovered < least:
                    mark, least = _NOBODY + number, uncovered
    return mark
