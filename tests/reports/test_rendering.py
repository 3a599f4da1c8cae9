"""Projections of bodies whose outlines are known, and the pictures drawn of them."""

import math

import matplotlib
import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from lotus.reports.projection import project
from lotus.reports.rendering import render

UNIT = (1.0, 1.0, 1.0)


def ball(side, radius, value):
    places = np.stack(np.meshgrid(*[np.arange(side) - (side - 1) / 2] * 3, indexing="ij"))
    return np.where((places**2).sum(axis=0) <= radius**2, value, 0).astype(np.float32)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "axis"), [(0, 0, 1), (90, 0, 2), (0, 90, 0), (37, 90, 0)]
)
def test_the_viewer_sees_what_is_nearest(azimuth, elevation, axis):
    values = np.zeros((9, 9, 9), np.float32)
    middle = [4, 4, 4]
    for place, value in ((1, 1.0), (7, 2.0)):
        middle[axis] = place
        values[tuple(middle)] = value
    seen = project(values, UNIT, azimuth=math.radians(azimuth), elevation=math.radians(elevation))
    assert np.nanmin(seen.values) == 2
    assert np.nanmax(seen.depth) == pytest.approx(3)


def test_x_points_right_and_z_up_from_the_front():
    values = np.zeros((9, 9, 9), np.float32)
    values[7, 4, 1] = 1
    row, column = np.argwhere(
        ~np.isnan(project(values, UNIT, azimuth=0, elevation=0, longest_edge=90).values)
    ).mean(axis=0)
    assert (row, column) == (pytest.approx(15, abs=2), pytest.approx(15, abs=2))


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.5, 0.25)])
@pytest.mark.parametrize("angles", [(0, 0), (0.5, 0.4)])
def test_a_body_is_seen_without_gaps_and_in_its_size(spacing, angles):
    places = np.stack(np.meshgrid(*[np.arange(n) for n in (40, 80, 160)], indexing="ij"), -1)
    inside = (((places - (19.5, 39.5, 79.5)) * spacing) ** 2).sum(axis=-1) <= 8.0**2
    seen = project(
        inside.astype(np.float32), spacing, azimuth=angles[0], elevation=angles[1], longest_edge=500
    )
    pixels = ~np.isnan(seen.values)
    assert pixels.sum() * seen.pixel**2 == pytest.approx(math.pi * 8**2, rel=0.2)
    assert np.nanmax(seen.depth) == pytest.approx(8, abs=max(spacing))
    np.testing.assert_array_equal(binary_fill_holes(pixels), pixels)


def test_the_box_encloses_the_volume():
    seen = project(np.ones((10, 20, 40), np.float32), UNIT, azimuth=0, elevation=0, longest_edge=80)
    lengths = np.linalg.norm(np.diff(seen.box, axis=1), axis=-1).ravel()
    assert sorted(lengths.round(6)) == [0] * 4 + [20] * 4 + [80] * 4
    assert seen.values.shape == (21, 81)
    assert seen.pixel == 0.5


def colour_at_the_middle(value, highest):
    seen = project(ball(31, 12, value), UNIT, longest_edge=200)
    height, width = seen.values.shape
    picture = render(seen, measure="thickness", unit="µm", highest=highest)
    assert picture.dtype == np.uint8
    assert picture.shape[:2] == pytest.approx((height, width + 120), abs=1)
    colour = picture[height // 2, width // 2].astype(float)
    return colour / np.linalg.norm(colour)


def test_colours_say_the_value_whatever_the_light():
    table = matplotlib.colormaps["viridis"]
    for value, highest in ((1.0, 4.0), (3.0, 4.0), (2.0, None)):
        expected = np.array(table(1.0 if highest is None else value / highest)[:3])
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(colour_at_the_middle(value, highest), expected, atol=0.03)


def test_an_empty_volume_is_an_empty_box():
    seen = project(np.zeros((5, 5, 5), np.float32), UNIT, longest_edge=100)
    assert np.isnan(seen.values).all()
    picture = render(seen, measure="thickness", unit="µm")
    assert (picture[50, 40] == 255).all()
