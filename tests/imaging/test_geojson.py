import json
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.path import Path as Outline

from lotus.imaging.geojson import object_features, write_features, write_geojson
from lotus.imaging.outlines import outline_objects
from lotus.imaging.raster import read_label_map

LABEL_MAPS = st.integers(1, 4).flatmap(
    lambda largest: arrays(
        np.int32,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.integers(0, largest),
    )
)


def polygons_of(feature):
    coordinates = feature["geometry"]["coordinates"]
    return [coordinates] if feature["geometry"]["type"] == "Polygon" else coordinates


def shoelace(ring):
    x, y = np.array(ring, float).T
    return 0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])


def painted(features, shape):
    """Label map from outlines: a pixel belongs to the object whose outline holds its centre."""
    centres = np.stack(np.indices(shape)[::-1], -1).reshape(-1, 2) + 0.5
    labels = np.zeros(shape, int)
    for feature in features:
        for outer, *holes in polygons_of(feature):
            inside = Outline(outer).contains_points(centres)
            for hole in holes:
                inside &= ~Outline(hole).contains_points(centres)
            labels[inside.reshape(shape)] = int(feature["properties"]["name"])
    return labels


@settings(max_examples=120, deadline=None)
@given(labels=LABEL_MAPS)
def test_outlines_hold_exactly_the_pixels(labels):
    features = list(object_features(labels, "lacuna"))
    names = [int(feature["properties"]["name"]) for feature in features]
    assert names == [label for label in np.unique(labels) if label]
    for feature, name in zip(features, names, strict=True):
        rings = [ring for polygon in polygons_of(feature) for ring in polygon]
        assert sum(map(shoelace, rings)) == np.count_nonzero(labels == name)
    np.testing.assert_array_equal(painted(features, labels.shape), labels)


@settings(max_examples=120, deadline=None)
@given(labels=LABEL_MAPS)
def test_rings_are_closed_and_simple(labels):
    for polygons in outline_objects(labels).values():
        for polygon in polygons:
            assert shoelace(polygon[0]) > 0
            assert all(shoelace(hole) < 0 for hole in polygon[1:])
            for ring in polygon:
                assert ring[0] == ring[-1]
                assert len(set(ring)) == len(ring) - 1
                steps = np.diff(ring, axis=0)
                assert ((steps == 0).sum(axis=1) == 1).all()  # along pixel edges
                assert ((steps[1:] != 0) != (steps[:-1] != 0)).all()  # every point is a corner


def test_known_shapes():
    square = np.zeros((5, 6), np.uint8)
    square[1:4, 2:5] = 7
    square[2, 3] = 0
    (feature,) = object_features(square, "cell", offset_yx=(100, 1000), spacing_um=(0.5, 2.0))
    assert feature["geometry"] == {
        "type": "Polygon",
        "coordinates": [
            [(1002, 101), (1005, 101), (1005, 104), (1002, 104), (1002, 101)],
            [(1003, 103), (1004, 103), (1004, 102), (1003, 102), (1003, 103)],
        ],
    }
    assert feature["properties"]["measurements"] == {"Area px^2": 8, "Area µm^2": 8.0}
    assert feature["properties"]["classification"] == {"name": "cell"}
    assert feature["properties"]["objectType"] == "detection"
    uuid.UUID(feature["id"])


def test_pixels_that_touch_at_a_corner_are_two_polygons():
    (feature,) = object_features(np.eye(2, dtype=int), "cell")
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert len(polygons_of(feature)) == 2


def test_hole_that_touches_the_outside_at_a_corner_is_kept():
    ring = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]])
    (feature,) = object_features(ring, "cell")
    (polygon,) = polygons_of(feature)
    assert len(polygon) == 2
    assert shoelace(polygon[1]) == -1


def test_written_file(tmp_path):
    labels = np.array([[1, 1, 0], [0, 2, 2]])
    write_geojson(tmp_path / "a.geojson", labels, "Lakune µ", offset_yx=(3, 4))
    content = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    assert [feature["properties"]["name"] for feature in content["features"]] == ["1", "2"]
    again = tmp_path / "b.geojson"
    write_features(again, object_features(labels, "Lakune µ", offset_yx=(3, 4)))
    assert again.read_bytes() == (tmp_path / "a.geojson").read_bytes()


def test_windows_one_after_the_other_give_the_whole(tmp_path):
    whole = np.zeros((8, 30), int)
    for label, x in enumerate(range(0, 30, 6), start=1):
        whole[2:6, x : x + 4] = label
    windows = [whole[:, x : x + 6] for x in range(0, 30, 6)]
    features = [
        feature
        for index, window in enumerate(windows)
        for feature in object_features(window, "cell", offset_yx=(0, 6 * index))
    ]
    assert features == list(object_features(whole, "cell"))
    ids = {feature["id"] for feature in features}
    assert len(ids) == 5


def test_empty_and_failed_collections(tmp_path):
    write_geojson(tmp_path / "a.geojson", np.zeros((4, 4), int), "cell")
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []

    def features():
        yield from object_features(np.ones((2, 2), int), "cell")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_features(tmp_path / "b.geojson", features())
    assert [path.name for path in tmp_path.iterdir()] == ["a.geojson"]
    with pytest.raises(ValueError, match="float64"):
        write_geojson(tmp_path / "b.geojson", np.zeros((4, 4)), "cell")
    with pytest.raises(ValueError, match="detection"):
        list(object_features(np.ones((2, 2), int), "cell", object_type="tile"))


def test_real_slide_labels(shared_data):
    labels = read_label_map(shared_data / "wsi" / "histology_mosaic_labels.ome.tif")
    areas = np.bincount(labels.ravel())
    features = list(object_features(labels, "nucleus"))
    assert len(features) == np.count_nonzero(areas[1:])
    for feature in features:
        rings = [ring for polygon in polygons_of(feature) for ring in polygon]
        assert sum(map(shoelace, rings)) == areas[int(feature["properties"]["name"])]
