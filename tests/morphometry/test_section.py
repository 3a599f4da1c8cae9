"""Class maps whose measures are known from how they were drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lotus.morphometry.section import measure_section
from tests.morphometry.sections import band, polar

CLASSES = {"mineralised": 1, "osteoid": 2, "label1": 3, "label2": 4}
HALF_UM = (0.5, 0.5)


def trabecula() -> np.ndarray:
    """A disc with a radius of 100 µm: a seam and labels over given angles, at known depths."""
    radius, angle = polar(500)
    section = np.zeros(radius.shape, np.uint8)
    section[radius < 200] = 1
    section[(radius < 200) & (radius > 184) & (np.abs(angle) < 1.2)] = 2
    section[(np.abs(radius - 140) < 3) & (np.abs(angle) < 0.8)] = 3
    section[(np.abs(radius - 168) < 3) & (np.abs(angle) < 1.1)] = 4
    return section


def test_areas_perimeters_and_widths_of_a_trabecula():
    found = measure_section(trabecula(), CLASSES, HALF_UM)
    primary = found.primary
    assert primary.tissue_area == 250 * 250
    assert primary.bone_area == pytest.approx(math.pi * 100**2, rel=2e-3)
    assert primary.osteoid_area == pytest.approx(1.2 * (100**2 - 92**2), rel=0.01)
    assert primary.mineralised_area == pytest.approx(primary.bone_area - primary.osteoid_area)
    assert primary.bone_perimeter == pytest.approx(2 * math.pi * 100, rel=3e-3)
    assert primary.osteoid_perimeter == pytest.approx(2.4 * 100, rel=0.01)
    assert primary.osteoid_width.mean == pytest.approx(8, rel=0.02)
    assert primary.interlabel_width.mean == pytest.approx(14, rel=0.01)
    assert found.fill_width == pytest.approx(14, rel=0.03)
    # Both labels as the surface above them, 1.6 and 2.2 rad of it; at the two ends of the shorter
    # one a way of up to 10 degrees counts as across.
    beyond = 14 * math.tan(math.radians(10)) / 84
    assert primary.double_label_perimeter == pytest.approx((1.6 + beyond) * 100, rel=0.02)
    assert primary.single_label_perimeter == pytest.approx((0.6 - 2 * beyond) * 100, abs=4)
    covered = 2 * primary.double_label_perimeter + primary.single_label_perimeter
    assert covered == pytest.approx((1.6 + 2.2) * 100, rel=0.02)
    assert found.doubts == []


def test_one_class_for_both_labels_gives_the_same():
    section = trabecula()
    apart = measure_section(section, CLASSES, HALF_UM).primary
    section[section == 4] = 3
    classes = {"mineralised": 1, "osteoid": 2, "label": 3}
    together = measure_section(section, classes, HALF_UM).primary
    assert together.double_label_perimeter == pytest.approx(apart.double_label_perimeter)
    assert together.single_label_perimeter == pytest.approx(apart.single_label_perimeter)
    assert together.interlabel_width.mean == pytest.approx(apart.interlabel_width.mean)


def test_turning_by_a_quarter_changes_nothing():
    section = trabecula()
    straight, turned = (
        measure_section(each, CLASSES, HALF_UM).primary
        for each in (section, np.ascontiguousarray(np.rot90(section)))
    )
    assert turned.bone_area == straight.bone_area
    for name in ("bone_perimeter", "osteoid_perimeter", "double_label_perimeter"):
        assert getattr(turned, name) == pytest.approx(getattr(straight, name), rel=0.01)
    assert turned.interlabel_width.mean == pytest.approx(straight.interlabel_width.mean, rel=5e-3)


def test_what_no_class_stands_for_was_not_measured():
    primary = measure_section(np.ones((50, 50), int), {"mineralised": 1}, HALF_UM).primary
    for name in ("osteoid_area", "mineralised_area", "osteoid_perimeter", "single_label_perimeter"):
        assert math.isnan(getattr(primary, name))
    assert primary.bone_area == 25 * 25
    assert primary.bone_perimeter == 0


def test_labels_that_were_looked_for_and_not_found_are_zero():
    section = np.zeros((60, 60), np.uint8)
    section[20:] = 1
    primary = measure_section(section, CLASSES, HALF_UM).primary
    assert primary.single_label_perimeter == primary.double_label_perimeter == 0
    assert primary.osteoid_perimeter == primary.osteoid_area == 0
    assert math.isnan(primary.interlabel_width.mean)


def test_no_bone_is_told():
    found = measure_section(np.zeros((40, 40), np.uint8), CLASSES, HALF_UM)
    assert found.doubts == ["no bone"]
    assert found.primary.bone_area == found.primary.bone_perimeter == 0


def test_lacunae_are_filled_and_debris_is_left_out_up_to_a_size():
    section = np.zeros((200, 200), np.uint8)
    section[60:] = 1
    section[100:110, 50:60] = 0  # 100 µm²
    section[20:28, 100:110] = 1  # 80 µm²
    whole = measure_section(section, {"mineralised": 1}, (1.0, 1.0)).primary
    assert whole.bone_area == 140 * 200
    assert whole.bone_perimeter == pytest.approx(199, rel=1e-3)
    as_drawn = measure_section(
        section, {"mineralised": 1}, (1.0, 1.0), smallest_hole_um2=50
    ).primary
    # Closing cracks takes the corners of the hole, too.
    assert as_drawn.bone_area == pytest.approx(140 * 200 - 100 + 80, abs=15)
    assert as_drawn.bone_perimeter > 199 + 25 + 25


def test_cracks_are_closed_up_to_a_width_and_are_mineralised():
    section = np.zeros((200, 200), np.uint8)
    section[60:] = 1
    section[60:160, 100:103] = 0
    section[60:70, :100] = 2
    section[70:72, :100] = 0  # a slit beneath the osteoid
    classes = {"mineralised": 1, "osteoid": 2}
    closed = measure_section(section, classes, (1.0, 1.0)).primary
    assert closed.bone_area == pytest.approx(140 * 200, abs=10)
    assert closed.bone_perimeter == pytest.approx(199, abs=2)
    assert closed.mineralised_area == pytest.approx(140 * 200 - 10 * 100, abs=10)
    assert closed.osteoid_width.mean == pytest.approx(10, rel=0.01)
    open_ = measure_section(section, classes, (1.0, 1.0), widest_crack_um=0).primary
    assert open_.bone_perimeter > 199 + 2 * 90


def test_a_hole_that_the_border_cuts_stays():
    section = np.ones((100, 100), np.uint8)
    section[0:8, 40:60] = 0
    found = measure_section(section, {"mineralised": 1}, (1.0, 1.0)).primary
    assert found.bone_area == pytest.approx(100 * 100 - 160, abs=10)


@pytest.mark.parametrize(
    ("transition", "mineralised", "osteoid", "width"),
    [("mineralised", 130, 10, 10), ("osteoid", 120, 20, 20), ("own", 120, 10, 10)],
)
def test_the_transition_zone_counts_as_it_is_said(transition, mineralised, osteoid, width):
    section = np.zeros((160, 100), np.uint8)
    section[20:30], section[30:40], section[40:] = 2, 3, 1
    classes = {"mineralised": 1, "osteoid": 2, "transition": 3}
    primary = measure_section(section, classes, (1.0, 1.0), transition=transition).primary
    assert primary.bone_area == 140 * 100
    assert primary.mineralised_area == mineralised * 100
    assert primary.osteoid_area == osteoid * 100
    assert primary.osteoid_width.mean == pytest.approx(width, rel=1e-3)


def test_outside_is_no_tissue_and_its_edge_no_surface():
    section = np.zeros((120, 120), np.uint8)
    section[40:] = 1
    section[:, 80:] = 9
    primary = measure_section(section, {"mineralised": 1, "outside": 9}, (1.0, 1.0)).primary
    assert primary.tissue_area == 120 * 80
    assert primary.bone_area == 80 * 80
    assert primary.bone_perimeter == pytest.approx(80, abs=4)


def test_labels_that_cross_are_told_with_the_place():
    section = np.ones((300, 300), np.uint8)
    section[:30] = 0
    section[band(300, 20, 5, half_length=100) | band(300, -20, 5, half_length=100)] = 3
    found = measure_section(section, {"mineralised": 1, "label": 3}, (1.0, 1.0))
    [doubt] = found.doubts
    assert "touches or crosses itself" in doubt


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"mineralised": 1}, "holds the value 2"),
        ({"mineralised": 1, "osteiod": 2}, "osteiod is no class; known are mineralised, osteoid"),
        ({"mineralised": 1, "osteoid": 1}, "a value of its own"),
        ({"mineralised": 0, "osteoid": 2}, "other than 0"),
    ],
)
def test_values_and_names_without_meaning_are_refused(classes, message):
    section = np.array([[0, 1], [2, 2]], np.uint8)
    with pytest.raises(ValueError, match=message):
        measure_section(section, classes, HALF_UM)


def test_a_volume_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        measure_section(np.zeros((2, 3, 4), int), CLASSES, HALF_UM)
