"""Drawings as pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roifile import ROI_TYPE, ImagejRoi

from lotus.imaging.drawings import Drawing, read_drawings
from lotus.imaging.geojson import write_geojson
from lotus.imaging.rasterise import rasterise, rasterise_classes


def _polygon(*rings: list[tuple[float, float]], name: str = "area") -> Drawing:
    return Drawing(name, "polygon", tuple(np.array(ring, np.float64) for ring in rings))


def _by_middles(drawing: Drawing, shape: tuple[int, int]) -> np.ndarray:
    """Each middle by itself: how many sides cross the row to its left."""
    mask = np.zeros(shape, np.bool_)
    for i, j in np.ndindex(shape):
        y, x, crossed = i + 0.5, j + 0.5, 0
        for ring in drawing.rings:
            for (y0, x0), (y1, x1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                if (y0 <= y) != (y1 <= y):
                    crossed += x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x
        mask[i, j] = crossed % 2
    return mask


places = st.tuples(st.integers(-8, 28), st.integers(-8, 28))
rings = st.lists(st.lists(places, min_size=3, max_size=7), min_size=1, max_size=3)


@settings(deadline=None, max_examples=60)
@given(rings)
def test_pixels_are_those_whose_middles_are_within(found: list[list[tuple[int, int]]]) -> None:
    # A speck at the corner keeps the drawing from being refused as outside.
    halves = [[(y / 2, x / 2) for y, x in ring] for ring in found]
    drawing = _polygon(*halves, [(0, 0), (0, 0.25), (0.25, 0)])
    np.testing.assert_array_equal(rasterise(drawing, (9, 11)), _by_middles(drawing, (9, 11)))


def test_a_square_of_imagej_is_its_pixels(tmp_path: Path) -> None:
    roi = ImagejRoi.frompoints(np.array([[3, 1], [6, 1], [6, 5], [3, 5]]), name="square")
    roi.roitype = ROI_TYPE.POLYGON
    (tmp_path / "square.roi").write_bytes(roi.tobytes())
    expected = np.zeros((8, 8), np.bool_)
    expected[1:5, 3:6] = True
    [square] = read_drawings(tmp_path / "square.roi")
    np.testing.assert_array_equal(rasterise(square, (8, 8)), expected)


def test_areas_that_share_a_side_share_no_pixel_and_leave_none_out() -> None:
    # The side runs through the middles of pixels, from corner to corner.
    upper = _polygon([(0, 0), (8, 8), (0, 8)])
    lower = _polygon([(0, 0), (8, 8), (8, 0)])
    assert (rasterise(upper, (8, 8)) ^ rasterise(lower, (8, 8))).all()


def test_outlines_give_back_their_pixels_with_holes_and_parts(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).random((40, 50))
    labels = np.kron(noise[::2, ::2] > 0.45, np.ones((2, 2))).astype(np.uint8)
    write_geojson(tmp_path / "bone.geojson", labels, "bone")
    [bone] = read_drawings(tmp_path / "bone.geojson")
    assert len(bone.rings) > 5
    np.testing.assert_array_equal(rasterise(bone, labels.shape), labels == 1)


def test_what_is_beyond_the_image_is_cut_off_or_refused() -> None:
    mask = rasterise(_polygon([(-5, -5), (-5, 3), (2, 3), (2, -5)]), (6, 6))
    assert mask.sum() == 6
    assert mask[:2, :3].all()
    with pytest.raises(ValueError, match=r"far lies outside of the image of 6 x 7 .* y 2, x 7"):
        rasterise(_polygon([(2, 7), (5, 9), (5, 7)], name="far"), (6, 7))


def test_a_line_is_as_wide_as_it_is_said_and_round_at_its_ends() -> None:
    line = Drawing("label", "line", (np.array([[10.0, 5.0], [10.0, 25.0], [20.0, 25.0]]),))
    mask = rasterise(line, (40, 40), line_width_px=4.0)
    middles = np.stack(np.mgrid[:40, :40], axis=-1) + 0.5
    distances = [
        np.linalg.norm(middles - np.clip(middles, low, high), axis=-1)
        for low, high in (((10, 5), (10, 25)), ((10, 25), (20, 25)))
    ]
    np.testing.assert_array_equal(mask, np.minimum(*distances) <= 2.0)
    with pytest.raises(ValueError, match="label is a line and covers no pixels; a width"):
        rasterise(line, (40, 40))
    with pytest.raises(ValueError, match="draw an area"):
        rasterise(Drawing("cells", "points", line.rings), (40, 40), line_width_px=2.0)


def test_classes_are_painted_in_the_order_of_their_values() -> None:
    bone = _polygon([(1, 1), (1, 7), (7, 7), (7, 1)])
    seam = _polygon([(5, 0), (5, 9), (8, 9), (8, 0)])
    drawn = {"osteoid": [seam], "mineralised": [bone]}
    labels = rasterise_classes(drawn, {"mineralised": 1, "osteoid": 2}, (9, 9))
    assert labels.dtype == np.uint8
    assert np.bincount(labels.ravel()).tolist() == [81 - 24 - 27, 24, 27]
    other = rasterise_classes(drawn, {"osteoid": 2, "mineralised": 1}, (9, 9))
    assert np.bincount(other.ravel()).tolist() == [81 - 36 - 15, 36, 15]
    with pytest.raises(ValueError, match=r"osteoid is drawn and has no value.* mineralised=1"):
        rasterise_classes(drawn, {"mineralised": 1}, (9, 9))


def test_a_multipolygon_of_qupath_with_a_hole_has_its_area(tmp_path: Path) -> None:
    def square(low: int, high: int) -> list[list[int]]:
        return [[low, low], [high, low], [high, high], [low, high], [low, low]]

    geometry = {
        "type": "MultiPolygon",
        "coordinates": [[square(0, 10), square(2, 5)], [square(12, 14)]],
    }
    path = tmp_path / "drawn.geojson"
    path.write_text(json.dumps({"type": "Feature", "geometry": geometry, "properties": None}))
    assert rasterise(read_drawings(path)[0], (20, 20)).sum() == 100 - 9 + 4
