import numpy as np
import pytest
import tifffile
from PIL import Image

from lotus.imaging.raster import read_image, read_label_map, read_size, write_image

GREY = np.random.default_rng(0).integers(0, 256, (90, 70)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (90, 70, 3)).astype(np.uint8)


@pytest.mark.parametrize("read", [read_image, read_label_map, read_size])
def test_files_that_are_no_image(tmp_path, one_line, read):
    (tmp_path / "notes.tif").write_text("these are notes, not pixels")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "header.tif").write_bytes(b"II*\0\x08\0\0\0")
    (tmp_path / "header.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    one_line(read, tmp_path / "missing.tif", "does not exist")
    one_line(read, tmp_path / "notes.tif", "TIFF, PNG, JPEG or BMP", "these ar")
    one_line(read, tmp_path / "empty.tif", "empty (0 bytes)")
    one_line(read, tmp_path / "folder.tif", "folder")
    one_line(read, tmp_path / "header.tif", "damaged")
    one_line(read, tmp_path / "header.png", "damaged")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 8},
        {"tile": (32, 32)},
        {"tile": (32, 32), "compression": "zlib"},
        {"rowsperstrip": 9, "compression": "lzw"},
        {"tile": (32, 32), "compression": "jpeg"},
    ],
)
def test_truncated_tiff(tmp_path, one_line, options):
    tifffile.imwrite(tmp_path / "whole.tif", GREY, **options)
    content = (tmp_path / "whole.tif").read_bytes()
    for size in [9, 60, len(content) // 3, len(content) // 2, len(content) - 1]:
        path = tmp_path / "cut.tif"
        path.write_bytes(content[:size])
        one_line(read_image, path, "trunc")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_truncated_picture(tmp_path, one_line, suffix):
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(GREY).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    one_line(read_image, path, "truncated")


def test_damaged_slides(shared_data, one_line):
    fixtures = shared_data / "wsi" / "openslide_fixtures"
    one_line(read_image, fixtures / "unopenable.tiff", "52479")
    one_line(read_image, fixtures / "unreadable.svs", "damaged")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_channels(tmp_path, one_line, suffix):
    colour, grey = tmp_path / f"rgba{suffix}", tmp_path / f"la{suffix}"
    Image.fromarray(np.dstack([COLOUR, GREY])).save(colour)
    Image.fromarray(np.dstack([GREY, GREY]), mode="LA").save(grey)
    for read in (read_image, read_label_map):
        one_line(read, colour, "4 channels", "RGB")
        one_line(read, grey, "2 channels", "grey")


def test_cmyk_jpeg(tmp_path, one_line):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    one_line(read_image, tmp_path / "a.jpg", "CMYK", "RGB")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
    ],
)
def test_stack_says_how_many_pages(tmp_path, one_line, options):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.stack([GREY] * 7), photometric="minisblack", **options)
    for read in (read_image, read_label_map, read_size):
        one_line(read, path, "7 pages", "90 x 70", "2-D")


def test_other_channel_counts_and_numbers(tmp_path, one_line):
    tifffile.imwrite(
        tmp_path / "two.ome.tif",
        np.stack([GREY, GREY]),
        photometric="minisblack",
        metadata={"axes": "CYX"},
    )
    tifffile.imwrite(tmp_path / "complex.tif", GREY.astype(np.complex64))
    one_line(read_image, tmp_path / "two.ome.tif", "2 channels")
    one_line(read_image, tmp_path / "complex.tif", "complex64")
    one_line(read_label_map, tmp_path / "complex.tif", "complex64")


def test_label_maps_that_are_none(tmp_path, one_line):
    write_image(tmp_path / "rgb.png", COLOUR)
    tifffile.imwrite(tmp_path / "fraction.tif", np.array([[0, 1], [0.25, 2]], np.float32))
    tifffile.imwrite(tmp_path / "nan.tif", np.array([[0, 1], [np.nan, 2]], np.float32))
    tifffile.imwrite(tmp_path / "negative.tif", np.array([[0, -3]], np.int16))
    Image.fromarray(GREY).save(tmp_path / "lossy.jpg")
    one_line(read_label_map, tmp_path / "rgb.png", "3 channels")
    one_line(read_label_map, tmp_path / "fraction.tif", "0.25", "whole numbers")
    one_line(read_label_map, tmp_path / "nan.tif", "nan", "whole numbers")
    one_line(read_label_map, tmp_path / "negative.tif", "-3")
    one_line(read_label_map, tmp_path / "lossy.jpg", "JPEG", "PNG or TIFF")
