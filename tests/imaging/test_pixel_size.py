import numpy as np
import pytest
import tifffile

from lotus.imaging.raster import read_image

IMAGE = np.arange(600, dtype=np.uint16).reshape(20, 30)


def spacing(path, **options):
    tifffile.imwrite(path, IMAGE, **options)
    return read_image(path).spacing_um


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("µm", 1), ("um", 1), ("nm", 1e-3), ("mm", 1e3), ("cm", 1e4), ("micron", 1), (None, 1)],
)
def test_ome_units(tmp_path, unit, factor):
    metadata = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    if unit is not None:
        metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    found = spacing(tmp_path / "a.ome.tif", metadata=metadata)
    assert found == pytest.approx((0.25 * factor, 0.5 * factor))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"PhysicalSizeX": 0.5},
        {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.0},
        {
            "PhysicalSizeX": 0.5,
            "PhysicalSizeY": 0.5,
            "PhysicalSizeXUnit": "pixel",
            "PhysicalSizeYUnit": "pixel",
        },
    ],
)
def test_ome_without_a_length(tmp_path, metadata):
    assert spacing(tmp_path / "a.ome.tif", metadata=metadata) is None


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("micron", 1), ("um", 1), ("\\u00B5m", 1), ("nm", 1e-3), ("mm", 1e3), ("cm", 1e4)],
)
def test_imagej_units(tmp_path, unit, factor):
    found = spacing(tmp_path / "a.tif", imagej=True, resolution=(4.0, 2.0), metadata={"unit": unit})
    assert found == pytest.approx((0.5 * factor, 0.25 * factor))


@pytest.mark.parametrize("unit", ["pixel", "inch", ""])
def test_imagej_without_a_microscope_unit(tmp_path, unit):
    options = {"imagej": True, "resolution": (72.0, 72.0), "metadata": {"unit": unit}}
    assert spacing(tmp_path / "a.tif", **options) is None


def test_resolution_tags(tmp_path):
    centimetre = spacing(tmp_path / "a.tif", resolution=(20000, 10000), resolutionunit="CENTIMETER")
    assert centimetre == pytest.approx((1.0, 0.5))
    inch = spacing(tmp_path / "b.tif", resolution=(25400, 50800), resolutionunit="INCH")
    assert inch == pytest.approx((0.5, 1.0))


@pytest.mark.parametrize(
    ("resolution", "unit"),
    [
        (72, "INCH"),
        (96, "INCH"),
        (300, "INCH"),
        (300 / 2.54, "CENTIMETER"),
        (50, "CENTIMETER"),  # pixels of 200 µm
        (20000, "NONE"),
    ],
)
def test_resolution_tags_of_graphics_programs(tmp_path, resolution, unit):
    options = {"resolution": (resolution, resolution), "resolutionunit": unit}
    assert spacing(tmp_path / "a.tif", **options) is None


def test_aperio(tmp_path, shared_data):
    path = shared_data / "wsi" / "openslide_fixtures" / "small.svs"
    assert read_image(path).spacing_um == (0.499, 0.499)


def test_broken_ome_xml_is_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, description="<?xml?><OME></oops></OME>")
    raster = read_image(tmp_path / "a.tif")
    assert raster.spacing_um is None
    np.testing.assert_array_equal(raster.array, IMAGE)
