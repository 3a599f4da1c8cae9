from itertools import pairwise

import numpy as np
import pytest

from data_modules.manifest import read_manifest
from data_modules.paired import PairedDataModule
from data_modules.patch_cache import PatchCache
from data_modules.pixel_sizes import median_spacing, native_spacing, resampling_of
from data_modules.segmentation import SegmentationDataModule
from lotus.imaging.raster import read_image, write_image
from lotus.transforms.intensity_range import DtypeRange
from lotus.transforms.resampling import Resampling

SIZES = [0.5, 1.0, 2.0]
SPLITS = ["train", "val", "test"]
SIZE = (20, 24)


def rows(sizes, splits=SPLITS):
    pairs = enumerate(zip(sizes, splits, strict=True))
    return [{"patient": f"p{i}", "split": s, "pixel_size_um": size} for i, (size, s) in pairs]


@pytest.fixture
def module(draw_dataset):
    def make(sizes=SIZES, splits=SPLITS, name="data", **options):
        defaults = {"preprocessing": DtypeRange(), "patch_size": 8, "batch_size": 1}
        manifest = draw_dataset(rows(sizes, splits), SIZE, name=name)
        return SegmentationDataModule(manifest, "microct", **(defaults | options))

    return make


def test_the_median_is_that_of_all_images_whatever_their_split(module):
    data = module()
    assert (data.spacing_um, data.resamples) == ((1.0, 1.0), True)
    assert module([None, 0.65, 0.65]).spacing_um == (0.65, 0.65)
    assert module([None, None, None]).spacing_um is None
    assert module(spacing_um="native").spacing_um == (1.0, 1.0)


def test_training_images_are_resampled_and_whole_ones_stay_native(module):
    data = module()
    for stage in ("fit", "test"):
        data.setup(stage)
    train = data.training_dataset().source
    prepared = train.prepared(0)
    (record,) = data.select("train")
    pixels = read_image(record.image).array[None] / np.float32(255)
    grids = Resampling(SIZE, (10, 12))
    np.testing.assert_array_equal(prepared.image, grids.image(pixels))
    assert prepared.instances.shape == prepared.mask.shape == (10, 12)
    assert set(np.unique(prepared.instances)) <= {0, 1, 2}
    assert train.spacing_um(0).tolist() == [1.0, 1.0]
    (val,), (test,) = data.val_dataloader(), data.test_dataloader()
    assert "network_size" not in val
    assert test["network_size"].tolist() == [[40, 48]]
    for batch, size in ((val, 1.0), (test, 2.0)):
        assert batch["image"].shape[-2:] == batch["instances"].shape[-2:] == SIZE
        assert batch["spacing_um"].tolist() == [[size, size]]


def test_equal_sizes_change_nothing_and_share_their_entries(draw_dataset, tmp_path):
    manifest = draw_dataset(rows([0.5] * 3))

    def found(**options):
        data = SegmentationDataModule(manifest, "microct", cache=tmp_path / "cache", **options)
        data.setup("fit")
        (batch,) = data.train_dataloader()
        return batch

    one, other = found(), found(spacing_um="native")
    assert all((one[key] == other[key]).all() for key in ("image", "instances", "spacing_um"))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_native_takes_images_as_they_are(module):
    data = module(spacing_um="native")
    data.setup("test")
    (batch,) = data.test_dataloader()
    assert "network_size" not in batch
    assert data.training_dataset().source.prepared(0).image.shape[1:] == SIZE
    assert not data.resamples


@pytest.mark.parametrize(("given", "size"), [(1.0, (10, 12)), ((0.5, 2.0), (20, 6))])
def test_a_given_size_counts(module, given, size):
    data = module(spacing_um=given)
    assert data.training_dataset().source.prepared(0).image.shape[1:] == size
    assert data.spacing_um == (given if isinstance(given, tuple) else (given, given))


@pytest.mark.parametrize("given", [0.0, -1.0, (1.0, float("nan")), "mean"])
def test_a_size_that_is_none_is_refused(module, given):
    with pytest.raises(ValueError, match=r"spacing_um is .*; expected a pixel size in µm"):
        module(spacing_um=given)


def test_pixels_that_are_not_square_are_those_of_the_file(draw_dataset):
    manifest = draw_dataset(rows([None, 1.0, 1.0]), SIZE)
    records = read_manifest(manifest)
    stated = records[0].image.with_suffix(".tif")
    write_image(stated, read_image(records[0].image).array, (0.5, 2.0))
    record = type(records[0])(**(vars(records[0]) | {"image": stated}))
    assert native_spacing(record) == pytest.approx((0.5, 2.0))
    assert median_spacing([record, *records[1:]]) == (1.0, 1.0)
    assert resampling_of(record, (1.0, 1.0)) == Resampling(SIZE, (10, 48))


def test_an_image_of_unknown_size_stays_as_it_is(module):
    data = module([None, 0.5, 1.0, 2.0], ["train", "train", "val", "test"])
    data.setup("fit")
    source = data.training_dataset().source
    sizes = [source.prepared(index).image.shape[1:] for index in range(2)]
    assert sizes == [SIZE, (10, 12)]


def test_what_is_done_is_said_once(module, monkeypatch):
    said = []
    monkeypatch.setattr("data_modules.segmentation.rank_zero_info", said.append)
    module([None, 0.5, 1.0, 2.0], ["train", "train", "val", "test"]).setup("fit")
    assert said == [
        "microct: 1 of 2 images are resampled to 1 µm per pixel (found: 0.5 µm; spacing_um: native "
        "takes them as they are); 1 of 2 images have no pixel size and are taken to have 1 µm"
    ]
    said.clear()
    module([1.0] * 3).setup("fit")
    assert said == []


def test_an_impossible_size_names_the_image(module):
    with pytest.raises(ValueError, match=r"i000\.png: pixels are 0\.01 µm.*spacing_um: native"):
        module([0.01, 1.0, 1.0]).setup("fit")


def test_entries_of_other_sizes_are_never_found(module, tmp_path):
    (record,) = module().select("train")
    cache = PatchCache(DtypeRange(), tmp_path / "cache")
    grids = [None, Resampling(SIZE, (10, 12)), Resampling(SIZE, (10, 24))]
    keys = [cache.add(record, each) for each in grids]
    assert len(set(keys)) == 3
    shapes = [cache.load(key).image.shape[1:] for key in keys]
    assert shapes == [SIZE, (10, 12), (10, 24)]


def test_partners_are_resampled_alike(module):
    student = module([0.5, 1.0, 1.0])
    # One more image of the teacher's, so that its own median is another.
    teacher = module([0.5, 0.5, 0.5, 1.0], [*SPLITS, "train"], name="teacher")
    assert student.spacing_um != teacher.spacing_um
    paired = PairedDataModule(student, teacher)
    paired.setup("fit")
    sizes = [
        part.source.prepared(0).image.shape
        for part in (paired.training_dataset().student, paired.training_dataset().teacher)
    ]
    assert all(one == other for one, other in pairwise(sizes))
    assert sizes[0] == (1, 10, 12)
