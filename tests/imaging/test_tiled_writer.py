import errno
import tracemalloc

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lotus.imaging.raster import read_image, read_label_map
from lotus.imaging.tiled_writer import TiledWriter, write_tiled


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    height=st.integers(1, 50),
    tile=st.sampled_from([16, 32, 64]),
    dtype=st.sampled_from(["uint8", "uint16", "uint32"]),
)
def test_bands_of_any_height_give_the_image(tmp_path, size, height, tile, dtype):
    labels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, size)
    path = tmp_path / "a.ome.tif"
    bands = (labels[y : y + height] for y in range(0, size[0], height))
    write_tiled(path, size, dtype, bands, tile=tile, spacing_um=(0.5, 0.25))
    np.testing.assert_array_equal(read_label_map(path), labels)
    assert read_label_map(path).dtype == dtype
    assert read_image(path).spacing_um == (0.5, 0.25)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.pages.first.tile == (tile, tile)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_memory_is_a_few_rows_of_tiles(tmp_path):
    height, width = 2048, 1024
    rows = np.arange(64 * width, dtype=np.uint32).reshape(64, width)
    tracemalloc.start()
    write_tiled(tmp_path / "a.tif", (height, width), np.uint32, (rows for _ in range(32)), tile=128)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < height * width * 4 / 4
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.tif")[-64:], rows)


def test_two_files_in_one_pass(tmp_path):
    labels = np.arange(40 * 30).reshape(40, 30)
    with (
        TiledWriter(tmp_path / "labels.tif", (40, 30), np.uint16, tile=16) as first,
        TiledWriter(tmp_path / "probability.tif", (40, 30), np.uint8, tile=16) as second,
    ):
        for y in range(0, 40, 8):
            first.write(labels[y : y + 8])
            second.write(labels[y : y + 8] % 256)
    np.testing.assert_array_equal(read_label_map(tmp_path / "labels.tif"), labels)
    np.testing.assert_array_equal(read_label_map(tmp_path / "probability.tif"), labels % 256)


def bands(*arrays, error=None):
    yield from arrays
    if error is not None:
        raise error


@pytest.mark.parametrize(
    ("rows", "kind", "words"),
    [
        (bands(np.zeros((9, 20), int)), ValueError, "9 rows of 40"),
        (bands(np.zeros((41, 20), int)), ValueError, "41 rows of 40"),
        (bands(np.zeros((40, 21), int)), ValueError, r"\(rows, 20\)"),
        (bands(np.zeros((40, 20))), ValueError, "float64"),
        (bands(np.full((40, 20), 256)), ValueError, "do not fit uint8"),
        (bands(np.full((40, 20), -1)), ValueError, "do not fit uint8"),
        (bands(np.zeros((20, 20), int), error=OSError(errno.ENOSPC, "full")), OSError, "full"),
    ],
)
def test_errors_leave_the_older_file(tmp_path, rows, kind, words):
    path = tmp_path / "a.tif"
    path.write_bytes(b"older")
    with pytest.raises(kind, match=words):
        write_tiled(path, (40, 20), np.uint8, rows, tile=16)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "tile", "spacing_um"),
    [
        ("a.png", (8, 8), "uint8", 16, None),
        ("a.tif", (8, 8), "float32", 16, None),
        ("a.tif", (8, 8), "uint8", 20, None),
        ("a.tif", (0, 8), "uint8", 16, None),
        ("a.tif", (8, 8), "uint8", 16, (0.0, 1.0)),
    ],
)
def test_impossible_files_are_refused_at_once(tmp_path, name, shape, dtype, tile, spacing_um):
    with pytest.raises(ValueError, match=r"expected|use uint|\.tif"):
        TiledWriter(tmp_path / name, shape, dtype, tile=tile, spacing_um=spacing_um)
    assert list(tmp_path.iterdir()) == []
