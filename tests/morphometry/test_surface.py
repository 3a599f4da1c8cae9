import math

import numpy as np
import pytest

from lotus.morphometry import surface
from lotus.morphometry.surface import surface_area
from tests.morphometry.bodies import ball, blobs, plate

CUBES = (1.0, 1.0, 1.0)


def test_a_voxel_is_an_octahedron():
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    # Corners half a voxel from the centre: eight triangles with sides of sqrt(1/2).
    assert surface_area(mask, CUBES) == pytest.approx(8 * math.sqrt(3) / 4 / 2)


@pytest.mark.parametrize(("axis", "faces"), [(0, 3 * 4), (1, 2 * 4), (2, 2 * 3)])
def test_faces_along_the_axes_are_exact(axis, faces):
    mask = np.moveaxis(plate(2, size=9), 0, axis)
    # Between the centres of the 9 voxels across lie 8 intervals; a plate has two faces.
    spacing = (2.0, 3.0, 4.0)
    assert surface_area(mask, spacing) == pytest.approx(2 * 8 * 8 * faces)


def test_a_ball_is_as_much_too_large_as_is_said():
    area = surface_area(ball(40), CUBES)
    assert area / (math.pi * 40**2) == pytest.approx(1.08, abs=0.015)


def test_slices_are_taken_in_parts(monkeypatch):
    mask = blobs(0, shape=(11, 8, 9), share=0.5)
    whole = surface_area(mask, CUBES)
    monkeypatch.setattr(surface, "_SLICES_AT_ONCE", 3)
    assert surface_area(iter(mask), CUBES) == pytest.approx(whole)


@pytest.mark.parametrize(
    "mask", [np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), bool), np.eye(4, dtype=bool)[None]]
)
def test_no_surface(mask):
    assert surface_area(mask, CUBES) == 0.0
