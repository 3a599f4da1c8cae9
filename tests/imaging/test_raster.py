import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from lotus.imaging.raster import (
    check_usable,
    read_image,
    read_label_map,
    read_size,
    write_image,
    write_label_map,
)

GREY = np.random.default_rng(0).integers(0, 256, (90, 70)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (90, 70, 3)).astype(np.uint8)
SLOW_FIXTURE = [HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"tile": (32, 48)},
        {"tile": (32, 32), "compression": "zlib", "predictor": True},
        {"compression": "lzw", "rowsperstrip": 7},
        {"bigtiff": True, "compression": "packbits"},
        {"ome": True},
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_tiff_of_any_type_and_layout(tmp_path, options, dtype):
    array = (GREY.astype(np.float64) * 1.25 - 20 * (dtype != "uint8")).astype(dtype)
    path = tmp_path / "image.tif"
    if options.get("compression") == "packbits" and dtype != "uint8":
        options = {"bigtiff": True}
    tifffile.imwrite(path, array, **options)
    raster = read_image(path)
    assert raster.array.dtype == dtype
    assert raster.array.dtype.isnative
    np.testing.assert_array_equal(raster.array, array)
    assert read_size(path) == (90, 70)


def test_colour_tiff_in_every_arrangement(tmp_path):
    planes = np.moveaxis(COLOUR, -1, 0).copy()
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(
        tmp_path / "c.ome.tif", planes, photometric="minisblack", metadata={"axes": "CYX"}
    )
    tifffile.imwrite(tmp_path / "d.tif", planes, imagej=True, metadata={"axes": "CYX"})
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_image(path).array, COLOUR)
        assert read_size(path) == (90, 70)


def test_single_page_stack_is_an_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY[None, None], metadata={"axes": "TZYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").array, GREY)


def test_finest_level_of_a_pyramid(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        tiff.write(GREY, subifds=1, tile=(32, 32))
        tiff.write(GREY[::2, ::2], subfiletype=1, tile=(32, 32))
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").array, GREY)


def test_png_and_jpeg(tmp_path):
    sixteen = GREY.astype(np.uint16) * 257
    deep = COLOUR.astype(np.uint16) * 200 + 3
    Image.fromarray(GREY).save(tmp_path / "grey.png", dpi=(300, 300))
    Image.fromarray(sixteen).save(tmp_path / "grey16.png")
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    (tmp_path / "colour16.png").write_bytes(imagecodecs.png_encode(deep))
    Image.fromarray(GREY > 100).save(tmp_path / "bits.png")
    expected = {
        "grey": GREY,
        "grey16": sixteen,
        "colour": COLOUR,
        "colour16": deep,
        "bits": (GREY > 100).astype(np.uint8) * 255,
    }
    for name, array in expected.items():
        raster = read_image(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(raster.array, array, strict=True)
        assert raster.spacing_um is None
    smooth = np.full((64, 48, 3), (200, 120, 40), np.uint8)
    Image.fromarray(smooth).save(tmp_path / "photo.jpg", dpi=(25400, 25400))
    photo = read_image(tmp_path / "photo.jpg")
    np.testing.assert_allclose(photo.array.astype(int), smooth, atol=3)
    assert photo.spacing_um is None
    assert read_size(tmp_path / "photo.jpg") == (64, 48)


def test_content_decides_not_the_suffix(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, GREY)


def test_palette_gives_colours_to_images_and_indices_to_labels(tmp_path):
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    colours = np.array([[0, 0, 0], [250, 10, 20], [5, 6, 7]], np.uint8)
    picture = Image.fromarray(indices, mode="P")
    picture.putpalette(colours.tobytes())
    picture.save(tmp_path / "a.png")
    table = np.zeros((3, 256), np.uint16)
    table[:, :3] = colours.T.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=table)
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_image(path).array, colours[indices])
        np.testing.assert_array_equal(read_label_map(path), indices)


def test_grey_palette_and_imagej_colour_tables_stay_grey(tmp_path):
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3)
    picture = Image.fromarray(GREY, mode="P")
    picture.putpalette(ramp.tobytes())
    picture.save(tmp_path / "a.png")
    fire = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", GREY, imagej=True, colormap=fire)
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_image(path).array, GREY)


