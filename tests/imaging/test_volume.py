import re

import numpy as np
import pytest
import tifffile

from lotus.imaging import open_volume, read_image, volume_writer, write_image

VOXELS = np.random.default_rng(0).random((3, 20, 30)).astype(np.float32)
UNKNOWN = (None, None, None)


def write_imagej(path, volume, **options):
    tifffile.imwrite(
        path,
        volume,
        imagej=True,
        resolution=(1 / 0.5, 1 / 0.5),
        metadata={"spacing": 0.8, "unit": "um", "axes": "ZYX"},
        **options,
    )


def write_ome(path, volume):
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (800, 500, 500), strict=True)}
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in "ZYX"}
    tifffile.imwrite(path, volume, ome=True, metadata={"axes": "ZYX", **sizes, **units})


def write_pages(path, volume):
    with tifffile.TiffWriter(path, byteorder=">") as tiff:
        for plane in volume:
            tiff.write(plane, metadata=None, compression="zlib")


def write_planes(path, shape, dtype, planes, spacing_um=UNKNOWN):
    with volume_writer(path, shape, dtype, spacing_um) as write:
        for plane in planes:
            write(plane)


def write_volume(path, volume, spacing_um=UNKNOWN):
    write_planes(path, volume.shape, volume.dtype, volume, spacing_um)


def read(path):
    with open_volume(path) as volume:
        return volume.shape, volume.spacing_um, np.stack(list(volume.planes))


@pytest.mark.parametrize(
    ("write", "spacing"),
    [(write_imagej, (0.8, 0.5, 0.5)), (write_ome, (0.8, 0.5, 0.5)), (write_pages, UNKNOWN)],
)
def test_slices_and_voxel_size_are_read(tmp_path, write, spacing):
    write(tmp_path / "a.tif", VOXELS)
    shape, found, voxels = read(tmp_path / "a.tif")
    assert shape == VOXELS.shape
    assert found == (spacing if spacing is UNKNOWN else pytest.approx(spacing))
    assert voxels.dtype == VOXELS.dtype
    assert voxels.dtype.isnative
    np.testing.assert_array_equal(voxels, VOXELS)


def test_large_imagej_volumes_have_one_page_and_are_read_all_the_same(tmp_path):
    write_imagej(tmp_path / "a.tif", VOXELS, truncate=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 1
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[2], VOXELS)


def test_axes_before_y_and_x_are_slices(tmp_path):
    stack = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", stack, ome=True, metadata={"axes": "TZYX"})
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[2], stack.reshape(6, 4, 5))


def test_a_single_image_is_a_volume_of_one_slice(tmp_path):
    write_image(tmp_path / "a.tif", VOXELS[0], spacing_um=(0.5, 0.25))
    shape, spacing, voxels = read(tmp_path / "a.tif")
    assert (shape, spacing) == ((1, 20, 30), (None, 0.5, 0.25))
    np.testing.assert_array_equal(voxels, VOXELS[:1])
    write_image(tmp_path / "a.png", np.uint8(255 * VOXELS[0]))
    shape, spacing, voxels = read(tmp_path / "a.png")
    assert (shape, spacing) == ((1, 20, 30), UNKNOWN)
    np.testing.assert_array_equal(voxels, np.uint8(255 * VOXELS[:1]))


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_colour_is_refused(tmp_path, one_line, name):
    write_image(tmp_path / name, np.zeros((4, 5, 3), np.uint8))
    one_line(read, tmp_path / name, "3 channels", "grey")


def test_channels_and_colour_stacks_are_refused(tmp_path, one_line):
    tifffile.imwrite(tmp_path / "c.tif", VOXELS, ome=True, metadata={"axes": "CYX"})
    one_line(read, tmp_path / "c.tif", "CYX", "channels")
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((2, 4, 5, 3), np.uint8), photometric="rgb")
    one_line(read, tmp_path / "s.tif", "stack of 2 pages")


def test_truncated_and_missing_files_are_refused(tmp_path, one_line):
    write_pages(tmp_path / "a.tif", VOXELS)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])
    one_line(read, tmp_path / "a.tif")
    one_line(read, tmp_path / "missing.tif", "does not exist")


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
@pytest.mark.parametrize("spacing", [(0.8, 0.5, 0.25), (None, 0.5, 0.25), UNKNOWN])
def test_what_is_written_is_read_by_tifffile_and_by_us(tmp_path, dtype, spacing):
    voxels = np.asarray(255 * VOXELS, dtype)
    write_volume(tmp_path / "a.ome.tif", voxels, spacing)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert tiff.series[0].axes == "ZYX"
        assert tiff.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert len(tiff.pages) == 3
        np.testing.assert_array_equal(tiff.asarray(), voxels)
        sizes = re.findall(r'PhysicalSize([XYZ])="([\d.]+)"', tiff.ome_metadata)
        stated = {axis: size for axis, size in zip("ZYX", spacing, strict=True) if size}
        assert {axis: float(size) for axis, size in sizes} == stated
    shape, found, again = read(tmp_path / "a.ome.tif")
    assert (shape, found) == (voxels.shape, spacing)
    np.testing.assert_array_equal(again, voxels)


def test_one_slice_is_an_image_whose_pixel_size_other_programs_find(tmp_path):
    write_volume(tmp_path / "a.tif", VOXELS[:1], (None, 0.5, 0.25))
    image = read_image(tmp_path / "a.tif")
    assert image.spacing_um == pytest.approx((0.5, 0.25))
    np.testing.assert_array_equal(image.array, VOXELS[0])
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages.first.resolution == (40000, 20000)  # X, Y per centimetre


@pytest.mark.parametrize(
    ("shape", "spacing", "found"),
    [
        ((20, 30), UNKNOWN, r"shape is \(20, 30\)"),
        ((1, 3, 20, 30), UNKNOWN, r"shape is \(1, 3, 20, 30\)"),
        ((0, 20, 30), UNKNOWN, r"shape is \(0, 20, 30\)"),
        ((3, 20, 30), (0.5, 0.5), r"voxel size is \(0.5, 0.5\)"),
        ((3, 20, 30), (0.0, 0.5, 0.5), r"voxel size is \(0.0, 0.5, 0.5\)"),
    ],
)
def test_what_is_no_volume_is_not_written(tmp_path, shape, spacing, found):
    with pytest.raises(ValueError, match=found):
        write_planes(tmp_path / "a.tif", shape, np.uint8, [], spacing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("planes", "found"),
    [
        (VOXELS[:2], "got 2 slices of 3"),
        ([*VOXELS, VOXELS[0]], "got slice 4"),
        ([VOXELS], r"got slice 1 of float32 \(3, 20, 30\)"),
        ([VOXELS[0].T], r"got slice 1 of float32 \(30, 20\)"),
        ([VOXELS[0].astype(np.float64)], "got slice 1 of float64"),
    ],
)
def test_other_slices_than_announced_are_refused_and_leave_nothing(tmp_path, planes, found):
    with pytest.raises(ValueError, match=found):
        write_planes(tmp_path / "a.tif", VOXELS.shape, np.float32, planes)
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.png"):
        write_planes(tmp_path / "a.png", (1, 2, 3), np.uint8, [])
