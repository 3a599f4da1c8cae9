"""Area and perimeter of drawn outlines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lotus.imaging.outlines import outline_objects
from lotus.morphometry.outline import line_length, polygon_area, ring_perimeter


def _square(low: float, high: float) -> np.ndarray:
    return np.array([[low, low], [low, high], [high, high], [high, low]])


def _disc(radius: float, size: int) -> list[np.ndarray]:
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    polygons = outline_objects((y**2 + x**2 < radius**2).astype(np.uint8))[1]
    return [np.array(ring[:-1], np.float64)[:, ::-1] for ring in polygons[0]]


def test_holes_islands_and_parts_whatever_their_order_and_direction() -> None:
    rings = [_square(4, 6), _square(0, 10)[::-1], _square(2, 8), _square(20, 21)]
    assert polygon_area(rings) == 100 - 36 + 4 + 1
    # A hole that touches the outline.
    assert polygon_area([_square(0, 10), _square(0, 5)]) == 75


def test_lengths() -> None:
    assert line_length(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])) == 6.0
    assert ring_perimeter(_square(0.25, 2.5)) == 9.0
    # A drawn rectangle is what it is.
    assert ring_perimeter(_square(0, 4)) == 16.0
    assert ring_perimeter(np.insert(_square(0, 4), 1, [0, 2], axis=0)) == 16.0


def test_corners_of_traced_outlines_are_cut() -> None:
    cut = 2 - math.sqrt(2)
    # An L of sides 4, 2, 2, 2, 2, 4: all six corners.
    corner = np.array([[0, 0], [0, 4], [2, 4], [2, 2], [4, 2], [4, 0]], np.float64)
    assert ring_perimeter(corner) == pytest.approx(16 - 6 * cut)
    assert ring_perimeter(corner[::-1]) == pytest.approx(16 - 6 * cut)
    # Places between the corners change nothing.
    assert ring_perimeter(np.insert(corner, 1, [0, 1], axis=0)) == pytest.approx(16 - 6 * cut)
    # A plus of 5 pixels: 12 sides of one pixel, every second corner.
    y = [0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1]
    plus = np.stack([y, np.roll(y, 3)], axis=1).astype(np.float64)
    assert polygon_area([plus]) == 5
    assert ring_perimeter(plus) == pytest.approx(12 - 6 * cut)
    # Wherever it begins.
    for shift in range(6):
        assert ring_perimeter(np.roll(corner, shift, axis=0)) == pytest.approx(16 - 6 * cut)


def test_a_traced_disc_is_nearer_to_a_circle_than_its_edges() -> None:
    radius = 40.0
    [ring] = _disc(radius, 100)
    edges = float(np.abs(ring - np.roll(ring, 1, axis=0)).sum())
    true = 2 * math.pi * radius
    assert edges / true == pytest.approx(4 / math.pi, abs=0.01)
    # An octagon's measure of a circle is too long by up to 8 (sqrt(2) - 1) / pi.
    assert ring_perimeter(ring) / true == pytest.approx(1.054, abs=0.01)
    assert polygon_area([ring]) == pytest.approx(math.pi * radius**2, rel=0.005)
