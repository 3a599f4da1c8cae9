import numpy as np
import pytest
import tifffile

from lotus.imaging.channels import read_channel, separate_channels

PIXELS = np.random.default_rng(0).integers(0, 4000, (4, 6, 8)).astype(np.uint16)
COLOURS = (PIXELS[:3] // 16).astype(np.uint8)


@pytest.fixture
def written(tmp_path):
    """Function that writes a TIFF file and gives its path."""

    def write(array, **options):
        tifffile.imwrite(tmp_path / "x.ome.tif", array, **options)
        return tmp_path / "x.ome.tif"

    return write


def composite(written, count, **metadata):
    named = {"axes": "CYX", **metadata}
    return written(PIXELS[:count], photometric="minisblack", metadata=named)


def test_channels_have_their_names(written):
    names = ["DAPI", "FITC <488>", 'Cy5 "far"', "bright field"]
    path = composite(written, 4, Channel={"Name": names})
    assert separate_channels(path) == names


@pytest.mark.parametrize("count", [2, 3])
def test_channels_without_names_are_numbered_and_no_colours(written, count):
    path = composite(written, count)
    assert separate_channels(path) == [f"channel {number}" for number in range(count)]


def test_grey_and_colours_are_one_picture(written, tmp_path):
    opaque = np.concatenate([COLOURS, np.full_like(COLOURS[:1], 255)])
    images = [
        (PIXELS[0], {}),
        (np.moveaxis(COLOURS, 0, -1), {"photometric": "rgb"}),
        (COLOURS, {"photometric": "rgb", "planarconfig": "separate"}),
        (np.moveaxis(opaque, 0, -1), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    ]
    for array, options in images:
        assert separate_channels(written(array, **options)) == []


def test_a_channel_is_read_as_it_is_stored_with_its_pixel_size(written):
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    raster = read_channel(composite(written, 4, **size, **units), 2)
    np.testing.assert_array_equal(raster.array, PIXELS[2])
    assert raster.array.dtype == np.uint16
    assert raster.spacing_um == (0.25, 0.5)


def test_a_colour_is_a_channel(written):
    opaque = np.concatenate([COLOURS, np.full_like(COLOURS[:1], 255)])
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    path = written(np.moveaxis(opaque, 0, -1), **options)
    np.testing.assert_array_equal(read_channel(path, 1).array, COLOURS[1])
    np.testing.assert_array_equal(read_channel(written(PIXELS[0]), 0).array, PIXELS[0])


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_channel_that_is_not_there(written, channel):
    expected = rf"no channel {channel}; expected 0 to 1, of channel 0, channel 1"
    with pytest.raises(ValueError, match=expected):
        read_channel(composite(written, 2), channel)
