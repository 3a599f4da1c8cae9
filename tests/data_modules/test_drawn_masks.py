"""Masks that are drawn, from their files to batches."""

import json

import numpy as np
import pytest

from data_modules.manifest import read_manifest
from lotus.cli import main
from lotus.imaging.drawings import Drawing, write_imagej_rois
from lotus.imaging.mask_files import read_mask
from lotus.imaging.raster import write_image, write_label_map

SIZE = (20, 30)
CLASSES = ("--mask-values", "mineralised=1", "osteoid=2", "label=3")


def box(name, top, left, bottom, right, hole=None):
    """A rectangle of whole pixels, perhaps with a rectangular hole."""
    boxes = [(top, left, bottom, right), *([hole] if hole else [])]
    rings = [np.array([[t, le], [t, r], [b, r], [b, le]], float) for t, le, b, r in boxes]
    return Drawing(name, "polygon", tuple(rings))


def geojson(*drawings):
    """The same as QuPath writes it: the name is that of the class."""
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, y] for y, x in [*ring, ring[0]]] for ring in each.rings],
            },
            "properties": {"classification": {"name": each.name}},
        }
        for each in drawings
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.fixture
def root(tmp_path):
    """ROIs whose masks are a label map, a set of ImageJ ROIs and GeoJSON; all show the same."""
    bone = [
        box("mineralised", 4, 5, 16, 25, hole=(8, 10, 12, 20)),
        box("osteoid", 14, 5, 18, 25),
        box("label", 5, 6, 7, 24),
    ]
    folder = tmp_path / "mine"
    for number, name in enumerate(("P1_a", "P2_a", "P3_a")):
        pixels = np.random.default_rng(number).integers(0, 255, SIZE).astype(np.uint8)
        write_image(folder / f"images/{name}.tif", pixels, (0.65, 0.65))
    write_label_map(folder / "masks/P1_a.png", expected())
    numbered = [Drawing(f"{each.name}-{i}", each.kind, each.rings) for i, each in enumerate(bone)]
    # In another order than they are painted in.
    write_imagej_rois(folder / "masks/P2_a.zip", reversed(numbered))
    (folder / "masks/P3_a.geojson").write_text(geojson(*bone))
    return folder


def expected():
    classes = np.zeros(SIZE, np.uint8)
    classes[4:16, 5:25] = 1
    classes[8:12, 10:20] = 0
    classes[14:18, 5:25] = 2
    classes[5:7, 6:24] = 3
    return classes


def lotus(*words):
    return main(["prepare", *(str(word) for word in words)])


def test_label_maps_rois_and_geojson_are_one_data_set(root, tmp_path, capsys):
    output = tmp_path / "out"
    options = ("--modality", "fluorescence", "--patient-pattern", r"(P\d)_", *CLASSES)
    assert lotus("folder", root, "--output", output, *options) == 0
    assert "semantic" in capsys.readouterr().out
    records = read_manifest(output / "manifest.csv")
    assert [record.patient for record in records] == ["P1", "P2", "P3"]
    assert {record.mask_kind for record in records} == {"semantic"}
    for record in records:
        found = read_mask(record.mask, record.mask_values).values
        np.testing.assert_array_equal(found, expected(), err_msg=record.name)
    assert records[0].mask.is_relative_to(root)
    assert records[1].mask.is_relative_to(output / "masks")
    assert not (root / "masks/P2_a.png").exists()


def test_roles_say_what_names_stand_for(root, tmp_path):
    drawings = [box("0001-0002", 4, 5, 16, 25), box("seam 1", 14, 5, 18, 25), box("x", 0, 0, 9, 9)]
    write_imagej_rois(root / "masks/P2_a.zip", drawings)
    (tmp_path / "roles.yaml").write_text(
        '"0*": mineralised\n"seam*": osteoid\nx: ignore\n"mineralised*": mineralised\n'
        '"osteoid*": osteoid\n"label*": label\n'
    )
    options = (*CLASSES, "--roles", tmp_path / "roles.yaml")
    assert lotus("folder", root, "--output", tmp_path / "out", *options) == 0
    record = read_manifest(tmp_path / "out/manifest.csv")[1]
    classes = read_mask(record.mask, record.mask_values).values
    np.testing.assert_array_equal(np.unique(classes[:9, :5]), [0])
    assert (classes[14:18, 5:25] == 2).all()
    assert (classes[4:14, 5:25] == 1).all()


def test_lines_have_the_width_that_is_given(root, tmp_path, capsys):
    line = Drawing("label", "line", (np.array([[10.0, 2.0], [10.0, 28.0]]),))
    write_imagej_rois(root / "masks/P2_a.zip", [line])
    assert lotus("folder", root, "--output", tmp_path / "out", *CLASSES) == 2
    assert "P2_a.zip: label is a line and covers no pixels" in capsys.readouterr().err
    options = (*CLASSES, "--line-width-px", 2)
    assert lotus("folder", root, "--output", tmp_path / "out", *options) == 0
    record = read_manifest(tmp_path / "out/manifest.csv")[1]
    rows = np.nonzero(read_mask(record.mask, record.mask_values).values[:, 15])[0]
    assert rows.tolist() == [9, 10]


@pytest.mark.parametrize(
    ("drawings", "options", "message"),
    [
        ([box("label", 1, 1, 4, 4)], (), "drawings have names and no values; give their classes"),
        ([box("labels", 1, 1, 4, 4)], CLASSES, "P2_a.zip: labels without a role"),
        ([box("label", 30, 1, 44, 4)], CLASSES, "P2_a.zip: label lies outside of the image of 20"),
    ],
)
def test_drawings_that_cannot_be_used_are_one_line(
    root, tmp_path, capsys, drawings, options, message
):
    write_imagej_rois(root / "masks/P2_a.zip", drawings)
    assert lotus("folder", root, "--output", tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_options_of_other_data_sets(root, tmp_path, capsys):
    assert lotus("nuinsseg", root, "--output", tmp_path / "out", "--roles", "r.yaml") == 2
    assert "--roles is for the data set folder; found nuinsseg" in capsys.readouterr().err
