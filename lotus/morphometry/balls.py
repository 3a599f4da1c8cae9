"""Balls around points of a grid, and what they cover.

A ball holds the points no farther than its radius. The fine grid of
:func:`~lotus.morphometry.distance.squared_distances` has centres in between voxels; a ball then
covers voxels, which are its even points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lotus.morphometry.compiled import compiled
from lotus.morphometry.distance import Squares, in_parts, squared_steps

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Balls:
    """Balls, of which a larger neighbour covers a part.

    The ball around a neighbour at o holds the point at p of a ball, both from its centre, unless
    p·o is at most (r² + o² - s²) / 2, where s is the neighbour's radius.

    Attributes:
        centres: (N, 3) places on the grid, Z, Y, X.
        squares: (N,) squared radii.
        neighbours: (N, 3) steps to a neighbour whose ball is among the balls or covered by them; 0
            for none.
        bounds: (N,) what p·o is at most where that ball does not cover a point; infinite for none.
    """

    centres: Integers
    squares: Squares
    neighbours: Integers
    bounds: Floats

    @classmethod
    def alone(cls, centres: Integers, squares: Squares) -> Balls:
        """Balls that nothing is known of but their size.

        Args:
            centres: (N, 3) on the grid.
            squares: (N,) squared radii.
        """
        return cls(centres, squares, np.zeros_like(centres), np.full(len(centres), np.inf))


def paint_balls(
    balls: Balls,
    spacing: tuple[float, float, float],
    refinement: int,
    mask: NDArray[np.bool_],
    first: int = 0,
) -> Squares:
    """The largest squared radius among the balls that hold a voxel of a mask.

    The largest balls come first, so each voxel is painted once. Those that wait are kept as bits,
    so a row of a ball is compared with 32 of them at a time.

    Args:
        balls: On the grid.
        spacing: Length of a step of the grid along each axis.
        refinement: 2 if voxels are the grid's even points, else 1.
        mask: Bool (Z, Y, X) of the slices of voxels to paint.
        first: Number of the first of them.

    Returns:
        float32 of the mask's shape; 0 where there is no ball, and outside the mask.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.balls import Balls, paint_balls
        >>> centres, squares = np.array([[0, 0, 2], [0, 0, 4]]), np.array([1, 4], np.float32)
        >>> balls = Balls.alone(centres, squares)
        >>> paint_balls(balls, (1, 1, 1), 1, np.ones((1, 1, 8), bool)).ravel().tolist()
        [0.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0, 0.0]
    """
    order = np.argsort(-balls.squares, kind="stable")
    centres, squares = balls.centres[order], balls.squares[order]
    weights = balls.neighbours[order] * np.array(spacing) ** 2
    # What rounding leaves open is painted.
    bounds = balls.bounds[order] + _ROUNDING * squares
    z_steps, y_steps, x_steps = steps_within(float(squares.max(initial=0.0)), spacing)
    painted = np.zeros(mask.shape, np.float32)
    waiting = _packed(mask)

    def paint(start: int, stop: int) -> None:
        part = (waiting[start:stop], painted[start:stop])
        fixed = (z_steps, y_steps, x_steps, refinement - 1)
        _paint(centres, squares, weights, bounds, *fixed, first + start, *part)

    in_parts(len(mask), paint)
    return painted


def steps_within(
    square: float, spacing: tuple[float, float, float]
) -> tuple[Squares, Squares, Squares]:
    """Squared steps along each axis up to a squared radius and a little beyond.

    Args:
        square: The squared radius.
        spacing: Length of a step along each axis.

    Example:
        >>> from lotus.morphometry.balls import steps_within
        >>> [steps.tolist() for steps in steps_within(1.0, (1.0, 1.0, 2.0))][2]
        [0.0, 4.0, 16.0]
    """
    depth, height, width = (int(math.sqrt(square) / step) + 3 for step in spacing)
    return squared_steps((depth, height, width), spacing)


def _packed(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Rows as words of 32 bits, the first voxel lowest."""
    padded = np.pad(mask, ((0, 0), (0, 0), (0, -mask.shape[2] % 32)))
    return np.packbits(padded, axis=2, bitorder="little").view("<u4").astype(np.uint32)


@compiled
def _paint(
    centres: Integers,
    squares: Squares,
    weights: Floats,
    bounds: Floats,
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
        wz, wy, wx = weights[number]
        # A shift is a division of negative numbers, too, rounded down.
        low = max(((cz - z_reach + halvings) >> halvings) - first, 0)
        high = min(((cz + z_reach) >> halvings) - first, depth - 1)
        near = max((cy - y_reach + halvings) >> halvings, 0)
        far = min((cy + y_reach) >> halvings, height - 1)
        for z in range(low, high + 1):
            z_step = ((z + first) << halvings) - cz
            row_reach = reach[abs(z_step)]
            z_rest = bounds[number] - wz * z_step
            if z_rest < -abs(wy) * y_reach - abs(wx) * row_reach[0]:
                continue
            for y in range(near, far + 1):
                y_step = (y << halvings) - cy
                x_reach = row_reach[abs(y_step)]
                rest = z_rest - wy * y_step
                if x_reach < 0 or rest < -abs(wx) * x_reach:
                    continue
                begin = cx - x_reach if wx >= 0.0 else cx - _steps_to(rest / -wx, x_reach)
                end = cx + x_reach if wx <= 0.0 else cx + _steps_to(rest / wx, x_reach)
                begin = max((begin + halvings) >> halvings, 0)
                end = min(end >> halvings, width - 1)
                for word in range(begin >> 5, (end >> 5) + 1):
                    if waiting[z, y, word]:
                        start, stop = max(begin, word << 5), min(end, (word << 5) + 31)
                        _paint_word(waiting[z, y], word, painted[z, y], start, stop, square)


@compiled
def _steps_to(place: float, reach: int) -> int:
    """Whole steps to a place, no further than the end of a ball."""
    return reach if place >= reach else int(np.floor(place))


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
