"""Contours: lengths that are known, whatever the direction, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import perimeter_crofton

from lotus.morphometry.lines import Line, contours, kept_parts, resampled, sample, smoothed
from tests.morphometry.sections import polar, turned


def total(mask, spacing=(1.0, 1.0)):
    return sum(line.length for line in contours(mask, spacing))


@pytest.mark.parametrize("degrees", [0, 3, 7, 12, 18.4, 26.6, 33, 41, 45])
def test_a_straight_line_is_as_long_as_it_is(degrees):
    _, across = turned(300, degrees)
    [line] = contours(across < 0, (1.0, 1.0))
    assert line.length == pytest.approx(np.linalg.norm(line.points[-1] - line.points[0]), rel=3e-3)


def test_turning_changes_perimeters_by_less_than_a_percent():
    lengths = []
    for degrees in range(0, 90, 7):
        along, across = turned(300, degrees)
        plate = (np.abs(along) < 110) & (np.abs(across) < 30)
        hole = (along + 40) ** 2 / 900 + across**2 / 200 < 1
        lengths.append(total(plate & ~hole))
    assert max(lengths) / min(lengths) - 1 < 0.01


def test_circle_and_ellipse_against_their_formulas_and_crofton():
    radius, _ = polar(201)
    # The blur of 1 px and the smoothing of 2 px draw a circle in by (1 + 4) / 2r.
    assert total(radius < 60) == pytest.approx(2 * np.pi * (60 - 5 / 120), rel=2e-3)
    along, across = turned(301, 20)
    ellipse = (along / 130) ** 2 + (across / 50) ** 2 < 1
    a, b = 130.0, 50.0
    ramanujan = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    assert total(ellipse) == pytest.approx(ramanujan, rel=3e-3)
    assert total(ellipse) == pytest.approx(perimeter_crofton(ellipse, directions=4), rel=0.03)


def test_the_border_of_the_image_is_no_edge():
    mask = np.zeros((60, 100), bool)
    mask[20:40] = True
    # Two lines from the middle of the first to that of the last pixel.
    assert total(mask) == pytest.approx(2 * 99, rel=1e-3)
    assert contours(np.ones((10, 10), bool), (1.0, 1.0)) == []
    assert contours(np.zeros((10, 10), bool), (1.0, 1.0)) == []


def test_places_are_in_micrometres_from_the_corner_of_the_image():
    mask = np.zeros((60, 100), bool)
    mask[:, :30] = True
    [line] = contours(mask, (2.0, 0.5))
    np.testing.assert_allclose(line.points[:, 1], 15.0, atol=1e-6)
    assert line.points[:, 0].min() == pytest.approx(1.0)
    assert line.points[:, 0].max() == pytest.approx(119.0)


def test_the_mask_lies_where_the_normals_point():
    radius, _ = polar(120)
    ring = (radius < 50) & (radius > 20)
    for line in contours(ring, (1.0, 1.0)):
        assert line.closed
        assert sample(ring, line.points + 3 * line.normals, (1.0, 1.0)).all()
        assert not sample(ring, line.points - 3 * line.normals, (1.0, 1.0)).any()


def test_more_than_two_axes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 4, 5\)"):
        contours(np.zeros((3, 4, 5), bool), (1.0, 1.0))


def test_smoothing_leaves_ends_and_straight_lines_alone():
    straight = np.stack([np.arange(20.0), 2 * np.arange(20.0)], axis=1)
    np.testing.assert_allclose(smoothed(straight, closed=False), straight, atol=1e-9)
    stairs = np.stack([np.arange(30.0), np.arange(30) // 3 * 1.0], axis=1)
    found = smoothed(stairs, closed=False)
    np.testing.assert_allclose(found[[0, -1]], stairs[[0, -1]])
    assert np.abs(np.diff(found[5:-5, 1]) - 1 / 3).max() < 0.1


def test_points_of_a_line_are_evenly_apart():
    corner = np.array([[0.0, 0.0], [0.0, 7.0], [3.0, 7.0]])
    found = resampled(corner, closed=False, step=1.0)
    assert len(found) == 11
    np.testing.assert_allclose(found[7], [0, 7])
    closed = resampled(np.array([[0.0, 0], [0, 4], [4, 4], [4, 0]]), closed=True, step=1.0)
    assert len(closed) == 16
    assert Line(closed, closed=True).length == pytest.approx(16)


def test_shares_add_up_to_the_length():
    points = np.cumsum(np.random.default_rng(0).normal(size=(50, 2)), axis=0)
    for closed in (False, True):
        line = Line(points, closed)
        assert len(line.shares) == 50
        assert line.shares.sum() == pytest.approx(line.length)


def test_parts_of_a_closed_line_are_not_cut_where_it_begins():
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    line = Line(np.stack([np.sin(angle), np.cos(angle)], axis=1), closed=True)
    kept = np.ones(40, bool)
    kept[10:20] = False
    [part] = kept_parts(line, kept)
    assert len(part.points) == 30
    assert not part.closed
    assert kept_parts(line, np.ones(40, bool)) == [line]
    assert kept_parts(line, np.zeros(40, bool)) == []
