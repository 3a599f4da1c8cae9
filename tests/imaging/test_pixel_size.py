import numpy as np
import pytest
import tifffile

from lotus.imaging.pixel_size import PixelSize
from lotus.imaging.raster import read_image, read_pixel_size

IMAGE = np.arange(600, dtype=np.uint16).reshape(20, 30)


def spacing(path, **options):
    tifffile.imwrite(path, IMAGE, **options)
    return read_image(path).spacing_um


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *(("µm", 1), ("um", 1), ("nm", 1e-3), ("mm", 1e3), ("cm", 1e4), ("micron", 1), (None, 1)),
        *(("\u03bcm", 1), ("Micrometers", 1), ("micrometre", 1), ("µm/pixel", 1), ("um per px", 1)),
        *(("millimeters", 1e3), ("nanometres", 1e-3), ("inch", 25400), ("inches", 25400)),
    ],
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
    [
        *(("micron", 1), ("um", 1), ("\\u00B5m", 1), ("nm", 1e-3), ("mm", 1e3), ("cm", 1e4)),
        *(("microns", 1), ("micrometers", 1), ("\\u00B5m/pixel", 1), ("millimeters", 1e3)),
    ],
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


PRINTED_DPI = (72, 96, 300, 350, 400, 450, 600, 650, 800, 1000, 1200, 2400, 4800)


@pytest.mark.parametrize(
    ("resolution", "unit"),
    [
        *((dpi, "INCH") for dpi in PRINTED_DPI),
        *((round(dpi / 2.54, 3), "CENTIMETER") for dpi in PRINTED_DPI),
        (118, "CENTIMETER"),  # 300 dots per inch, rounded
        (50, "CENTIMETER"),  # pixels of 200 µm
        (20000, "NONE"),
    ],
)
def test_resolution_tags_of_graphics_programs(tmp_path, resolution, unit):
    options = {"resolution": (resolution, resolution), "resolutionunit": unit}
    assert spacing(tmp_path / "a.tif", **options) is None


@pytest.mark.parametrize(("dpi", "unit"), [(300, "inch"), (350, "inches"), (600, "cm")])
def test_print_resolution_that_imagej_made_a_calibration(tmp_path, dpi, unit):
    per_unit = dpi / 2.54 if unit == "cm" else dpi
    options = {"resolution": (per_unit, per_unit), "metadata": {"unit": unit}}
    assert spacing(tmp_path / "a.tif", imagej=True, **options) is None


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
@pytest.mark.parametrize("size", [0.1625, 0.25, 0.5, 1, 2, 3, 5, 6, 7, 8, 10, 12, 15, 19.5, 20, 50])
def test_resolution_tags_of_microscopes(tmp_path, size, unit):
    per_unit = (25400 if unit == "INCH" else 10000) / size
    options = {"resolution": (per_unit, per_unit), "resolutionunit": unit}
    assert spacing(tmp_path / "a.tif", **options) == pytest.approx((size, size), rel=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"resolution": (1e4 / 0.65, 1e4 / 1.3), "resolutionunit": "CENTIMETER"},
        {"resolution": (25400 / 0.65, 25400 / 1.3), "resolutionunit": "INCH"},
        {"resolution": (1 / 0.65, 1 / 1.3), "imagej": True, "metadata": {"unit": "um"}},
        {"ome": True, "metadata": {"PhysicalSizeX": 0.65, "PhysicalSizeY": 1.3}},
    ],
)
def test_sizes_are_not_rounded(tmp_path, options):
    assert spacing(tmp_path / "a.tif", **options) == (1.3, 0.65)


def test_where_the_size_comes_from(tmp_path, shared_data):
    tags = {"resolution": (2e4, 4e4), "resolutionunit": "CENTIMETER"}
    files = {
        "TIFF resolution": tags,
        "ImageJ calibration": {"imagej": True, "resolution": (2, 4), "metadata": {"unit": "um"}},
        "OME metadata": {"ome": True, "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}},
    }
    for source, options in files.items():
        tifffile.imwrite(tmp_path / "a.tif", IMAGE, **options)
        assert read_pixel_size(tmp_path / "a.tif") == PixelSize(0.25, 0.5, source)
    slide = shared_data / "wsi" / "openslide_fixtures" / "small.svs"
    assert read_pixel_size(slide) == PixelSize(0.499, 0.499, "Aperio MPP")
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    assert read_pixel_size(tmp_path / "a.tif") is None


def test_aperio(tmp_path, shared_data):
    path = shared_data / "wsi" / "openslide_fixtures" / "small.svs"
    assert read_image(path).spacing_um == (0.499, 0.499)


def test_broken_ome_xml_is_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, description="<?xml?><OME></oops></OME>")
    raster = read_image(tmp_path / "a.tif")
    assert raster.spacing_um is None
    np.testing.assert_array_equal(raster.array, IMAGE)
