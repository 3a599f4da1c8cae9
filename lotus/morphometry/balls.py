"""Balls within a structure: those that are in no other, and what they cover.

A ball around a point of a grid holds the points nearer than its squared radius. The fine grid of
:func:`~lotus.morphometry.distance.squared_distances` has centres in between voxels; a ball then
covers voxels, which are its even points.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lotus.morphometry.compiled import compiled
from lotus.morphometry.distance import Squares, in_parts, squared_steps

Integers = NDArray[np.int64]
_BUCKETS = 2**16
# Neighbours differ along one axis, two or three: bits for Z, Y, X.
_KINDS = 8


def ridge(
    squares: Squares,
    spacing: tuple[float, float, float],
    refinement: int,
    first: int,
    last: int,
) -> Integers:
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
        (N, 3) centres as Z, Y, X.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.balls import ridge
        >>> from lotus.morphometry.distance import squared_distances
        >>> plate = np.array([0, 1, 1, 1, 0], bool).reshape(5, 1, 1)
        >>> ridge(squared_distances(plate, (1, 1, 1)), (1, 1, 1), 1, 0, 5).tolist()
        [[2, 0, 0]]
    """
    largest = float(squares[first:last].max(initial=0.0))
    width = max(1.0, largest / _BUCKETS)
    needed = _needed_squares(largest, width, spacing, refinement)
    kept = np.zeros(squares.shape, np.bool_)
    in_parts(
        last - first,
        lambda a, b: _mark_ridge(
            squares, needed, width, refinement - 1, kept, first + a, first + b
        ),
    )
    return np.stack(np.unravel_index(np.flatnonzero(kept), kept.shape), axis=1)


def paint_balls(
    centres: Integers,
    squares: Squares,
    spacing: tuple[float, float, float],
    refinement: int,
    mask: NDArray[np.bool_],
    first: int = 0,
) -> Squares:
    """The largest squared radius among the balls that hold a voxel of a mask.

    The largest balls come first, so each voxel is painted once. Those that wait are kept as bits,
    so a row of a ball is compared with 32 of them at a time.

    Args:
        centres: (N, 3) of the balls, on the grid.
        squares: (N,) their squared radii.
        spacing: Length of a step of the grid along each axis.
        refinement: 2 if voxels are the grid's even points, else 1.
        mask: Bool (Z, Y, X) of the slices of voxels to paint.
        first: Number of the first of them.

    Returns:
        float32 of the mask's shape; 0 where there is no ball, and outside the mask.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.balls import paint_balls
        >>> centres, squares = np.array([[0, 0, 2], [0, 0, 4]]), np.array([1, 4], np.float32)
        >>> paint_balls(centres, squares, (1, 1, 1), 1, np.ones((1, 1, 8), bool)).ravel().tolist()
        [0.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0, 0.0]
    """
    order = np.argsort(-squares, kind="stable")
    centres, squares = centres[order], squares[order]
    z_steps, y_steps, x_steps = _steps_within(float(squares.max(initial=0.0)), spacing)
    painted = np.zeros(mask.shape, np.float32)
    waiting = _packed(mask)

    def paint(start: int, stop: int) -> None:
        part = (waiting[start:stop], painted[start:stop])
        _paint(centres, squares, z_steps, y_steps, x_steps, refinement - 1, first + start, *part)

    in_parts(len(mask), paint)
    return painted


def _needed_squares(
    largest: float, width: float, spacing: tuple[float, float, float], refinement: int
) -> Squares:
    """Squared radius that the ball around a neighbour has to exceed to cover another ball.

    Returns:
        By parity of the centre, kind of neighbour and size of the ball in buckets of ``width``: of
        the balls up to the upper end of the bucket, ends not included.
    """
    buckets = int(largest / width) + 1
    # -1: balls around points in between may be too small to cover a voxel.
    needed = np.full((refinement, refinement, refinement, _KINDS, buckets), -1, np.float32)
    z_steps, y_steps, x_steps = _steps_within(largest, spacing)
    _fill_needed(z_steps, y_steps, x_steps, width, refinement - 1, needed)
    return np.maximum.accumulate(needed, axis=-1)


def _steps_within(
    square: float, spacing: tuple[float, float, float]
) -> tuple[Squares, Squares, Squares]:
    """Squared steps along each axis up to a squared radius and a little beyond."""
    depth, height, width = (int(math.sqrt(square) / step) + 3 for step in spacing)
    return squared_steps((depth, height, width), spacing)


