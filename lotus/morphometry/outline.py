"""Area and perimeter of drawn outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.measure import points_in_poly

Ring = NDArray[np.float64]
"""(N, 2) places (y, x); the first one is not repeated at the end."""

_CUT = 2.0 - np.sqrt(2.0)


def polygon_area(rings: Sequence[Ring]) -> float:
    """Area within an odd number of rings, by the shoelace formula.

    Args:
        rings: In any order and direction, which do not cross.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.outline import polygon_area
        >>> square = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0]])
        >>> polygon_area([square / 2 + 1, square])
        12.0
    """
    area = 0.0
    for ring in rings:
        around = sum(_is_within(ring, other) for other in rings if other is not ring)
        area += _ring_area(ring) * (-1 if around % 2 else 1)
    return area


def line_length(places: Ring) -> float:
    """Length of an open line.

    Args:
        places: (N, 2).

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.outline import line_length
        >>> line_length(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]))
        6.0
    """
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())


def ring_perimeter(ring: Ring) -> float:
    """Perimeter in pixels: the sum of the sides; of an outline along pixel edges, less its corners.

    Edges of pixels are longer than what they stand for by 4/π on the mean. Of such an outline (all
    sides along an axis and whole, and more than a rectangle) each corner is cut, as ImageJ does
    with a traced selection: 2 pixels become the square root of 2. A side of one pixel is cut once,
    so of a stair of such sides every second corner.

    Args:
        ring: In pixels.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.outline import ring_perimeter
        >>> ring_perimeter(np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 0.0]]))
        12.0
    """
    if not _is_traced(ring):
        return float(_sides(ring).sum())
    sides = _sides(ring[_turns(ring)])
    return float(sides.sum() - _cut_corners(sides) * _CUT)


def _is_traced(ring: Ring) -> bool:
    """Whether an outline runs along the edges of pixels and is no rectangle."""
    steps = ring - np.roll(ring, 1, axis=0)
    along_axis = (steps == 0).any(axis=1).all()
    return bool(along_axis and (ring == np.round(ring)).all() and _turns(ring).sum() > 4)


def _sides(ring: Ring) -> NDArray[np.float64]:
    """Length of the side that ends in each place."""
    return np.asarray(np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1))


def _turns(ring: Ring) -> NDArray[np.bool_]:
    """Whether the outline changes its direction at each place."""
    (y, x), (next_y, next_x) = (
        (ring - np.roll(ring, 1, axis=0)).T,
        (np.roll(ring, -1, axis=0) - ring).T,
    )
    return np.asarray(y * next_x != x * next_y)


def _cut_corners(sides: NDArray[np.float64]) -> int:
    """How many corners are cut; side k ends in corner k."""
    number = np.arange(len(sides))
    long = np.flatnonzero(sides > 1.0)
    if not len(long):
        return (len(sides) + 1) // 2
    # The last long side before each corner, around the ring.
    before = np.searchsorted(long, number, side="right") - 1
    return int(np.count_nonzero((number - long[before]) % len(sides) % 2 == 0))


def _ring_area(ring: Ring) -> float:
    y, x = (ring - ring[0]).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0)


def _is_within(ring: Ring, other: Ring) -> bool:
    """Whether most sides of a ring have their middle within another, which it may touch."""
    middles = (ring + np.roll(ring, 1, axis=0)) / 2.0
    return bool(np.mean(points_in_poly(middles, other)) > 0.5)
