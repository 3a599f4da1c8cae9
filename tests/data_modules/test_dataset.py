import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import RandFlipd, RandGaussianNoised, RandRotate90d, RandRotated
from torch.utils.data import default_collate

from data_modules.dataset import ImageSource, SegmentationDataset, WholeImageDataset
from data_modules.manifest import read_manifest
from data_modules.patch_cache import PatchCache
from lotus.imaging import write_label_map
from lotus.masks import MaskValues
from lotus.transforms.intensity_range import DtypeRange

KEYS = ["image", "mask", "instances"]


@pytest.fixture
def source(draw_dataset):
    def make(rows=({"patient": "p0"}, {"patient": "p1", "group": "osteoporotic"}), **options):
        drawing = {key: options.pop(key) for key in ("size", "channels") if key in options}
        records = read_manifest(draw_dataset(rows, **drawing))
        settings = {"groups": ["healthy", "osteoporotic"], "class_names": ["cell"]}
        settings |= {"in_channels": 3} | options
        return ImageSource(records, PatchCache(DtypeRange(), None), **settings)

    return make


def test_sample_follows_the_batch_contract(source):
    sample = SegmentationDataset(source(), 16, [])[1, 0]
    assert (sample["image"].shape, sample["image"].dtype) == ((3, 16, 16), torch.float32)
    assert (sample["mask"].shape, sample["mask"].dtype) == ((16, 16), torch.int64)
    assert (sample["instances"].shape, sample["instances"].dtype) == ((16, 16), torch.int32)
    assert sample["label"].dtype == torch.int64
    assert int(sample["label"]) == 1
    assert sample["spacing_um"].dtype == torch.float64
    assert sample["spacing_um"].tolist() == [0.5, 0.5]
    assert (sample["name"], sample["patient"], sample["group"]) == ("i001", "p1", "osteoporotic")


def test_pixel_sizes_are_not_rounded(source):
    sample = WholeImageDataset(source([{"patient": "p", "pixel_size_um": 1.6}]))[0]
    assert sample["spacing_um"].tolist() == [1.6, 1.6]


def test_unknown_pixel_size_is_nan(source):
    sample = WholeImageDataset(source([{"patient": "p", "pixel_size_um": None}]))[0]
    assert sample["spacing_um"].isnan().all()


def test_crops_are_cut_from_the_image_and_reach_everywhere(source):
    images = source()
    whole = WholeImageDataset(images)[0]
    dataset = SegmentationDataset(images, 16, [])
    corners = set()
    for seed in range(300):
        sample = dataset[0, seed]
        found = [
            (row, column)
            for row in range(5)
            for column in range(9)
            if torch.equal(sample["image"], whole["image"][:, row : row + 16, column : column + 16])
        ]
        assert len(found) == 1
        row, column = found[0]
        window = (slice(row, row + 16), slice(column, column + 16))
        assert torch.equal(sample["mask"], whole["mask"][window])
        assert torch.equal(sample["instances"], whole["instances"][window])
        corners.add(found[0])
    assert len(corners) == 5 * 9


def test_small_images_are_mirrored_to_the_patch_size(source):
    images = source(size=(20, 24))
    sample = SegmentationDataset(images, 30, [])[0, 0]
    whole = WholeImageDataset(images)[0]
    expected = np.pad(whole["image"].numpy(), ((0, 0), (5, 5), (3, 3)), mode="reflect")
    np.testing.assert_array_equal(sample["image"], expected)
    mask = np.pad(whole["mask"].numpy(), ((5, 5), (3, 3)), mode="reflect")
    np.testing.assert_array_equal(sample["mask"], mask)


def test_the_seed_decides_crop_and_augmentation(source):
    augmentation = [
        RandFlipd(KEYS, prob=0.5, spatial_axis=0),
        RandRotate90d(KEYS, prob=0.5),
        RandGaussianNoised(["image"], prob=1.0, std=0.1),
    ]
    images = source()
    one, other = (SegmentationDataset(images, 16, augmentation) for _ in range(2))
    other[0, 99]
    samples = [one[0, seed]["image"] for seed in range(20)]
    for seed in reversed(range(20)):
        assert torch.equal(other[0, seed]["image"], samples[seed])
    assert len({sample.numpy().tobytes() for sample in samples}) == 20