def _packed(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Rows as words of 32 bits, the first voxel lowest."""
    padded = np.pad(mask, ((0, 0), (0, 0), (0, -mask.shape[2] % 32)))
    return np.packbits(padded, axis=2, bitorder="little").view("<u4").astype(np.uint32)


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
    odd: int,
    kept: NDArray[np.bool_],
    first: int,
    last: int,
) -> None:
    """Mark the centres of some planes that no neighbour covers."""
    depth, height, breadth = squares.shape
    for z in range(first, last):
        for y in range(height):
            for x in range(breadth):
                own = squares[z, y, x]
                if own == 0.0:
                    continue
                bucket = int(own / width)
                table = needed[z & odd, y & odd, x & odd]
                covered = False
                for dz in range(-1 if z else 0, 2 if z + 1 < depth else 1):
                    for dy in range(-1 if y else 0, 2 if y + 1 < height else 1):
                        for dx in range(-1 if x else 0, 2 if x + 1 < breadth else 1):
                            kind = 4 * abs(dz) + 2 * abs(dy) + abs(dx)
                            other = squares[z + dz, y + dy, x + dx]
                            if kind and other >= own and other >= table[kind, bucket]:
                                # Of two balls that cover the same the first is kept.
                                before = dz < 0 or (dz == 0 and (dy < 0 or (dy == 0 and dx < 0)))
                                covered = covered or other > own or before
                kept[z, y, x] = not covered


@compiled
def _paint(
    centres: Integers,
    squares: Squares,
    z_steps: Squares,
    y_steps: Squares,
    x_steps: Squares,
    halvings: int,
    first: int,
    waiting: NDArray[np.uint32],
    painted: Squares,
) -> None:
    """Paint some slices, of which ``first`` is the number of the first."""
    depth, height, width = painted.shape
    reach = np.empty((len(z_steps), len(y_steps)), np.int32)
    square = np.float32(-1.0)
    z_reach = y_reach = 0
    for number in range(len(squares)):
        if squares[number] != square:
            square = squares[number]
            z_reach, y_reach = _half_widths(square, z_steps, y_steps, x_steps, reach)
        cz, cy, cx = centres[number]
        # A shift is a division of negative numbers, too, rounded down.
        low = max(((cz - z_reach + halvings) >> halvings) - first, 0)
        high = min(((cz + z_reach) >> halvings) - first, depth - 1)
        near = max((cy - y_reach + halvings) >> halvings, 0)
        far = min((cy + y_reach) >> halvings, height - 1)
        for z in range(low, high + 1):
            row_reach = reach[abs(((z + first) << halvings) - cz)]
            for y in range(near, far + 1):
                x_reach = row_reach[abs((y << halvings) - cy)]
                if x_reach < 0:
                    continue
                begin = max((cx - x_reach + halvings) >> halvings, 0)
                end = min((cx + x_reach) >> halvings, width - 1)
                for word in range(begin >> 5, (end >> 5) + 1):
                    if waiting[z, y, word]:
                        start, stop = max(begin, word << 5), min(end, (word << 5) + 31)
                        _paint_word(waiting[z, y], word, painted[z, y], start, stop, square)


@compiled
def _half_widths(
    square: np.float32,
    z_steps: Squares,
    y_steps: Squares,
    x_steps: Squares,
    reach: NDArray[np.int32],
) -> tuple[int, int]:
    """Steps to the end of a ball by row, -1 outside it, and how many planes and rows it reaches."""
    z_reach = 0
    while z_steps[z_reach + 1] <= square:
        z_reach += 1
    y_reach = 0
    while y_steps[y_reach + 1] <= square:
        y_reach += 1
    for z in range(z_reach + 1):
        steps = len(x_steps) - 1
        for y in range(y_reach + 1):
            while steps >= 0 and (x_steps[steps] + y_steps[y]) + z_steps[z] > square:
                steps -= 1
            reach[z, y] = steps
    return z_reach, y_reach


@compiled
def _paint_word(
    waiting: NDArray[np.uint32],
    word: int,
    painted: Squares,
    start: int,
    stop: int,
    square: np.float32,
) -> None:
    """Paint the voxels ``start`` to ``stop`` of a row that wait in one word of bits."""
    bits = int(waiting[word])
    for x in range(start, stop + 1):
        bit = 1 << (x & 31)
        if bits & bit:
            painted[x] = square
            bits ^= bit
    waiting[word] = bits
