import numpy as np
import pytest
import torch
from monai.transforms import RandFlipd

from data_modules import PatchSegmentationDataModule
from data_modules.folds import make_folds
from data_modules.manifest import Record, write_manifest
from data_modules.patches import choose_patches, write_patches
from lotus.imaging.raster import read_image, write_image, write_label_map
from lotus.masks import MaskValues
from lotus.transforms.intensity_range import DtypeRange


@pytest.fixture
def module(tmp_path):
    """Slices of 16 x 24 px, all tissue: 6 patches of 8 px; the first patch of s0 is ignored."""

    def make(patients="abcdef", annotated=None, with_table=None, **options):
        records = []
        for number, patient in enumerate(patients):
            pixels = np.random.default_rng(number).integers(1, 255, (16, 24)).astype(np.uint8)
            mask = (pixels > 128).astype(np.uint8)
            if number == 0:
                mask[:8, :8] = 255
            files = {k: tmp_path / f"{k}/s{number}.png" for k in ("image", "mask", "tissue")}
            write_image(files["image"], pixels)
            write_label_map(files["mask"], mask)
            write_label_map(files["tissue"], np.full((16, 24), 255, np.uint8))
            if annotated is not None and number not in annotated:
                files["mask"] = None
            values = {"mask_kind": "binary", "modality": "ct", "mask_values": IGNORE}
            group, split = "xy"[number % 2], "train" if number < 2 else None
            row = {"patient": patient, "group": group, "pixel_size_um": number + 1.0}
            records.append(Record(**files, **values, **row, split=split))
        write_manifest(tmp_path / "manifest.csv", records)
        listed = [r for i, r in enumerate(records) if with_table is None or i in with_table]
        chosen = [(record, choose_patches(record, size=8, stride=8)) for record in listed]
        write_patches(tmp_path / "patches.csv", chosen)
        defaults = {"patch_size": 12, "batch_size": 4, "preprocessing": DtypeRange()}
        return PatchSegmentationDataModule(
            tmp_path / "manifest.csv", "ct", tmp_path / "patches.csv", **(defaults | options)
        )

    return make


IGNORE = MaskValues.parse("ignore=255")
SPLIT = {"split_fractions": (0.34, 0.33, 0.33)}


def test_patches_are_whole_known_and_in_a_mirrored_margin(module, tmp_path):
    data = module(**SPLIT)
    samples = [s for batch in data.train_dataloader() for s in unbatched(batch)]
    assert sorted({s["name"] for s in samples}) == ["s0", "s1"]
    # The patch of which nothing is known is left out.
    assert len(samples) == 6 + 5
    seen = set()
    for sample in samples:
        assert sample["image"].shape == (3, 12, 12)
        assert not sample["ignored"].any()
        pixels = read_image(tmp_path / f"image/{sample['name']}.png").array
        patch = (sample["image"][0, 2:10, 2:10] * 255).round().numpy().astype(np.uint8)
        (place,) = [
            (y, x)
            for y in (0, 8)
            for x in (0, 8, 16)
            if np.array_equal(pixels[y : y + 8, x : x + 8], patch)
        ]
        seen.add((sample["name"], *place))
        framed = np.pad(patch, 2, mode="reflect")
        np.testing.assert_array_equal((sample["image"][0] * 255).round(), framed)
        np.testing.assert_array_equal(sample["mask"], framed > 128)
        np.testing.assert_array_equal(sample["instances"] > 0, framed > 128)
    assert len(seen) == 11


def unbatched(batch):
    return [{key: value[i] for key, value in batch.items()} for i in range(len(batch["name"]))]


def test_the_margin_moves_with_the_patch(module):
    flip = [RandFlipd(["image", "mask", "instances"], prob=1.0, spatial_axis=0)]
    plain = next(iter(module(patch_size=9, **SPLIT).train_dataloader()))
    flipped = next(iter(module(patch_size=9, augmentation=flip, **SPLIT).train_dataloader()))
    assert torch.equal(plain["mask"].flip(1), flipped["mask"])
    assert torch.equal(plain["mask"][:, -1], plain["mask"][:, -3])


def test_slices_validate_whole_and_keep_their_pixel_size(module):
    data = module(**SPLIT)
    batch = next(iter(data.val_dataloader()))
    assert batch["image"].shape == (1, 3, 16, 24)
    assert "network_size" not in batch
    assert not data.resamples


def test_annotated_training_slices_need_patches_and_others_do_not(module):
    data = module(with_table=[0, 1], **SPLIT)
    data.setup("fit")
    lacking = module(with_table=[0, 2], **SPLIT)
    with pytest.raises(ValueError, match=r"patches.csv: slice 's1' has no patch in the table"):
        lacking.check_splits(lacking.splits)
    module(with_table=[0, 2, 3, 4, 5], annotated=[0, 2, 3, 4, 5], **SPLIT).setup("fit")


def test_patches_larger_than_what_the_network_sees_are_refused(module):
    with pytest.raises(ValueError, match="patch_size is 7; expected at least the patches' 8"):
        module(patch_size=7, **SPLIT).train_dataloader()


def test_folds_have_every_group_in_every_set(module):
    data = module()
    for split in make_folds(data.records, 3, needs=data.needs).splits:
        for name in ("train", "val", "test"):
            assert {record.group for record in data.select(name, split)} == {"x", "y"}


def test_shuffled_groups_are_those_of_the_classifier(module):
    plain, other = module(), module(shuffled_groups=0)
    assert [r.patient for r in plain.records] == [r.patient for r in other.records]
    assert sorted(r.group for r in other.records) == sorted(r.group for r in plain.records)
    assert [r.group for r in plain.records] != [r.group for r in other.records]
