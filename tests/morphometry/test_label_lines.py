"""Label lines: as long as the label, and in its middle."""

from __future__ import annotations

import numpy as np
import pytest

from lotus.morphometry.label_lines import label_lines
from tests.morphometry.sections import band, polar, turned

PIXEL = (1.0, 1.0)


@pytest.mark.parametrize("width", [3, 5, 6, 9])
@pytest.mark.parametrize("degrees", [0, 11, 30, 45, 71])
def test_a_straight_label_at_any_angle(width, degrees):
    mask = band(200, degrees, width, middle=7.3, half_length=70)
    [line] = label_lines(mask, PIXEL).lines
    assert line.length == pytest.approx(140, rel=0.02)
    angle = np.radians(degrees)
    y, x = (line.points - 100).T
    across = y * np.cos(angle) - x * np.sin(angle) + 0.017
    # The middle of the mask's pixels, which its whole rows may put half a pixel beside 7.3.
    middle = turned(200, degrees)[1][mask].mean()
    assert across.mean() == pytest.approx(middle, abs=0.15)
    assert across.std() < 0.3


def test_the_middle_is_that_of_the_mask_below_a_pixel():
    mask = np.zeros((30, 100), bool)
    mask[10:16, 10:90] = True
    [line] = label_lines(mask, (0.5, 0.5)).lines
    np.testing.assert_allclose(line.points[5:-5, 0], 13 * 0.5, atol=0.06)
    assert line.points[:, 1].min() == pytest.approx(5.0, abs=0.1)
    assert line.points[:, 1].max() == pytest.approx(45.0, abs=0.1)


def test_a_label_that_changes_its_width_on_one_side_moves_its_middle():
    mask = np.zeros((40, 200), bool)
    mask[10:14, 10:190] = True
    mask[14:18, 100:190] = True
    [line] = label_lines(mask, PIXEL).lines
    left, right = (line.points[:, 1] < 80), (line.points[:, 1] > 120)
    assert line.points[left, 0].mean() == pytest.approx(12, abs=0.1)
    assert line.points[right, 0].mean() == pytest.approx(14, abs=0.1)


def test_a_ring_is_a_closed_line():
    radius, _ = polar(200)
    [line] = label_lines(np.abs(radius - 60) < 2.5, PIXEL).lines
    assert line.closed
    assert line.length == pytest.approx(2 * np.pi * 60, rel=5e-3)


def test_teeth_of_a_ragged_label_are_no_branches():
    mask = np.zeros((40, 200), bool)
    mask[15:22, 10:190] = True
    mask[12:15, 20:180:17] = True
    found = label_lines(mask, PIXEL)
    assert len(found.lines) == 1
    assert len(found.junctions) == 0
    assert found.lines[0].length == pytest.approx(180, rel=0.03)


def test_labels_that_cross_are_taken_apart_and_the_place_is_told():
    mask = band(300, 20, 5, half_length=120) | band(300, -20, 5, half_length=120)
    found = label_lines(mask, PIXEL)
    assert sum(line.length for line in found.lines) == pytest.approx(480, rel=0.06)
    assert len(found.junctions) >= 1
    assert np.linalg.norm(found.junctions - 150, axis=1).max() < 20


def test_labels_that_meet_at_their_ends_are_two():
    along, across = turned(300, 0)
    edge = 40 * (1 - (along / 120) ** 2)
    lens = (np.abs(np.abs(across) - edge) < 3) & (np.abs(along) < 122)
    lines = label_lines(lens, PIXEL).lines
    assert len(lines) == 2
    middles = sorted(line.points[:, 0].mean() for line in lines)
    assert middles[0] < 140 < 160 < middles[1]
    assert all(not line.closed for line in lines)


def test_specks_are_no_labels_and_nothing_has_no_lines():
    mask = np.zeros((60, 60), bool)
    assert label_lines(mask, PIXEL).lines == []
    mask[20:24, 20:24] = mask[40, 40] = True
    assert label_lines(mask, PIXEL).lines == []