def test_augmentation_moves_image_and_masks_together(source):
    images = source()
    for seed in range(20):
        plain = SegmentationDataset(images, 20, [])[0, seed]
        flipped = SegmentationDataset(images, 20, [RandFlipd(KEYS, prob=1.0, spatial_axis=1)])
        for key in KEYS:
            assert torch.equal(flipped[0, seed][key], plain[key].flip(-1))


def test_interpolated_masks_keep_their_labels_and_types(source):
    rotation = RandRotated(
        KEYS, range_x=1.0, prob=1.0, mode=["bilinear", "nearest", "nearest"], padding_mode="zeros"
    )
    sample = SegmentationDataset(source(), 20, [rotation])[0, 3]
    assert (sample["mask"].dtype, sample["instances"].dtype) == (torch.int64, torch.int32)
    assert set(sample["instances"].unique().tolist()) <= {0, 1, 2}
    assert not isinstance(sample["image"], MetaTensor)


@pytest.mark.parametrize(("channels", "in_channels"), [(1, 1), (1, 3), (3, 3)])
def test_channels(source, channels, in_channels):
    whole = WholeImageDataset(source(channels=channels, in_channels=in_channels))[0]
    assert whole["image"].shape == (in_channels, 20, 24)
    if channels == 1:
        assert (whole["image"] == whole["image"][:1]).all()


def test_colour_images_do_not_fit_a_network_of_one_channel(source):
    with pytest.raises(ValueError, match=r"i000\.png: image has 3 channels, the network takes 1"):
        source(channels=3, in_channels=1)


def test_labels_outside_the_classes(source):
    rows = [{"patient": "p", "mask_kind": "semantic"}]
    assert WholeImageDataset(source(rows, class_names=["a", "b"]))[0]["mask"].max() == 2
    message = r"i000\.tif: found label 2; allowed are 0 background, 1 cell"
    with pytest.raises(ValueError, match=message):
        source(rows)


def test_label_maps_have_one_class(source):
    with pytest.raises(ValueError, match="has one class; found the 2 class names a, b"):
        source(class_names=["a", "b"])


def test_images_without_mask_have_pixels_only(source):
    sample = WholeImageDataset(source([{"patient": "p", "mask": None}]))[0]
    assert "mask" not in sample
    assert "instances" not in sample
    assert sample["image"].shape == (3, 20, 24)


def test_ignored_pixels_move_with_the_mask(source):
    images = source([{"patient": "p", "mask_values": MaskValues(ignore=2)}])
    whole = WholeImageDataset(images)[0]
    assert whole["ignored"].dtype == torch.bool
    assert whole["ignored"].sum() == 25
    assert set(whole["instances"].unique().tolist()) == {0, 1}
    assert not whole["mask"][whole["ignored"]].any()
    flip = RandFlipd(KEYS, prob=1.0, spatial_axis=1)
    for seed in range(10):
        plain, flipped = (SegmentationDataset(images, 20, steps)[0, seed] for steps in ([], [flip]))
        for key in ("ignored", "mask", "instances"):
            assert torch.equal(flipped[key], plain[key].flip(-1))
    mirrored = SegmentationDataset(images, 30, [])[0, 0]["ignored"]
    expected = np.pad(whole["ignored"].numpy(), ((5, 5), (3, 3)), mode="reflect")
    np.testing.assert_array_equal(mirrored, expected)


def test_samples_of_one_source_make_a_batch(source):
    rows = [{"patient": "p", "mask_values": MaskValues(ignore=2)}, {"patient": "q"}]
    images = WholeImageDataset(source(rows))
    batch = default_collate([images[0], images[1]])
    assert batch["ignored"].sum(dim=(1, 2)).tolist() == [25, 0]
    assert "ignored" not in WholeImageDataset(source())[0]


def test_masks_that_can_be_read_in_two_ways_are_not_trained_on(source, tmp_path):
    values = np.ones((20, 24), np.uint8)
    values[3:9, 4:9] = 2
    write_label_map(tmp_path / "mask.png", values)
    row = {"patient": "p", "mask": tmp_path / "mask.png", "mask_kind": "binary"}
    with pytest.raises(ValueError, match="say which value it is, such as mask_values background=1"):
        source([row])
    said = source([row | {"mask_values": MaskValues.parse("background=1 object=2")}])
    assert WholeImageDataset(said)[0]["mask"].sum() == 30
