import numpy as np
import pytest

from data_modules.manifest import Record
from data_modules.patches import read_patches, write_patches
from data_modules.tiles import choose_tiles, tiles_of
from lotus.imaging.raster import write_image
from lotus.transforms.tiles import tissue_mask, window_shares


@pytest.fixture
def fluorescence():
    """A dark field of 32 x 48 px, noisy, with faint bone in columns 20 to 39 and a bright label."""
    random = np.random.default_rng(0)
    pixels = random.normal(100, 4, (32, 48))
    pixels[:, 20:40] += 300
    pixels[10:14, 20:40] = 2500
    return pixels.round().astype(np.uint16)


@pytest.fixture
def trichrome():
    """A white slide of 32 x 48 px with blue bone in columns 20 to 39 and a red seam, (Y, X, 3)."""
    pixels = np.random.default_rng(0).integers(244, 253, (32, 48, 3)).astype(np.uint8)
    pixels[:, 20:38] = (70, 110, 170)
    pixels[:, 38:40] = (170, 50, 70)
    pixels[0, 0] = 0  # A speck of dirt.
    return pixels


def test_faint_bone_is_tissue_and_a_dark_field_is_not(fluorescence):
    found = tissue_mask(fluorescence[None])
    assert found[:, 20:40].all()
    assert not found[:, :20].any()
    assert not found[:, 40:].any()


def test_stained_bone_is_tissue_and_a_white_slide_is_not(trichrome):
    found = tissue_mask(np.moveaxis(trichrome, -1, 0))
    assert found[:, 20:40].all()
    assert not found[:, :20].any()
    assert not found[:, 40:].any()


def test_the_brightest_of_a_dark_field_is_no_empty_slide(fluorescence):
    unlabelled = np.minimum(fluorescence, 400)[None]
    assert tissue_mask(unlabelled)[:, 20:40].all()
    np.testing.assert_array_equal(tissue_mask(unlabelled.repeat(3, 0)), tissue_mask(unlabelled))


def test_tissue_does_not_depend_on_type_and_exposure(fluorescence):
    plain = tissue_mask(fluorescence[None])
    scaled = (fluorescence[None] * 1e-4 + 5).astype(np.float32)
    np.testing.assert_array_equal(tissue_mask(scaled), plain)


def test_values_that_are_not_finite_and_constant_images_are_no_tissue(fluorescence):
    pixels = fluorescence[None].astype(np.float32)
    pixels[0, 16, 24:32] = np.nan
    found = tissue_mask(pixels)
    assert not found[16, 24:32].any()
    assert found[17, 24:32].all()
    assert not tissue_mask(np.full((3, 16, 16), 255, np.uint8)).any()
    assert not tissue_mask(np.full((1, 16, 16), np.nan, np.float32)).any()


def test_shares_of_windows():
    mask = np.zeros((6, 8), bool)
    mask[:3, :4] = True
    corners = np.array([[0, 0], [1, 2], [2, 4]])
    assert window_shares(mask, corners, 4).tolist() == [12 / 16, 4 / 16, 0.0]


def test_nearly_empty_tiles_are_left_out(fluorescence):
    # Tiles of 8 px start at columns 0, 4, 8 of a region; three regions of 16 px in a row.
    chosen = choose_tiles(fluorescence[None], region=16, minimum_tissue=0.6)
    assert chosen.size == 8
    assert set(chosen.corners[:, 1].tolist()) == {20, 24, 32}
    assert len(chosen) == 2 * (1 + 2 + 2)
    fuller = choose_tiles(fluorescence[None], region=16, minimum_tissue=0.05)
    assert set(fuller.corners[:, 1].tolist()) == {16, 20, 24, 32, 36}


def test_shares_of_large_tiles_are_near_those_of_all_pixels():
    rows, columns = np.mgrid[:700, :521]
    disc = (rows - 300) ** 2 + (columns - 200) ** 2 < 190**2
    pixels = np.where(disc, 150, 3)[None].astype(np.uint8)
    chosen = choose_tiles(pixels, minimum_tissue=0.0)
    assert chosen.size == 224
    whole = [disc[chosen.window(number)].mean() for number in range(len(chosen))]
    np.testing.assert_allclose(chosen.bone_fraction, whole, atol=0.03)
    assert chosen.bone_fraction.max() > 0.9
    assert chosen.bone_fraction.min() < 0.2


def test_an_empty_image_keeps_its_fullest_tile():
    pixels = np.random.default_rng(0).integers(0, 3, (1, 16, 16)).astype(np.uint8)
    pixels[0, 0, 0] = 255
    pixels[0, 13:15, 14] = 120
    assert choose_tiles(pixels, region=8, minimum_tissue=0.5).corners.tolist() == [[12, 12]]


def test_a_file_gives_the_tiles_of_its_pixels_and_a_table_keeps_them(tmp_path, trichrome):
    path = tmp_path / "roi.png"
    write_image(path, trichrome)
    record = Record(path, None, "semantic", "trichrome", "p", "unknown", None)
    found = tiles_of(record, region=16)
    expected = choose_tiles(np.moveaxis(trichrome, -1, 0), region=16)
    np.testing.assert_array_equal(found.corners, expected.corners)
    write_patches(tmp_path / "trichrome.csv", [(record, found)])
    read = read_patches(tmp_path / "trichrome.csv", [record])["roi"]
    np.testing.assert_array_equal(read.corners, found.corners)
    assert read.size == 8


def test_a_file_that_is_smaller_than_a_tile_is_named(tmp_path, trichrome):
    path = tmp_path / "roi.png"
    write_image(path, trichrome)
    record = Record(path, None, "semantic", "trichrome", "p", "unknown", None)
    with pytest.raises(ValueError, match=r"roi.png: the image is 32 x 48 px; .* of 224 x 224 px"):
        tiles_of(record)
