"""Slabs of volumes."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from monai.transforms import RandFlipd

from data_modules import SlabDataModule
from data_modules.manifest import Record, write_manifest
from data_modules.slab_dataset import Slabs
from data_modules.splits import Splits, read_splits, records_hash, write_splits
from lotus.imaging import write_image
from lotus.masks import MaskValues
from lotus.transforms import DtypeRange

DEPTH, HEIGHT, WIDTH = 20, 24, 32


def voxels(seed=0):
    """Grey values whose class is known at sight: 4 classes of 64 values."""
    shape = DEPTH, HEIGHT, WIDTH
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def module(tmp_path):
    """A module over volumes `v0`, `v1`, ... of patients P0, P1, ... with masks of 0 ... 3."""

    def make(volumes=1, rows=({},), **options):
        records = []
        for number in range(volumes):
            tifffile.imwrite(tmp_path / f"v{number}.tif", voxels(number))
            tifffile.imwrite(tmp_path / f"v{number}_mask.tif", voxels(number) // 64)
            files = {"image": f"v{number}.tif", "mask": f"v{number}_mask.tif"}
            facts = {"mask_kind": "semantic", "modality": "ct", "group": "g", "pixel_size_um": 0.1}
            paths = {name: tmp_path / file for name, file in files.items()}
            base = Record(**paths, **facts, patient=f"P{number}", slice_spacing_um=0.2)
            records += [replace(base, **row) for row in rows]
        write_manifest(tmp_path / "manifest.csv", records)
        defaults = {"patch_size": 16, "batch_size": 4, "preprocessing": DtypeRange()}
        return SlabDataModule(tmp_path / "manifest.csv", "ct", **(defaults | options))

    return make


TEST_ROWS = ({"z_stop": 16}, {"z_start": 16, "split": "test"})


def samples(loader):
    for batch in loader:
        for number in range(len(batch["name"])):
            yield {key: value[number] for key, value in batch.items()}


def place_of(sample, volume, slices):
    """Where in a volume (Y, X) a crop of its slices was cut."""
    grey = (sample["image"][:, 0] * 255).round().numpy().astype(np.uint8)
    for y in range(volume.shape[1] - grey.shape[1] + 1):
        for x in range(volume.shape[2] - grey.shape[2] + 1):
            part = slice(y, y + grey.shape[1]), slice(x, x + grey.shape[2])
            if np.array_equal(volume[slices][:, *part], grey):
                return part
    raise AssertionError("the crop is nowhere in these slices")


@pytest.mark.parametrize("slices", [1, 3, 5])
def test_crops_are_neighbouring_slices_with_the_mask_of_the_middle_one(module, slices):
    data = module(rows=TEST_ROWS, slices=slices, gap=2)
    found = list(samples(data.train_dataloader()))
    assert {sample["z"].item() for sample in found} == set(range(9))
    for sample in found:
        z = sample["z"].item()
        assert sample["image"].shape == (slices, 1, 16, 16)
        assert sample["name"] == f"v0_z{z:04d}"
        neighbours = [min(max(z + d, 0), DEPTH - 1) for d in range(-(slices // 2), slices // 2 + 1)]
        part = place_of(sample, voxels(), neighbours)
        np.testing.assert_array_equal(sample["mask"], voxels()[z][part] // 64)
        assert "ignored" not in sample


def test_an_epoch_covers_every_slice_and_is_the_same_each_time(module):
    data = module(rows=TEST_ROWS)
    loader = data.train_dataloader()
    # 7 slices of 24 x 32 px in crops of 16 px.
    assert len(loader.sampler) == 7 * 2 * 2
    first = [s["name"] for s in samples(loader)]
    images = torch.stack([s["image"] for s in samples(loader)])
    again = module(rows=TEST_ROWS).train_dataloader()
    assert torch.equal(torch.stack([s["image"] for s in samples(again)]), images)
    loader.sampler.set_epoch(1)
    assert [s["name"] for s in samples(loader)] != first
    other = module(rows=TEST_ROWS, seed=1).train_dataloader()
    assert [s["name"] for s in samples(other)] != first


def test_centred_crops_have_a_voxel_of_a_drawn_class_in_their_middle(module, tmp_path):
    # Classes 1 and 3 have one voxel each; a crop anywhere holds one of them once in twenty times.
    mask = np.zeros((DEPTH, HEIGHT, WIDTH), np.uint8)
    places = {1: (10, 9), 3: (22, 1)}
    for value, place in places.items():
        mask[:, *place] = value
    data = module(rows=TEST_ROWS, centred_share=1.0, samples_per_epoch=64, patch_size=8)
    tifffile.imwrite(tmp_path / "v0_mask.tif", mask)
    data.setup("fit")
    found = [np.argwhere(each["mask"].numpy()) for each in samples(data.train_dataloader())]
    assert all(len(marked) == 1 for marked in found)
    # Of a window of eight the fifth row and column; less far in where the slice ends.
    middles = {(4, 4), (22 - (HEIGHT - 8), 1)}
    seen = [tuple(marked[0].tolist()) for marked in found]
    assert set(seen) == middles
    # Both classes take their turn, though neither is more frequent.
    assert 16 <= seen.count((4, 4)) <= 48


def test_a_share_of_the_crops_is_centred(module, tmp_path):
    mask = np.zeros((DEPTH, HEIGHT, WIDTH), np.uint8)
    mask[:, 0, 0] = 2
    data = module(rows=TEST_ROWS, centred_share=0.5, samples_per_epoch=200, patch_size=8)
    tifffile.imwrite(tmp_path / "v0_mask.tif", mask)
    data.setup("fit")
    marked = sum(bool(each["mask"].any()) for each in samples(data.train_dataloader()))
    assert 70 <= marked <= 130


def test_slices_of_background_are_cropped_anywhere(module, tmp_path):
    data = module(rows=TEST_ROWS, centred_share=1.0, patch_size=8)
    tifffile.imwrite(tmp_path / "v0_mask.tif", np.zeros((DEPTH, HEIGHT, WIDTH), np.uint8))
    data.setup("fit")
    assert all(each["image"].shape == (3, 1, 8, 8) for each in samples(data.train_dataloader()))


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_out_of_range_is_refused(module, share):
    with pytest.raises(ValueError, match=r"centred_share is .*; expected a share in \[0, 1\]"):
        module(centred_share=share)


def test_whole_slices_bring_their_neighbours(module):
    data = module(rows=TEST_ROWS, slices=5)
    found = list(samples(data.test_dataloader()))
    assert [sample["z"].item() for sample in found] == [16, 17, 18, 19]
    for sample in found:
        z = sample["z"].item()
        slab = np.clip(np.arange(z - 2, z + 3), 0, DEPTH - 1)
        np.testing.assert_array_equal((sample["image"][:, 0] * 255).round(), voxels()[slab])
        np.testing.assert_array_equal(sample["mask"], voxels()[z] // 64)
        assert sample["depth"].item() == DEPTH
        assert sample["spacing_um"].tolist() == [0.2, 0.1, 0.1]
    assert all("mask" not in sample for sample in samples(data.predict_dataloader()))


def test_volumetric_slabs_have_masks_of_all_slices(module):
    data = module(rows=TEST_ROWS, slices=4, output_slices=4)
    for sample in samples(data.train_dataloader()):
        z = sample["z"].item()
        assert 0 <= z <= data.blocks("train")[0].stop - 4
        part = place_of(sample, voxels(), list(range(z, z + 4)))
        np.testing.assert_array_equal(sample["mask"], voxels()[z : z + 4][:, *part] // 64)
        assert not sample["ignored"].any()
    (sample,) = samples(data.test_dataloader())
    # Every slice that a slab over slices 16 ... 19 can reach.
    assert sample["image"].shape == (4 + 2 * 3, 1, HEIGHT, WIDTH)
    assert sample["mask"].shape == (4, HEIGHT, WIDTH)


def test_slices_that_were_not_chosen_are_ignored_in_volumetric_slabs(module):
    data = module(rows=TEST_ROWS, slices=4, output_slices=4, training_slices=2)
    chosen = {z for _, z in data.training_dataset().chosen}
    assert len(chosen) == 2
    for sample in samples(data.train_dataloader()):
        known = {sample["z"].item() + n for n in range(4) if not sample["ignored"][n].any()}
        assert known
        assert known <= chosen
        assert not sample["mask"][sample["ignored"]].any()


def test_smaller_choices_of_slices_are_part_of_larger_ones(module):
    chosen = {
        count: module(2, TEST_ROWS, training_slices=count).training_dataset().chosen
        for count in (2, 5, 9)
    }
    assert chosen[9][:5] == chosen[5]
    assert chosen[5][:2] == chosen[2]
    # From as many volumes as possible.
    assert {block for block, _ in chosen[2]} == {0, 1}
    assert len(set(chosen[9])) == 9
    with pytest.raises(ValueError, match=r"training_slices is 99; expected 1 ... 14"):
        module(2, TEST_ROWS, training_slices=99).training_dataset()


def test_splits_are_blocks_that_a_split_file_keeps(module, tmp_path):
    data = module(rows=TEST_ROWS, splits=tmp_path / "splits.json")
    assert data.splits.train == ("P0/v0[0:7]",)
    assert data.splits.val == ("P0/v0[10:13]",)
    assert data.splits.test == ("P0/v0[16:20]",)
    assert read_splits(tmp_path / "splits.json") == data.splits
    other = module(rows=TEST_ROWS, splits=tmp_path / "splits.json", validation_share=0.5)
    assert other.splits == data.splits


def test_a_split_file_may_name_patients(module, tmp_path):
    data = module(3)
    hashed = records_hash(data.records)
    write_splits(tmp_path / "s.json", Splits(("P0",), ("P2",), ("P1",), 0, hashed, "drawn"))
    data.use_split_file(tmp_path / "s.json")
    for use, volume in (("train", "v0"), ("val", "v2"), ("test", "v1")):
        (block,) = data.blocks(use)
        assert (block.record.name, len(block)) == (volume, DEPTH)


def test_classes_may_count_as_others(module):
    data = module(
        rows=TEST_ROWS, class_names=["lcn", "shade_off", "bone"], merge={"shade_off": "bone"}
    )
    assert data.class_names == ["lcn", "bone"]
    for sample in samples(data.test_dataloader()):
        stored = voxels()[sample["z"].item()] // 64
        np.testing.assert_array_equal(sample["mask"], np.array([0, 1, 2, 2])[stored])


@pytest.mark.parametrize("kind", ["binary", "instances"])
def test_masks_of_objects_have_one_class(module, kind):
    rows = [{**row, "mask_kind": kind} for row in TEST_ROWS]
    for sample in samples(module(rows=rows, class_names=["pore"]).test_dataloader()):
        np.testing.assert_array_equal(sample["mask"], voxels()[sample["z"].item()] >= 64)
    with pytest.raises(ValueError, match=f"a mask of kind {kind} has one class; found the 3 class"):
        module(rows=rows).setup("fit")


def test_ignored_values_are_said(module):
    values = MaskValues.parse("ignore=3")
    data = module(rows=[{**row, "mask_values": values} for row in TEST_ROWS], class_names="ab")
    for sample in [*samples(data.train_dataloader()), *samples(data.test_dataloader())]:
        grey = (sample["image"][1, 0] * 255).round().numpy()
        np.testing.assert_array_equal(sample["ignored"], grey >= 192)
        np.testing.assert_array_equal(sample["mask"], np.where(grey >= 192, 0, grey // 64))


def test_masks_of_single_slices(module, tmp_path):
    rows = []
    for z in (2, 5, 9, 12):
        write_image(tmp_path / f"labels_{z}.tif", voxels()[z] // 64)
        rows.append({"mask": tmp_path / f"labels_{z}.tif", "z_start": z, "z_stop": z + 1})
    data = module(rows=rows, gap=2, validation_share=0.25)
    found = [*samples(data.train_dataloader()), *samples(data.val_dataloader())]
    assert {sample["z"].item() for sample in found} == {2, 5, 9, 12}
    for sample in samples(data.val_dataloader()):
        np.testing.assert_array_equal(sample["mask"], voxels()[12] // 64)
        np.testing.assert_array_equal((sample["image"][0, 0] * 255).round(), voxels()[11])


def test_mask_and_image_are_augmented_together(module):
    flip = [RandFlipd(["image", "mask"], prob=1.0, spatial_axis=0)]
    plain = next(iter(module(rows=TEST_ROWS).train_dataloader()))
    flipped = next(iter(module(rows=TEST_ROWS, augmentation=flip).train_dataloader()))
    assert torch.equal(plain["image"].flip(-2), flipped["image"])
    assert torch.equal(plain["mask"].flip(-2), flipped["mask"])


def test_small_slices_are_mirrored_and_channels_repeated(module):
    data = module(rows=TEST_ROWS, patch_size=40, in_channels=3)
    sample = next(samples(data.train_dataloader()))
    assert sample["image"].shape == (3, 3, 40, 40)
    assert torch.equal(sample["image"][:, 0], sample["image"][:, 2])
    z = sample["z"].item()
    framed = np.pad(voxels()[z] // 64, ((8, 8), (4, 4)), mode="reflect")
    np.testing.assert_array_equal(sample["mask"], framed)


def test_grey_values_are_mapped_by_limits_of_the_whole_volume(module, tmp_path):
    data = module(rows=TEST_ROWS, preprocessing=None)
    bright = voxels().astype(np.float32)
    bright[0] = np.nan
    bright[5] *= 10
    tifffile.imwrite(tmp_path / "v0.tif", bright)
    batch = next(iter(data.val_dataloader()))
    assert 0.0 < batch["image"].max() < 0.2


def test_sources_travel_to_other_processes(module):
    dataset = module(rows=TEST_ROWS).training_dataset()
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[3, 7]["image"], dataset[3, 7]["image"])


@pytest.mark.slow
def test_processes_that_load_give_what_one_gives(module):
    batches = [
        [batch["image"] for batch in module(rows=TEST_ROWS, num_workers=workers).train_dataloader()]
        for workers in (0, 2)
    ]
    assert len(batches[0]) == 7
    assert all(map(torch.equal, *batches))


def test_a_label_without_a_name_is_refused_with_its_slice(module):
    data = module(rows=TEST_ROWS, class_names=["lcn", "bone"])
    with pytest.raises(
        ValueError, match=r"v0_mask.tif: found label 3 in slice 16; allowed are 0 b"
    ):
        list(data.test_dataloader())


def test_a_mask_of_fractions_is_refused_and_one_of_whole_reals_is_read(module, tmp_path):
    data = module(rows=TEST_ROWS)
    tifffile.imwrite(tmp_path / "v0_mask.tif", (voxels() // 64).astype(np.float32))
    for sample in samples(data.test_dataloader()):
        np.testing.assert_array_equal(sample["mask"], voxels()[sample["z"].item()] // 64)
    other = module(rows=TEST_ROWS)
    tifffile.imwrite(tmp_path / "v0_mask.tif", np.full(voxels().shape, 0.5, np.float32))
    with pytest.raises(ValueError, match=r"v0_mask.tif holds float32 values such as 0.5 in slice"):
        list(other.test_dataloader())


def test_volumes_of_other_voxel_sizes_are_said(module):
    module(2, TEST_ROWS).setup("fit")
    data = module(2, TEST_ROWS)
    data.records[0] = replace(data.records[0], pixel_size_um=0.2)
    with pytest.warns(UserWarning, match=r"\[0.2, 0.1, 0.1\] to \[0.2, 0.2, 0.2\] µm large"):
        data.setup("fit")
    assert data.spacing_um == pytest.approx((0.2, 0.15, 0.15))


def test_a_voxel_size_that_nobody_knows_is_none(module):
    data = module(rows=[{"pixel_size_um": None, **row} for row in TEST_ROWS])
    data.setup("fit")
    assert data.spacing_um is None
    assert next(samples(data.val_dataloader()))["spacing_um"].isnan().tolist() == [
        False,
        True,
        True,
    ]


def test_a_volume_without_contrast_is_refused_by_name(module, tmp_path):
    data = module(preprocessing=None)
    tifffile.imwrite(tmp_path / "v0.tif", np.full((DEPTH, HEIGHT, WIDTH), 7, np.uint8))
    with pytest.raises(ValueError, match=r"v0.tif: image is constant \(7\)"):
        data.setup("fit")


def test_a_split_without_slices_is_refused(module):
    data = module()
    with pytest.raises(ValueError, match="split test has no annotated slice of ct; give rows with"):
        data.setup("test")


@pytest.mark.parametrize("wrong", [(4, 1), (3, 2), (3, 5), (3, 0)])
def test_slabs_without_a_middle_are_refused(wrong):
    with pytest.raises(ValueError, match=f"slices is {wrong[0]}, output_slices {wrong[1]}"):
        Slabs(*wrong)


@pytest.mark.parametrize("merge", [{"x": "a"}, {"a": "x"}, {"a": "b", "b": "c"}])
def test_unknown_classes_are_not_merged(module, merge):
    with pytest.raises(ValueError, match="expected classes among a, b, c"):
        module(class_names="abc", merge=merge)


def test_summary_counts_slices(module):
    summary = module(rows=TEST_ROWS, training_slices=4).summary()
    assert summary["training_images"] == 4
    assert summary["splits"]["test"] == {"images": 4, "annotated": 4, "volumes": 1, "patients": 1}
    assert summary["spacing_um"] == [0.2, 0.1, 0.1]