def test_whole_floating_point_labels(tmp_path):
    labels = np.array([[0, 1], [300, 70000]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", labels)
    read = read_label_map(tmp_path / "a.tif")
    assert read.dtype == np.uint32
    np.testing.assert_array_equal(read, labels)


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW_FIXTURE)
@given(
    labels=st.sampled_from(
        ["bool", "uint8", "int16", "uint16", "int32", "uint32", "int64"]
    ).flatmap(
        lambda dtype: arrays(
            dtype,
            array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
            elements=st.booleans()
            if dtype == "bool"
            else st.integers(0, min(np.iinfo(dtype).max, 2**32 - 1)),
        )
    ),
    name=st.sampled_from(["a.tif", "a.ome.tif", "a.tiff"]),
    spacing=st.none() | st.tuples(st.floats(0.01, 99), st.floats(0.01, 99)),
)
def test_label_maps_survive(tmp_path, labels, name, spacing):
    write_label_map(tmp_path / name, labels, spacing)
    read = read_label_map(tmp_path / name)
    np.testing.assert_array_equal(read, labels)
    assert read.dtype == np.min_scalar_type(int(labels.max()))
    assert read_size(tmp_path / name) == labels.shape
    stored = read_image(tmp_path / name).spacing_um
    assert (stored is None) == (spacing is None)
    if spacing is not None:
        assert stored == pytest.approx(spacing, rel=1e-6)


def test_png_label_maps_up_to_16_bits(tmp_path):
    labels = np.arange(65536).reshape(256, 256)
    write_label_map(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), labels)
    with pytest.raises(ValueError, match=r"a\.png.*\.tif"):
        write_label_map(tmp_path / "a.png", labels + 1)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), labels)


def test_more_than_65535_labels(tmp_path):
    labels = np.arange(300 * 300, dtype=np.int64).reshape(300, 300)
    write_label_map(tmp_path / "a.tif", labels)
    read = read_label_map(tmp_path / "a.tif")
    assert read.dtype == np.uint32
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("array", [GREY, COLOUR, GREY * np.float32(0.01), GREY.astype(np.int32)])
def test_images_survive(tmp_path, array):
    write_image(tmp_path / "a.ome.tif", array, (0.25, 0.5))
    raster = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(raster.array, array, strict=True)
    assert raster.spacing_um == (0.25, 0.5)


def test_refused_writing_leaves_nothing(tmp_path):
    refused = [
        ("-1", lambda: write_label_map(tmp_path / "a.tif", np.array([[-1]]))),
        ("32 bits", lambda: write_label_map(tmp_path / "a.tif", np.array([[2**32]]))),
        ("2-D", lambda: write_label_map(tmp_path / "a.tif", np.zeros((2, 2, 2), int))),
        ("float64", lambda: write_label_map(tmp_path / "a.tif", np.zeros((2, 2)))),
        ("shape", lambda: write_image(tmp_path / "a.tif", np.zeros((2, 2, 4), np.uint8))),
        ("complex64", lambda: write_image(tmp_path / "a.tif", np.zeros((2, 2), np.complex64))),
        ("float32", lambda: write_image(tmp_path / "a.png", np.zeros((2, 2), np.float32))),
        ("suffix", lambda: write_image(tmp_path / "a.jpg", GREY)),
        ("pixel size", lambda: write_image(tmp_path / "a.tif", GREY, (0.0, 1.0))),
    ]
    for words, call in refused:
        with pytest.raises(ValueError, match=words):
            call()
    assert list(tmp_path.iterdir()) == []


def test_failing_write_leaves_the_older_file(tmp_path):
    resource = pytest.importorskip("resource", reason="file size limits exist on Unix only")
    path = tmp_path / "a.tif"
    write_image(path, GREY)
    large = np.random.default_rng(0).integers(0, 256, (600, 600)).astype(np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # Like a disk that is full after 100 kB.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(OSError, match=r"."):
            write_image(path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(read_image(path).array, GREY)


def test_usable_images(tmp_path):
    path = tmp_path / "a.tif"
    partly = np.full((4, 4), np.nan, np.float32)
    partly[0, :2] = 1, 2
    for array in (GREY, COLOUR, partly):
        check_usable(array, path)
    single = np.full((4, 4, 3), 9, np.uint8)
    nothing = np.full((4, 4), np.nan)
    alone = nothing.copy()
    alone[1, 1] = 5
    for array, words in [
        (np.full((4, 4), 7), "constant.*7"),
        (single, "constant.*9"),
        (nothing, "NaN"),
        (np.full((4, 4), np.inf), "finite"),
        (alone, "constant"),
    ]:
        with pytest.raises(ValueError, match=rf"a\.tif.*{words}"):
            check_usable(array, path)


def test_every_real_image_opens(shared_data):
    for path in sorted((shared_data / "dsb2018").rglob("images/*.png"))[::15]:
        image = read_image(path).array
        check_usable(image, path)
        labels = read_label_map(path.parents[1] / "labels" / path.name)
        assert labels.shape == image.shape[:2] == read_size(path)
        assert labels.max() == len(np.unique(labels)) - 1


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
def test_memory_is_the_only_limit_of_pictures(tmp_path, monkeypatch, name):
    Image.fromarray(COLOUR).save(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # what Pillow refuses twice of
    assert read_size(tmp_path / name) == (90, 70)
    assert read_image(tmp_path / name).array.shape == COLOUR.shape


@pytest.mark.parametrize("array", [GREY, COLOUR])
def test_bmp_is_read(tmp_path, array):
    Image.fromarray(array).save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp").array, array, strict=True)
    assert read_image(tmp_path / "a.bmp").spacing_um is None
