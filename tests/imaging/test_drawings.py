"""Drawings from and to ImageJ's ROI files, and from QuPath's GeoJSON."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiread

from lotus.imaging.drawings import Drawing, read_drawings, write_imagej_rois
from lotus.imaging.geojson import write_geojson

SQUARE = np.array([[1.25, 2.0], [1.25, 8.5], [6.0, 8.5], [6.0, 2.0]])
HOLE = np.array([[2.0, 3.0], [2.0, 4.0], [3.0, 4.0]])
LINE = np.array([[0.0, 10.0], [4.5, 12.0], [9.0, 30.25]])


def _zipped(path: Path, **rois: ImagejRoi) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, roi in rois.items():
            archive.writestr(f"{name}.roi", roi.tobytes())
    return path


def _rois(path: Path) -> list[ImagejRoi]:
    found = roiread(path)
    assert isinstance(found, list)
    return found


def _roi(kind: ROI_TYPE, points: list[list[float]], name: str = "") -> ImagejRoi:
    roi = ImagejRoi.frompoints(points, name=name)
    roi.roitype = kind
    return roi


def _features(path: Path, *geometries: dict[str, Any]) -> Path:
    features = [{"type": "Feature", "geometry": each, "properties": {}} for each in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_imagej_sees_lines_from_the_middles_of_pixels_and_areas_from_their_corners(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rois.zip"
    write_imagej_rois(
        path, [Drawing("B.Pm", "polygon", (SQUARE,)), Drawing("sL.Pm", "line", (LINE, LINE + 1))]
    )
    rois = _rois(path)
    assert [roi.name for roi in rois] == ["B.Pm", "sL.Pm", "sL.Pm 2"]
    assert [roi.roitype for roi in rois] == [ROI_TYPE.POLYGON, *[ROI_TYPE.POLYLINE] * 2]
    # ImageJ has x first.
    np.testing.assert_allclose(rois[0].coordinates(), SQUARE[:, ::-1])
    np.testing.assert_allclose(rois[2].coordinates(), LINE[:, ::-1] + 0.5)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "rois.zip"
    drawings = [
        Drawing("with a hole", "polygon", (SQUARE, HOLE)),
        Drawing("MS/BS", "line", (LINE,)),
        Drawing("cells", "points", (LINE,)),
    ]
    write_imagej_rois(path, drawings)
    for found, drawn in zip(read_drawings(path), drawings, strict=True):
        assert (found.name, found.kind) == (drawn.name, drawn.kind)
        for one, other in zip(found.rings, drawn.rings, strict=True):
            np.testing.assert_allclose(one, other)


def test_written_again_it_holds_the_new_drawings_alone(tmp_path: Path) -> None:
    path = tmp_path / "rois.zip"
    for name in ("old", "new"):
        write_imagej_rois(path, [Drawing(name, "line", (LINE,))])
    [roi] = _rois(path)
    assert roi.name == "new"


def test_nothing_to_write_and_another_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no drawing"):
        write_imagej_rois(tmp_path / "rois.zip", [])
    with pytest.raises(ValueError, match=r"ending in \.zip"):
        write_imagej_rois(tmp_path / "rois.roi", [Drawing("a", "line", (LINE,))])
    assert not list(tmp_path.iterdir())


def test_rectangles_and_ovals_are_areas(tmp_path: Path) -> None:
    shapes = [
        ImagejRoi(roitype=kind, top=2, left=10, bottom=6, right=20)
        for kind in (ROI_TYPE.RECT, ROI_TYPE.OVAL)
    ]
    path = _zipped(tmp_path / "set.zip", box=shapes[0], oval=shapes[1])
    box, oval = read_drawings(path)
    assert (box.name, oval.name) == ("box", "oval")
    assert sorted(map(tuple, box.rings[0])) == [(2, 10), (2, 20), (6, 10), (6, 20)]
    y, x = (oval.rings[0] - (4, 15)).T
    np.testing.assert_allclose((y / 2) ** 2 + (x / 5) ** 2, 1.0)


def test_a_rectangle_below_a_pixel_keeps_its_fractions(tmp_path: Path) -> None:
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, xd=1.25, yd=2.5, widthd=3.0, heightd=0.5, right=5)
    roi.options = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    (tmp_path / "box.roi").write_bytes(roi.tobytes())
    [box] = read_drawings(tmp_path / "box.roi")
    assert sorted(map(tuple, box.rings[0])) == [(2.5, 1.25), (2.5, 4.25), (3.0, 1.25), (3.0, 4.25)]


def test_a_fitted_spline_is_followed(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 13)[:-1]
    circle = 50 + 20 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    roi = _roi(ROI_TYPE.POLYGON, circle.tolist(), "circle")
    roi.options |= ROI_OPTIONS.SPLINE_FIT
    [found] = read_drawings(_zipped(tmp_path / "set.zip", a=roi))
    radii = np.linalg.norm(found.rings[0] - 50, axis=1)
    # The sides of the polygon itself come as near as 19.3.
    assert len(radii) > 100
    assert abs(radii - 20).max() < 0.02


def test_texts_are_left_out_and_unnamed_rois_have_the_name_of_their_file(tmp_path: Path) -> None:
    text = ImagejRoi(roitype=ROI_TYPE.RECT, right=4, bottom=4, subtype=ROI_SUBTYPE.TEXT)
    line = _roi(ROI_TYPE.LINE, [[0, 0], [3, 4]])
    line.name, line.x2, line.y2 = "", 3.0, 4.0
    text.text, text.text_name = "scale", "Sans"
    [found] = read_drawings(_zipped(tmp_path / "set.zip", text=text, **{"0034-0123": line}))
    assert (found.name, found.kind) == ("0034-0123", "line")
    np.testing.assert_allclose(found.rings[0], [[0.5, 0.5], [4.5, 3.5]])


def test_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    whole = _roi(ROI_TYPE.POLYGON, [[0, 0], [3, 4], [5, 5]], "a").tobytes()
    cases = {
        "short": (whole[:70], "cannot be read as an ImageJ ROI"),
        "other": (b"GIF89a" * 20, "cannot be read as an ImageJ ROI"),
        "two": (
            _roi(ROI_TYPE.POLYGON, [[0, 0], [3, 4]], "thin").tobytes(),
            "polygon of 2 places; at least 3",
        ),
    }
    for name, (content, message) in cases.items():
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            archive.writestr(f"{name}.roi", content)
        with pytest.raises(ValueError, match=rf"set\.zip: {name} .*{message}"):
            read_drawings(tmp_path / "set.zip")
    (tmp_path / "set.zip").write_bytes(whole)
    with pytest.raises(ValueError, match="no zip file"):
        read_drawings(tmp_path / "set.zip")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("notes.txt", "")
    with pytest.raises(ValueError, match="holds no ROI"):
        read_drawings(tmp_path / "set.zip")
    with pytest.raises(ValueError, match=r"use ImageJ's \.roi or \.zip"):
        read_drawings(tmp_path / "drawn.svg")
    for name in ("absent.zip", "absent.geojson"):
        with pytest.raises(FileNotFoundError, match=name):
            read_drawings(tmp_path / name)


def test_qupaths_objects_keep_names_classes_holes_and_parts(tmp_path: Path) -> None:
    ring = [[0, 0], [4, 0], [4, 2], [0, 0]]
    hole = [[1, 0.5], [2, 0.5], [2, 1], [1, 0.5]]
    path = tmp_path / "drawn.geojson"
    geometries: list[dict[str, Any]] = [
        {"type": "Polygon", "coordinates": [ring, hole]},
        {"type": "MultiPolygon", "coordinates": [[ring, hole], [ring]]},
        {"type": "LineString", "coordinates": [[0, 1, 0.0], [5, 6, 0.0]]},
        {"type": "MultiPoint", "coordinates": [[7, 8], [9, 10]]},
        {"type": "Point", "coordinates": [7, 8]},
    ]
    classes: list[Any] = [{"name": "Osteoid"}, {"names": ["Label", "Old"]}, None, {}, {}]
    features = [
        {
            "type": "Feature",
            "geometry": geometry,
            "properties": {"name": f"n{number}", "classification": classification},
        }
        for number, (geometry, classification) in enumerate(zip(geometries, classes, strict=True))
    ]
    path.write_text(json.dumps(features))
    found = read_drawings(path)
    assert [each.kind for each in found] == ["polygon"] * 2 + ["line"] + ["points"] * 2
    assert [len(each.rings) for each in found] == [2, 3, 1, 1, 1]
    assert [each.classification for each in found] == ["Osteoid", "Label: Old", "", "", ""]
    assert found[0].name == "n0"
    np.testing.assert_array_equal(found[0].rings[0], [[0, 0], [0, 4], [2, 4]])
    np.testing.assert_array_equal(found[2].rings[0], [[1, 0], [6, 5]])
    np.testing.assert_array_equal(found[4].rings[0], [[8, 7]])


def test_objects_that_lotus_wrote_are_read(tmp_path: Path) -> None:
    labels = np.zeros((8, 9), np.uint8)
    labels[1:6, 2:8] = 3
    labels[2:4, 3:5] = 0
    write_geojson(tmp_path / "bone.geojson", labels, "bone")
    [bone] = read_drawings(tmp_path / "bone.geojson")
    assert (bone.name, bone.classification, len(bone.rings)) == ("3", "bone", 2)
    assert bone.rings[0].min(axis=0).tolist() == [1, 2]
    assert bone.rings[0].max(axis=0).tolist() == [6, 8]


def test_bad_geojson_is_refused_by_object(tmp_path: Path) -> None:
    path = tmp_path / "drawn.geojson"
    good = {"type": "LineString", "coordinates": [[0, 1], [5, 6]]}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"type": "GeometryCollection", "geometries": []}, "geometry is GeometryCollection"),
        ({"type": "LineString", "coordinates": [[0, 1]]}, "line of 1 places"),
        ({"type": "Polygon", "coordinates": [[[0, 1], [5, 6], [0, 1]]]}, "polygon of 2 places"),
        ({"type": "Polygon", "coordinates": []}, "polygon without places"),
        ({"type": "LineString", "coordinates": [[0, 1], [5, None]]}, ""),
        ({"type": "LineString", "coordinates": [[0, 1], [5]]}, ""),
    ]
    for bad, message in cases:
        with pytest.raises(
            ValueError, match=rf"drawn\.geojson: object 2 cannot be read: .*{message}"
        ):
            read_drawings(_features(path, good, bad))
    path.write_text("{")
    with pytest.raises(ValueError, match="is not GeoJSON"):
        read_drawings(path)
    with pytest.raises(ValueError, match="holds no object"):
        read_drawings(_features(path))
