"""Parts of volumes, whatever the format, are those of the whole."""

import numpy as np
import pytest
import tifffile

from lotus.imaging import open_volume, write_image
from lotus.imaging.tiff_volumes import volume_writer
from lotus.imaging.volume_stores import write_volume

VOXELS = np.random.default_rng(0).integers(0, 60000, (7, 40, 30)).astype(np.uint16)


def plain(path):
    tifffile.imwrite(path, VOXELS, photometric="minisblack")


def big_endian(path):
    tifffile.imwrite(path, VOXELS, photometric="minisblack", byteorder=">")


def imagej(path):
    tifffile.imwrite(path, VOXELS, imagej=True, truncate=True, metadata={"axes": "ZYX"})


def strips(path):
    tifffile.imwrite(path, VOXELS, photometric="minisblack", compression="zlib", rowsperstrip=3)


def tiles(path):
    tifffile.imwrite(path, VOXELS, photometric="minisblack", compression="zlib", tile=(16, 16))


def ours(path):
    with volume_writer(path, VOXELS.shape, VOXELS.dtype) as write:
        for plane in VOXELS:
            write(plane)


def white_is_zero(path):
    tifffile.imwrite(path, 65535 - VOXELS, photometric="miniswhite")


def turned(path):
    stored = np.ascontiguousarray(VOXELS.transpose(0, 2, 1))
    tifffile.imwrite(path, stored, photometric="minisblack", extratags=[(274, 3, 1, 5, False)])


def zarr_04(path):
    write_volume(path.with_suffix(".zarr"), VOXELS)
    return path.with_suffix(".zarr")


def zarr_05(path):
    write_volume(path.with_suffix(".zarr"), VOXELS, version="0.5")
    return path.with_suffix(".zarr")


def folder(path):
    path.with_suffix("").mkdir()
    for number, plane in enumerate(VOXELS):
        write_image(path.with_suffix("") / f"s_{number}.tif", plane)
    return path.with_suffix("")


WRITERS = [
    *(plain, big_endian, imagej, strips, tiles, ours, white_is_zero, turned),
    *(zarr_04, zarr_05, folder),
]
PARTS = [
    (slice(0, 7), slice(0, 40), slice(0, 30)),
    (slice(2, 5), slice(13, 33), slice(5, 21)),
    (slice(6, 7), slice(39, 40), slice(29, 30)),
    (slice(None, 3), slice(None), slice(20, None)),
]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_parts_are_those_of_the_whole(tmp_path, write):
    path = write(tmp_path / "a.tif") or tmp_path / "a.tif"
    with open_volume(path) as volume:
        for part in PARTS:
            found = volume.window(part)
            assert found.dtype == np.uint16
            assert found.dtype.isnative
            np.testing.assert_array_equal(found, VOXELS[part])
            found[...] = 0  # a copy, not a view into the file
        np.testing.assert_array_equal(list(volume.planes), VOXELS)


def test_a_single_image_has_parts_too(tmp_path):
    write_image(tmp_path / "a.tif", VOXELS[0])
    with open_volume(tmp_path / "a.tif") as volume:
        part = volume.window((slice(0, 1), slice(3, 9), slice(4, 8)))
    np.testing.assert_array_equal(part, VOXELS[:1, 3:9, 4:8])


def test_of_an_uncompressed_file_nothing_else_is_read(tmp_path):
    """What lies beside the part may be damaged."""
    plain(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset = tiff.pages[3].dataoffsets[0]
    with open_volume(tmp_path / "a.tif") as volume:
        before = volume.window((slice(2, 3), slice(0, 40), slice(0, 30)))
        with (tmp_path / "a.tif").open("r+b") as stream:
            stream.truncate(offset)
        again = volume.window((slice(2, 3), slice(0, 40), slice(0, 30)))
    np.testing.assert_array_equal(before, VOXELS[2:3])
    np.testing.assert_array_equal(again, VOXELS[2:3])


def test_a_damaged_strip_is_named(tmp_path, one_line):
    strips(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset = tiff.pages[4].dataoffsets[2]
    with (tmp_path / "a.tif").open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xff" * 40)

    def read(path):
        with open_volume(path) as volume:
            volume.window((slice(4, 5), slice(0, 6), slice(0, 30)))  # other strips of the slice
            return volume.window((slice(4, 5), slice(6, 9), slice(0, 30)))

    one_line(read, tmp_path / "a.tif", "cannot be decoded")


@pytest.mark.parametrize("voxels", [7, 100, 2000, 10**9])
def test_a_sample_comes_from_all_over_the_volume_and_is_bounded(tmp_path, voxels):
    plain(tmp_path / "a.tif")
    with open_volume(tmp_path / "a.tif") as volume:
        sample = volume.sample(voxels)
        np.testing.assert_array_equal(sample, volume.sample(voxels))
    assert sample.size <= voxels
    step = (
        1 + max(np.flatnonzero(VOXELS[0, :, 0] == sample[0, 1, 0])[0] - 1, 0)
        if sample.shape[1] > 1
        else 40
    )
    np.testing.assert_array_equal(sample, VOXELS[:, ::step, ::step])


def test_a_sample_of_many_slices_has_the_first_and_the_last(tmp_path):
    write_volume(tmp_path / "a.zarr", np.arange(100, dtype=np.uint8)[:, None, None])
    with open_volume(tmp_path / "a.zarr") as volume:
        found = volume.sample(1000).ravel()
    assert len(found) == 16
    assert (found[0], found[-1]) == (0, 99)
    assert set(np.diff(found)) <= {6, 7}
