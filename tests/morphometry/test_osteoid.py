"""Osteoid seams: the surface that they cover and how wide they are."""

from __future__ import annotations

import numpy as np
import pytest

from lotus.morphometry.lines import contours
from lotus.morphometry.osteoid import osteoid_seams
from tests.morphometry.sections import polar, turned

PIXEL = (1.0, 1.0)


def seams(bone, osteoid, spacing=PIXEL):
    surface, interface = contours(bone, spacing), contours(bone & ~osteoid, spacing)
    found = osteoid_seams(surface, interface, osteoid, spacing)
    covered = sum(
        line.shares[seam].sum() for line, seam in zip(surface, found.covered, strict=True)
    )
    return found, covered


@pytest.mark.parametrize("degrees", [0, 13, 45, 80])
@pytest.mark.parametrize("width", [3.0, 10.0])
def test_a_straight_seam_at_any_angle(degrees, width):
    along, across = turned(240, degrees)
    bone = (across > 0) & (np.abs(along) < 100) & (across < 90)
    osteoid = bone & (across < width) & (np.abs(along) < 60)
    found, covered = seams(bone, osteoid)
    # Whole rows of pixels may make the seam itself half a pixel wider or thinner.
    drawn = osteoid.sum() / 120
    assert np.median(found.widths) == pytest.approx(drawn, abs=0.12)
    assert covered == pytest.approx(120, abs=3)


def test_a_seam_around_a_disc_has_the_difference_of_the_radii():
    radius, _ = polar(260)
    found, covered = seams(radius < 110, (radius < 110) & (radius > 98), (0.5, 0.5))
    assert found.widths.mean() == pytest.approx(6.0, rel=0.01)
    assert covered == pytest.approx(2 * np.pi * 55, rel=0.01)


def test_widths_against_every_pixel_of_the_surface():
    """A wavy interface, beside the slow way: from each pixel of one edge to all of the other."""
    y, x = np.mgrid[:160, :300]
    top, bottom = 40 + 6 * np.sin(x / 40), 52 + 3 * np.sin(x / 23)
    bone, osteoid = y > top, (y > top) & (y < bottom)
    found, _ = seams(bone, osteoid)
    place = np.arange(300.0)
    outer = np.stack([40 + 6 * np.sin(place / 40), place], axis=1)
    inner = np.stack([52 + 3 * np.sin(place / 23), place], axis=1)
    distance = np.linalg.norm(outer[:, None] - inner[None], axis=2)
    expected = (distance.min(axis=0).mean() + distance.min(axis=1).mean()) / 2
    assert found.widths.mean() == pytest.approx(expected, rel=0.015)


def test_osteoid_within_bone_is_no_seam():
    radius, _ = polar(200)
    found, covered = seams(radius < 90, np.abs(radius - 45) < 8)
    assert covered == 0
    assert len(found.widths) == 0


def test_a_speck_beneath_the_seam_does_not_widen_it():
    y, x = np.mgrid[:160, :300]
    bone, seam = y > 40, (y > 40) & (y < 50)
    alone, _ = seams(bone, seam)
    with_speck, _ = seams(bone, seam | ((y - 120) ** 2 + (x - 150) ** 2 < 64))
    assert with_speck.widths.max() < alone.widths.max() + 1


def test_bone_that_is_osteoid_alone_has_no_width():
    radius, _ = polar(120)
    found, covered = seams(radius < 40, radius < 40)
    assert covered == pytest.approx(2 * np.pi * 40, rel=0.01)
    assert len(found.widths) == 0
