from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lotus.imaging.raster import read_image, write_image
from lotus.imaging.slide import Slide

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 60000, (301, 407)).astype(np.uint16)
COLOUR = RNG.integers(0, 256, (301, 407, 3)).astype(np.uint8)
PLANES = np.moveaxis(COLOUR, -1, 0).copy()
FIVE = RNG.integers(0, 256, (5, 301, 407)).astype(np.uint8)
TILED = {"tile": (64, 48), "compression": "zlib"}

LAYOUTS = {
    "contiguous": (GREY, {}),
    "big endian": (GREY, {"byteorder": ">"}),
    "strips": (GREY, {"rowsperstrip": 7, "compression": "zlib"}),
    "one strip": (GREY, {"rowsperstrip": 301, "compression": "lzw"}),
    "tiles": (GREY, {**TILED, "predictor": True}),
    "big endian tiles": (GREY, {"tile": (64, 48), "byteorder": ">"}),
    "float tiles": (GREY.astype(np.float32), TILED),
    "colour tiles": (COLOUR, {**TILED, "photometric": "rgb"}),
    "colour planes": (PLANES, {"photometric": "rgb", "planarconfig": "separate"}),
    "colour plane tiles": (PLANES, {**TILED, "photometric": "rgb", "planarconfig": "separate"}),
    "channels": (FIVE, {"ome": True, "photometric": "minisblack", "metadata": {"axes": "CYX"}}),
    "channel tiles": (
        FIVE,
        {**TILED, "ome": True, "photometric": "minisblack", "metadata": {"axes": "CYX"}},
    ),
    "ImageJ channels": (FIVE, {"imagej": True, "metadata": {"axes": "CYX"}}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_are_the_image(tmp_path, layout):
    array, options = LAYOUTS[layout]
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, array, **options)
    whole = array[None] if array.ndim == 2 else array
    whole = np.moveaxis(whole, -1, 0) if whole.shape[-1] == 3 else whole
    random = np.random.default_rng(1)
    with Slide(path, cache_bytes=50_000) as slide:
        assert (slide.channels, *slide.shape) == whole.shape
        assert slide.dtype == array.dtype
        assert slide.is_tiled == ("tile" in options)
        for _ in range(12):
            y, x = random.integers(0, slide.shape)
            height = random.integers(1, slide.shape[0] - y + 1)
            width = random.integers(1, slide.shape[1] - x + 1)
            window = slide.read(y, x, height, width)
            np.testing.assert_array_equal(window, whole[:, y : y + height, x : x + width])
            assert window.dtype.isnative
        window[:] = 0  # a copy: the slide is as before
        np.testing.assert_array_equal(slide.read(0, 0, *slide.shape), whole)
        np.testing.assert_array_equal(slide.sample(10**9), whole)


def test_jpeg_tiles_and_real_slides_agree_with_whole_reading(tmp_path, shared_data):
    lossy = tmp_path / "lossy.tif"
    tifffile.imwrite(lossy, COLOUR, photometric="rgb", tile=(64, 64), compression="jpeg")
    fixtures = shared_data / "wsi" / "openslide_fixtures"
    mosaic = shared_data / "wsi" / "histology_mosaic_rgb.ome.tif"
    for path in (lossy, fixtures / "small.svs", fixtures / "boxes.tiff", mosaic):
        with Slide(path) as slide:
            whole = np.moveaxis(tifffile.imread(path), -1, 0)
            np.testing.assert_array_equal(slide.read(0, 0, *slide.shape), whole)
    with Slide(fixtures / "small.svs") as slide:
        assert slide.spacing_um == (0.499, 0.499)


def test_picture_is_a_slide_too(tmp_path):
    write_image(tmp_path / "a.png", COLOUR)
    with Slide(tmp_path / "a.png") as slide:
        assert (slide.channels, slide.shape, slide.is_tiled) == (3, (301, 407), False)
        np.testing.assert_array_equal(slide.read(5, 6, 70, 80), PLANES[:, 5:75, 6:86])


def test_kept_tiles_are_bounded(shared_data):
    path = shared_data / "wsi" / "cytology_gray_2048x4096.ome.tif"
    limit = 20 * 256 * 256
    most = 0
    with Slide(path, cache_bytes=limit) as slide:
        for y in range(0, 2048 - 384 + 1, 256):
            for x in range(0, 4096 - 384 + 1, 256):
                slide.read(y, x, 384, 384)
                assert slide.cached_bytes <= limit
                most = max(most, slide.cached_bytes)
    assert most > limit - 256 * 256


def test_a_kept_tile_is_not_decoded_again(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, **TILED)
    with Slide(path) as slide:
        first = slide.read(0, 0, 60, 40)
        path.write_bytes(bytes(path.stat().st_size))  # nothing can be read from the file any more
        np.testing.assert_array_equal(slide.read(0, 0, 60, 40), first)
        with pytest.raises(ValueError, match=r"a\.tif"):
            slide.read(200, 300, 60, 40)


def test_threads_may_share_a_slide(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, **TILED)
    corners = [(y, x) for y in range(0, 280, 20) for x in range(0, 380, 20)]
    with Slide(path, cache_bytes=20_000) as slide, ThreadPoolExecutor(4) as threads:
        windows = list(threads.map(lambda corner: slide.read(*corner, 21, 22), corners))
    for (y, x), window in zip(corners, windows, strict=True):
        np.testing.assert_array_equal(window[0], GREY[y : y + 21, x : x + 22])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(most=st.integers(1, 150_000))
def test_sample_is_a_regular_grid(tmp_path, most):
    path = tmp_path / "a.tif"
    if not path.exists():
        tifffile.imwrite(path, GREY, **TILED)
    with Slide(path) as slide:
        sample = slide.sample(most)[0]
    assert 0 < sample.size <= most
    steps = [step for step in range(1, 408) if -(-301 // step) == sample.shape[0]]
    assert any(np.array_equal(sample, GREY[::step, ::step]) for step in steps)


def test_sample_prefers_a_coarse_level(shared_data):
    path = shared_data / "wsi" / "cytology_gray_2048x4096.ome.tif"
    with tifffile.TiffFile(path) as tiff:
        coarsest = tiff.series[0].levels[-1].asarray()
    with Slide(path) as slide:
        np.testing.assert_array_equal(slide.sample(256 * 512)[0], coarsest)
        sample, whole = slide.sample(100_000), slide.read(0, 0, *slide.shape)
    assert abs(sample.mean() - whole.mean()) < 0.02 * whole.std()


def test_windows_outside_are_refused(tmp_path):
    write_image(tmp_path / "a.tif", GREY)
    with Slide(tmp_path / "a.tif") as slide:
        for window in [(-1, 0, 5, 5), (0, 0, 302, 5), (300, 400, 1, 8), (0, 0, 0, 5)]:
            with pytest.raises(ValueError, match="window"):
                slide.read(*window)
        with pytest.raises(ValueError, match="max_pixels"):
            slide.sample(0)


def test_bad_files_are_refused_when_opened(tmp_path, shared_data, recwarn):
    fixtures = shared_data / "wsi" / "openslide_fixtures"
    tifffile.imwrite(tmp_path / "whole.tif", GREY, **TILED)
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[:-10])
    tifffile.imwrite(tmp_path / "rgba.tif", np.dstack([COLOUR, COLOUR[..., :1]]), tile=(64, 64))
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([GREY] * 4), photometric="minisblack")
    for path, words in [
        (fixtures / "unopenable.tiff", "52479"),
        (fixtures / "unreadable.svs", "damaged"),
        (tmp_path / "cut.tif", "truncated"),
        (tmp_path / "rgba.tif", "RGBA"),
        (tmp_path / "stack.tif", "4 pages"),
    ]:
        with pytest.raises(ValueError, match=rf"{path.name}.*{words}"):
            Slide(path)
    with pytest.raises(FileNotFoundError, match=r"no\.tif"):
        Slide(tmp_path / "no.tif")
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


def test_what_no_window_can_be_taken_of_is_read_whole(tmp_path):
    indices = (GREY % 3).astype(np.uint8)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :3] = np.array([[0, 200, 5], [0, 10, 6], [0, 20, 7]]) * 257
    tifffile.imwrite(tmp_path / "bits.tif", GREY > 9)
    tifffile.imwrite(
        tmp_path / "indexed.tif", indices, photometric="palette", colormap=colours, **TILED
    )
    turned = {"extratags": [(274, 3, 1, 6, True)], "resolution": (4e4, 2e4), "resolutionunit": 3}
    tifffile.imwrite(tmp_path / "turned.tif", GREY, **turned, **TILED)
    for path in sorted(tmp_path.iterdir()):
        image = read_image(path)
        with Slide(path) as slide:
            expected = np.moveaxis(np.atleast_3d(image.array), -1, 0)
            np.testing.assert_array_equal(slide.read(0, 0, *slide.shape), expected)
            assert (slide.is_tiled, slide.spacing_um) == (False, image.spacing_um)
