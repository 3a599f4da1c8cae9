import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from lotus.imaging.raster import read_image, read_label_map, read_pixel_size, read_size
from lotus.imaging.volume import open_volume

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (12, 20, 3)).astype(np.uint8)
ORIENTATION = 274


def tagged(orientation):
    return {"extratags": [(ORIENTATION, 3, 1, orientation, True)]}


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def upright(array, orientation):
    """As Pillow turns it."""
    picture = Image.fromarray(array)
    picture.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_and_label_maps_are_upright(tmp_path, orientation):
    expected = upright(PIXELS, orientation)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **tagged(orientation))
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif(orientation))
    for name in ("a.tif", "a.png"):
        for array in (read_image(tmp_path / name).array, read_label_map(tmp_path / name)):
            np.testing.assert_array_equal(array, expected)
            assert array.flags.c_contiguous
        assert read_size(tmp_path / name) == expected.shape
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=exif(orientation))
    read = read_image(tmp_path / "a.jpg").array
    assert read_size(tmp_path / "a.jpg") == read.shape[:2]
    with Image.open(tmp_path / "a.jpg") as picture:
        np.testing.assert_array_equal(read, np.asarray(ImageOps.exif_transpose(picture)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_volumes_are_upright(tmp_path, orientation):
    volume = np.stack([PIXELS, 255 - PIXELS])
    options = {"resolution": (4e4, 2e4), "resolutionunit": "CENTIMETER", **tagged(orientation)}
    tifffile.imwrite(tmp_path / "a.tif", volume, photometric="minisblack", **options)
    with open_volume(tmp_path / "a.tif") as opened:
        planes = np.stack(list(opened.planes))
    np.testing.assert_array_equal(planes, [upright(plane, orientation) for plane in volume])
    assert opened.shape == planes.shape
    assert opened.spacing_um == ((None, 0.5, 0.25) if orientation < 5 else (None, 0.25, 0.5))


@pytest.mark.parametrize(("orientation", "expected"), [(3, (0.5, 0.25)), (6, (0.25, 0.5))])
def test_the_pixel_size_is_turned_with_the_image(tmp_path, orientation, expected):
    options = {"resolution": (4e4, 2e4), "resolutionunit": "CENTIMETER", **tagged(orientation)}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **options)
    assert read_image(tmp_path / "a.tif").spacing_um == expected
    assert read_pixel_size(tmp_path / "a.tif").spacing_um == expected


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_is_none_is_left_alone(tmp_path, orientation):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **tagged(orientation))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, PIXELS)


def test_exif_data_behind_the_pixels_of_a_png(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif(6))
    content = (tmp_path / "a.png").read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    chunk, rest = content[start:end], content[:start] + content[end:]
    (tmp_path / "a.png").write_bytes(rest[:-12] + chunk + rest[-12:])
    assert read_size(tmp_path / "a.png") == PIXELS.shape[::-1]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array, upright(PIXELS, 6))
