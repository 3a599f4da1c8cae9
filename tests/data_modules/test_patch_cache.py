import multiprocessing
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tifffile

from data_modules.manifest import Record
from data_modules.patch_cache import PatchCache
from lotus.imaging.raster import write_image, write_label_map
from lotus.masks import MaskValues, mask_facts
from lotus.transforms import DtypeRange, PercentileRange, SRMicroCTEnhancement
from lotus.transforms.degradation import Degraded

LABELS = np.array([[0, 5, 5, 0, 0], [0, 0, 0, 0, 300], [7, 0, 0, 300, 300], [7, 7, 0, 0, 0]])


@pytest.fixture
def record(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    write_image(tmp_path / "a.tif", pixels, (0.5, 0.25))
    write_label_map(tmp_path / "a_mask.tif", LABELS)
    return Record(
        tmp_path / "a.tif", tmp_path / "a_mask.tif", "instances", "histology", "p", "g", None
    )


def as_kind(record, kind):
    return Record(**(vars(record) | {"mask_kind": kind}))


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    return tmp_path / "cache" if request.param == "disk" else None


def test_prepared_image_is_the_file_after_preprocessing(record, folder):
    cache = PatchCache(DtypeRange(), folder)
    prepared = cache.load(cache.add(record))
    expected = tifffile.imread(record.image).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(prepared.image, expected)
    assert prepared.image.dtype == np.float32
    np.testing.assert_array_equal(prepared.instances, LABELS)
    np.testing.assert_array_equal(prepared.mask, LABELS > 0)
    assert (prepared.instances.dtype, prepared.mask.dtype) == (np.uint16, np.uint8)
    assert prepared.spacing_um == pytest.approx((0.5, 0.25))
    assert prepared.classes == 1


def test_instances_of_masks_without_them_are_8_connected_components(record, folder):
    cache = PatchCache(DtypeRange(), folder)
    binary = cache.load(cache.add(as_kind(record, "binary")))
    # (0, 1-2) and the pixels of 7 and 300 are three components; 7 touches nothing diagonally.
    expected = np.array([[0, 1, 1, 0, 0], [0, 0, 0, 0, 2], [3, 0, 0, 2, 2], [3, 3, 0, 0, 0]])
    np.testing.assert_array_equal(binary.instances, expected)
    np.testing.assert_array_equal(binary.mask, LABELS > 0)
    semantic = cache.load(cache.add(as_kind(record, "semantic")))
    np.testing.assert_array_equal(semantic.mask, LABELS)
    np.testing.assert_array_equal(semantic.instances, expected)
    assert semantic.classes == 300


@pytest.mark.parametrize("background", [0, 3])
def test_labels_beyond_int32_stay_different_objects(record, folder, background):
    labels = np.where(LABELS, LABELS.astype(np.uint64) + 2**32, background)
    tifffile.imwrite(record.mask, labels)
    cache = PatchCache(DtypeRange(), folder)
    instances = cache.load(cache.add(record)).instances
    assert instances.max() <= 4
    assert (instances == 0).any() == (background == 0)
    pairs = set(zip(instances.ravel().tolist(), labels.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(labels)) == len(np.unique(instances))


def test_ignored_pixels_are_no_object_and_known(record, folder):
    values = MaskValues(ignore=300)
    cache = PatchCache(DtypeRange(), folder)
    whole = cache.load(cache.add(record))
    prepared = cache.load(cache.add(replace(record, mask_values=values)))
    np.testing.assert_array_equal(prepared.ignored, LABELS == 300)
    np.testing.assert_array_equal(prepared.instances, np.where(LABELS == 300, 0, LABELS))
    np.testing.assert_array_equal(prepared.mask, (LABELS > 0) & (LABELS != 300))
    assert prepared.facts == mask_facts(values.apply(LABELS))
    assert whole.ignored is None


def test_image_without_mask(record, folder):
    cache = PatchCache(DtypeRange(), folder)
    prepared = cache.load(cache.add(Record(**(vars(record) | {"mask": None}))))
    assert prepared.mask is None
    assert prepared.instances is None


def test_stale_entries_are_never_found(record, tmp_path):
    folder = tmp_path / "cache"
    keys = [PatchCache(DtypeRange(), folder).add(record)]
    keys.append(PatchCache(PercentileRange(), folder).add(record))
    keys.append(PatchCache(PercentileRange(upper=99.0), folder).add(record))
    write_label_map(record.mask, LABELS + 1)
    keys.append(PatchCache(DtypeRange(), folder).add(record))
    pixels = tifffile.imread(record.image)
    pixels[0, 0, 0] ^= 1
    write_image(record.image, pixels)
    cache = PatchCache(DtypeRange(), folder)
    keys.append(cache.add(record))
    assert len(set(keys)) == len(keys)
    np.testing.assert_array_equal(
        cache.load(keys[-1]).image, pixels.transpose(2, 0, 1) / np.float32(255)
    )


@pytest.mark.parametrize(
    ("called", "preprocessing"),
    [
        ("lotus.transforms.intensity_range", SRMicroCTEnhancement()),
        ("lotus.masks.morphology", SRMicroCTEnhancement()),
        ("lotus.transforms.intensity_range", Degraded(PercentileRange())),
        ("lotus.imaging.raster", DtypeRange()),
        ("lotus.masks.components", DtypeRange()),
    ],
)
def test_a_change_of_code_that_is_called_gives_another_key(
    record, monkeypatch, called, preprocessing
):
    """Of the functions of a preprocessing, of reading files, and of finding objects."""
    if isinstance(preprocessing, SRMicroCTEnhancement):
        write_image(record.image, np.random.default_rng(0).random((4, 5), np.float32))
    changed = Path(import_module(called).__file__)
    before = PatchCache(preprocessing, None).add(record)
    read_text = Path.read_text

    def with_a_change(path, *args, **options):
        return read_text(path, *args, **options) + "# changed\n" * (path == changed)

    monkeypatch.setattr(Path, "read_text", with_a_change)
    assert PatchCache(preprocessing, None).add(record) != before


def test_entry_is_reused_and_independent_of_the_place(record, tmp_path):
    folder = tmp_path / "cache"
    key = PatchCache(DtypeRange(), folder).add(record)
    before = (folder / key).stat().st_mtime_ns
    moved = record.image.rename(tmp_path / "moved.tif")
    again = Record(**(vars(record) | {"image": moved}))
    assert PatchCache(DtypeRange(), folder).add(again) == key
    assert (folder / key).stat().st_mtime_ns == before


def test_evicted_entries_are_opened_again(record, tmp_path, monkeypatch):
    monkeypatch.setattr("data_modules.patch_cache.OPEN_ENTRIES", 1)
    cache = PatchCache(DtypeRange(), tmp_path / "cache")
    first, second = cache.add(record), cache.add(as_kind(record, "semantic"))
    for key, kind in ((first, 1), (second, 300), (first, 1)):
        assert cache.load(key).classes == kind


def _add(arguments):
    record, folder = arguments
    return PatchCache(DtypeRange(), folder).add(record)


@pytest.mark.slow
def test_several_processes_fill_one_folder(record, tmp_path):
    folder = tmp_path / "cache"
    with multiprocessing.get_context("fork").Pool(3) as pool:
        keys = set(pool.map(_add, [(record, folder)] * 6))
    assert len(keys) == 1
    assert [path.name for path in folder.iterdir()] == list(keys)


def test_nothing_is_left_of_an_entry_that_could_not_be_made(record, tmp_path):
    write_label_map(record.mask, LABELS[:3])
    with pytest.raises(ValueError, match=r"a_mask\.tif: mask is 3 x 5; expected 4 x 5 as a\.tif"):
        PatchCache(DtypeRange(), tmp_path / "cache").add(record)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((4, 5), 9, np.uint8), "constant"),
        (np.full((4, 5), np.nan, np.float32), "NaN"),
        (np.zeros((4, 5, 4), np.uint8), "convert"),
        (np.arange(120, dtype=np.uint16).reshape(6, 4, 5), "stack|2-D|pages|planes"),
        (np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5), r"expected \[0, 1\]"),
    ],
    ids=["constant", "nan", "rgba", "stack", "range"],
)
def test_unusable_images_are_one_line_with_the_file(record, tmp_path, pixels, message):
    bad = tmp_path / "bad.tif"
    tifffile.imwrite(bad, pixels, photometric="rgb" if pixels.shape[-1] == 4 else "minisblack")
    with pytest.raises(ValueError, match=message) as error:
        PatchCache(DtypeRange(), None).add(Record(**(vars(record) | {"image": bad})))
    assert "bad.tif" in str(error.value)
    assert "\n" not in str(error.value)
