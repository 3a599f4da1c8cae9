"""Single and double labels, and their widths, on sections whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lotus.morphometry.interlabel import (
    Labels,
    covered_surface,
    interlabel_fill,
    paired_labels,
)
from lotus.morphometry.label_lines import label_lines
from lotus.morphometry.lines import contours
from tests.morphometry.sections import band, polar

PIXEL = (1.0, 1.0)


def pairs(bone, *masks, spacing=PIXEL, told_apart=False, **options) -> Labels:
    lines, kinds = [], []
    for number, mask in enumerate(masks):
        found = label_lines(mask, spacing).lines
        lines += found
        kinds += [number if told_apart else 0] * len(found)
    return paired_labels(lines, kinds, contours(bone, spacing), bone, spacing, **options)


def widths(labels: Labels):
    between = labels.perpendiculars()
    return np.linalg.norm(between[:, 1] - between[:, 0], axis=1)


def double_length(labels: Labels) -> float:
    return sum(
        line.shares[double].sum() for line, double in zip(labels.lines, labels.double, strict=True)
    )


def drawn(degrees=0.0):
    """Two labels of 6 px whose middles are 15 px apart, below a straight surface."""
    bone = band(300, degrees, 200, middle=50)
    return bone, *(band(300, degrees, 6, at, half_length=90) for at in (-30.0, -15.0))


@pytest.mark.parametrize("degrees", [0, 17, 60, 90])
def test_drawn_width_by_perpendiculars_and_by_fill(degrees):
    bone, younger, older = drawn(degrees)
    labels = pairs(bone, younger | older)
    assert widths(labels).mean() == pytest.approx(15, rel=0.01)
    assert interlabel_fill(labels, younger | older, PIXEL) == pytest.approx(15, rel=0.015)
    assert double_length(labels) / 2 == pytest.approx(180, rel=0.02)


def test_the_outer_fill_alone_would_read_21():
    bone, younger, older = drawn()
    labels = pairs(bone, younger | older)
    length = double_length(labels) / 2
    half = 0.5 * (np.count_nonzero(younger) + np.count_nonzero(older)) / length
    outer = interlabel_fill(labels, younger | older, PIXEL) + half
    assert outer == pytest.approx(21, rel=0.015)


def test_fill_and_perpendiculars_are_in_micrometres():
    bone, younger, older = drawn()
    labels = pairs(bone, younger | older, spacing=(0.4, 0.4))
    assert widths(labels).mean() == pytest.approx(6, rel=0.01)
    assert interlabel_fill(labels, younger | older, (0.4, 0.4)) == pytest.approx(6, rel=0.015)


def test_rings_about_a_canal():
    radius, _ = polar(300)
    bone = radius > 40
    mask = (np.abs(radius - 60) < 3) | (np.abs(radius - 75) < 2)
    labels = pairs(bone, mask)
    assert len(labels.lines) == 2
    assert widths(labels).mean() == pytest.approx(15, rel=0.01)
    assert interlabel_fill(labels, mask, PIXEL) == pytest.approx(15, rel=0.02)
    assert all(double.all() for double in labels.double)


def test_labels_of_opposite_surfaces_are_single():
    bone = band(300, 30, 40)
    upper, lower = (band(300, 30, 5, at, half_length=90) for at in (-12.0, 12.0))
    labels = pairs(bone, upper | lower)
    assert not np.concatenate(labels.double).any()
    assert math.isnan(interlabel_fill(labels, upper | lower, PIXEL))


def test_marrow_between_labels_keeps_them_apart():
    bone = band(300, 0, 60, -40) | band(300, 0, 60, 40)
    mask = band(300, 0, 5, -20, half_length=90) | band(300, 0, 5, 30, half_length=90)
    assert not np.concatenate(pairs(bone, mask).double).any()


def test_labels_one_after_another_along_a_surface_are_single():
    bone = band(300, 0, 200, middle=50)
    mask = band(300, 0, 5, -30, half_length=90)
    mask[:, 140:160] = False
    labels = pairs(bone, mask)
    assert len(labels.lines) == 2
    assert not np.concatenate(labels.double).any()


def test_a_double_label_may_be_single_for_a_part():
    bone = band(400, 0, 200, middle=50)
    younger, older = band(400, 0, 5, -30, half_length=150), band(400, 0, 5, -15, half_length=150)
    older[:, :200] = False
    labels = pairs(bone, younger | older)
    single = sum(
        line.shares[~double].sum() for line, double in zip(labels.lines, labels.double, strict=True)
    )
    # Up to 10 degrees from a perpendicular, the end of a label still has something opposite.
    assert single == pytest.approx(150 - 15 * math.tan(math.radians(10)), abs=2)
    # There the way to the other label is oblique, and no width.
    assert widths(labels).max() < 15.5


def test_labels_further_apart_than_the_limit_are_single():
    bone, younger, older = drawn()
    assert not np.concatenate(pairs(bone, younger | older, largest_um=14.0).double).any()
    assert np.concatenate(pairs(bone, younger | older, largest_um=16.0).double).all()


def test_of_labels_told_apart_two_of_one_kind_are_no_double_label():
    bone, first, second = drawn()
    third = band(300, 0, 6, 20, half_length=90)
    labels = pairs(bone, first | second, third, told_apart=True)
    # Each of the first kind is double with the third, 35 and 50 px away, not with the other.
    assert sorted(np.round([widths(labels).min(), widths(labels).max()])) == [35, 50]


def test_without_a_surface_the_distance_decides():
    _, younger, older = drawn()
    assert np.concatenate(pairs(np.ones_like(younger), younger | older).double).all()


def test_a_label_covers_more_surface_than_it_is_long_on_a_convex_one():
    radius, angle = polar(400)
    [line] = label_lines((np.abs(radius - 120) < 3) & (np.abs(angle) < 1), PIXEL).lines
    convex, concave = contours(radius < 160, PIXEL), contours(radius > 80, PIXEL)
    assert sum(covered_surface([line], convex)).sum() == pytest.approx(2 * 160, rel=0.02)
    assert sum(covered_surface([line], concave)).sum() == pytest.approx(2 * 80, rel=0.02)
    assert covered_surface([line], [])[0].sum() == pytest.approx(2 * 120, rel=0.02)
