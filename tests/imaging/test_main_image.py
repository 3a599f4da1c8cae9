import numpy as np
import pytest
import tifffile
from PIL import Image

from lotus.imaging.raster import read_image, read_label_map, read_pixel_size, read_size
from lotus.imaging.slide import Slide
from lotus.imaging.volume import open_volume

RNG = np.random.default_rng(0)
MAIN = RNG.integers(0, 256, (64, 90)).astype(np.uint8)
OVERVIEW = RNG.integers(0, 256, (16, 16)).astype(np.uint8)
READERS = [read_image, read_label_map, read_size, Slide]


def write(path, *arrays, **options):
    with tifffile.TiffWriter(path, ome=path.name.endswith(".ome.tif")) as tiff:
        for array in arrays:
            tiff.write(array, contiguous=False, **options)


def read_volume(path):
    with open_volume(path) as volume:
        return np.stack(list(volume.planes))


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("options", [{}, {"tile": (32, 32)}])
@pytest.mark.parametrize("arrays", [(OVERVIEW, MAIN), (MAIN, OVERVIEW)])
def test_the_largest_image_is_read_and_the_other_one_named(tmp_path, caplog, name, options, arrays):
    path = tmp_path / name
    write(path, *arrays, **options)
    np.testing.assert_array_equal(read_image(path).array, MAIN)
    np.testing.assert_array_equal(read_label_map(path), MAIN)
    np.testing.assert_array_equal(read_volume(path), MAIN[None])
    assert read_size(path) == MAIN.shape
    with Slide(path) as slide:
        np.testing.assert_array_equal(slide.read(3, 4, 50, 80)[0], MAIN[3:53, 4:84])
    (record,) = caplog.records  # once, not at every reading
    for word in (name, "2 images", "16 x 16", "64 x 90", "largest"):
        assert word in record.message


def test_its_own_pixel_size_and_photometric_count(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        for array, size in ((OVERVIEW, 8.0), (MAIN, 0.65)):
            tiff.write(array, metadata={"PhysicalSizeX": size, "PhysicalSizeY": size})
    assert read_image(tmp_path / "a.ome.tif").spacing_um == (0.65, 0.65)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(OVERVIEW, resolution=(1e3, 1e3), resolutionunit="CENTIMETER")
        size = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
        tiff.write(255 - MAIN, photometric="miniswhite", **size)
    assert read_pixel_size(tmp_path / "a.tif").spacing_um == (0.5, 0.5)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, MAIN)


def test_a_volume_behind_an_overview(tmp_path):
    volume = np.stack([MAIN, 255 - MAIN])
    write(tmp_path / "a.tif", OVERVIEW, volume, photometric="minisblack")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif"), volume)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("other", [MAIN.astype(np.uint16), MAIN[:40]])
def test_several_images_of_about_one_size_are_refused(tmp_path, one_line, read, other):
    write(tmp_path / "a.tif", MAIN, other)
    one_line(read, tmp_path / "a.tif", "2 images", "64 x 90", "file of its own")


def test_a_pyramid_is_one_image(tmp_path, caplog):
    write(tmp_path / "a.tif", MAIN, MAIN[::2, ::2], MAIN[::4, ::4], metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, MAIN)
    assert not caplog.records


def test_what_a_scanner_adds_is_not_worth_a_word(shared_data, caplog):
    read_image(shared_data / "wsi" / "openslide_fixtures" / "small.svs")
    assert not caplog.records


def test_an_animation_is_a_stack(tmp_path, one_line):
    frames = [Image.fromarray(MAIN), Image.fromarray(255 - MAIN)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    one_line(read_image, tmp_path / "a.png", "stack of 2")
