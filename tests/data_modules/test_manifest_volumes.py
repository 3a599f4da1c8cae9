"""Rows of a manifest that are volumes, or slices of one."""

import numpy as np
import pytest
import tifffile

from data_modules import SegmentationDataModule
from data_modules.manifest import ManifestError, read_manifest, write_manifest
from lotus.imaging import write_image

HEADER = ",".join(
    [
        *("image", "mask", "mask_kind", "modality", "patient", "group", "pixel_size_um"),
        *("slice_spacing_um", "split", "z_start", "z_stop"),
    ]
)
SHAPE = (5, 6, 8)


@pytest.fixture
def folder(tmp_path):
    """A TIFF stack with a mask, a BigTIFF, a folder of slices, and masks of fewer slices."""
    random = np.random.default_rng(0)
    for name in ("stack", "other"):
        voxels = random.integers(0, 256, SHAPE).astype(np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", voxels, bigtiff=name == "other")
        tifffile.imwrite(tmp_path / f"{name}_mask.tif", voxels // 64)
    for depth in (1, 2, 3):
        mask = np.ones((depth, 6, 8), np.uint8)
        tifffile.imwrite(tmp_path / f"mask_{depth}.tif", mask, photometric="minisblack")
    for number in range(5):
        write_image(tmp_path / f"slices/s_{number:02d}.png", np.full((6, 8), number + 1, np.uint8))
    write_image(tmp_path / "flat.png", np.eye(6, 8, dtype=np.uint8))
    return tmp_path


def read(folder, *rows):
    path = folder / "manifest.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return read_manifest(path)


def problems(folder, *rows):
    with pytest.raises(ManifestError) as error:
        read(folder, *rows)
    return error.value.problems


def test_volumes_of_every_kind_are_rows(folder):
    records = read(
        folder,
        "stack.tif,stack_mask.tif,semantic,ct,p1,g,0.1,0.2,train,,",
        "other.tif,,semantic,ct,p2,g,0.1,0.1,,,",
        "slices,,semantic,ct,p3,g,,,,1,",
        "flat.png,,binary,ct,p4,g,,,,,",
    )
    assert [record.depth for record in records] == [5, 5, 5, None]
    assert [(record.z_start, record.z_stop) for record in records][:3] == [
        *[(None, None)] * 2,
        (1, None),
    ]
    assert [record.name for record in records] == ["stack", "other", "slices", "flat"]


def test_slices_survive_the_way_into_a_file_and_back(folder):
    records = read(folder, "stack.tif,mask_2.tif,semantic,ct,p1,g,0.1,0.2,train,1,3")
    write_manifest(folder / "again/manifest.csv", records)
    assert read_manifest(folder / "again/manifest.csv") == records


def test_slices_of_one_volume_may_train_and_test_if_they_are_others(folder):
    rows = ["stack.tif,mask_2.tif,semantic,ct,p1,g,,,train,0,2"]
    records = read(folder, *rows, "stack.tif,stack_mask.tif,semantic,ct,p1,g,,,test,2,")
    assert [record.split for record in records] == ["train", "test"]
    (image, split) = problems(folder, *rows, "stack.tif,,semantic,ct,p1,g,,,test,1,4")
    assert image == (
        f"row 3, column image: found '{folder / 'stack.tif'}', expected each slice of a volume "
        "once (also row 2)"
    )
    assert split.endswith("expected train as in row 2: patient 'p1' is one unit")


def test_volumes_of_one_patient_are_in_one_split(folder):
    (problem,) = problems(
        folder,
        "stack.tif,,semantic,ct,p1,g,,,train,0,2",
        "other.tif,,semantic,ct,p1,g,,,test,2,4",
    )
    assert problem.endswith("expected train as in row 2: patient 'p1' is one unit")


@pytest.mark.parametrize("mask", ["stack_mask.tif", "mask_2.tif"])
def test_a_mask_has_the_slices_of_the_volume_or_of_its_row(folder, mask):
    read(folder, f"stack.tif,{mask},semantic,ct,p1,g,,,,2,4")


def test_a_mask_of_another_depth_is_refused(folder):
    (problem,) = problems(folder, "stack.tif,mask_3.tif,semantic,ct,p1,g,,,,2,4")
    assert problem.startswith("row 2, column mask: found '3 x 6 x 8 in ")
    assert problem.endswith("expected 5 x 6 x 8 as the volume stack.tif, or 2 x 6 x 8 as its row")
    (problem,) = problems(folder, "stack.tif,mask_1.tif,semantic,ct,p1,g,,,,,")
    assert problem.startswith("row 2, column mask: found '6 x 8 in ")
    assert problem.endswith("expected 5 x 6 x 8 as the volume stack.tif")


def test_all_that_is_wrong_with_slices_is_listed_at_once(folder):
    found = problems(
        folder,
        "stack.tif,,semantic,ct,p1,g,,,,two,",
        "stack.tif,,semantic,ct,p1,g,,,,3,3",
        "stack.tif,,semantic,ct,p1,g,,,,,-1",
        "other.tif,,semantic,ct,p2,g,,,,0,6",
        "slices,,semantic,ct,p3,g,,,,5,",
    )
    assert found == [
        "row 2, column z_start: found 'two', expected the number of a slice, from 0, or nothing",
        "row 3, column z_stop: found '3', expected more than z_start, 3",
        "row 4, column z_stop: found '-1', expected the number of a slice, from 0, or nothing",
        "row 5, column z_stop: found '6', expected a slice of the 5 in other.tif",
        "row 6, column z_start: found '5', expected a slice of the 5 in slices",
    ]


def test_a_missing_and_an_unequal_slice_are_named(folder):
    (folder / "slices/s_02.png").unlink()
    (problem,) = problems(folder, "slices,,semantic,ct,p1,g,,,,,")
    assert "s_02.png" in problem
    write_image(folder / "slices/s_02.png", np.eye(6, 9, dtype=np.uint8))
    (problem,) = problems(folder, "slices,,semantic,ct,p1,g,,,,,")
    assert "s_02.png has 6 x 9 pixels" in problem


def test_data_modules_of_images_refuse_volumes_in_one_line(folder):
    read(folder, "stack.tif,stack_mask.tif,semantic,ct,p1,g,,,,,")
    data = SegmentationDataModule(folder / "manifest.csv", "ct")
    with pytest.raises(
        ValueError, match="is a volume of 5 slices; images are expected: take data_"
    ):
        data.setup("fit")
