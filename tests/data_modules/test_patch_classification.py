import json

import jsonargparse
import numpy as np
import pytest
import torch
from monai.transforms import RandFlipd
from torch.nn.functional import interpolate

from data_modules.folds import make_folds
from data_modules.manifest import Record, write_manifest
from data_modules.patch_classification import PatchClassificationDataModule
from data_modules.patches import choose_patches, write_patches
from lotus.imaging.raster import read_image, write_image, write_label_map
from lotus.transforms.intensity_range import DtypeRange

SIZE = 8


def draw_slices(folder, rows):
    """Slices of 24 x 32 px, whose left half is tissue: 6 of 12 patches of 8 px; with masks."""
    records = []
    for number, row in enumerate(rows):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32)).astype(np.uint8)
        tissue = np.zeros((24, 32), np.uint8)
        tissue[:, :16] = 255
        files = {kind: folder / f"{kind}/s{number:02d}.png" for kind in ("image", "tissue", "mask")}
        write_image(files["image"], pixels)
        write_label_map(files["tissue"], tissue)
        write_label_map(files["mask"], (pixels > 200).astype(np.uint8))
        values = {"modality": "ct", "mask_kind": "binary", "pixel_size_um": 2.0}
        records.append(Record(**(files | values | row)))
    write_manifest(folder / "manifest.csv", records)
    return records


def write_table(folder, records):
    chosen = [(record, choose_patches(record, size=SIZE, stride=SIZE)) for record in records]
    write_patches(folder / "patches.csv", chosen)


def people(*groups, slices=1):
    """Rows of patients p0, p1, ... of these groups."""
    return [
        {"patient": f"p{number}", "group": group}
        for number, group in enumerate(groups)
        for _ in range(slices)
    ]


@pytest.fixture
def module(tmp_path):
    def make(rows, **options):
        write_table(tmp_path, draw_slices(tmp_path, rows))
        defaults = {"resize": 16, "batch_size": 4, "preprocessing": DtypeRange()}
        return PatchClassificationDataModule(
            tmp_path / "manifest.csv", "ct", tmp_path / "patches.csv", **(defaults | options)
        )

    return make


TWELVE = people(*["healthy", "osteoporotic"] * 6)


def epoch(loader, number=0):
    loader.sampler.set_epoch(number)
    return list(loader)


def test_a_sample_is_the_resized_patch_with_what_is_known_of_it(module, tmp_path):
    data = module(TWELVE)
    data.setup("test")
    batch, *others = data.test_dataloader()
    assert batch["image"].shape == (4, 3, 16, 16)
    number = int(batch["slice"][1][1:])
    assert batch["name"][1] == f"s{number:02d}@0,8"
    pixels = read_image(tmp_path / f"image/s{number:02d}.png").array[0:8, 8:16] / 255.0
    expected = interpolate(
        torch.tensor(pixels[None, None], dtype=torch.float32), (16, 16), mode="bilinear"
    )
    torch.testing.assert_close(batch["image"][1], expected[0].expand(3, -1, -1))
    assert batch["spacing_um"].tolist() == [[1.0, 1.0]] * 4
    assert data.groups == ["healthy", "osteoporotic"]
    assert batch["group"][1] == data.groups[int(batch["label"][1])] == TWELVE[number]["group"]
    assert batch["patient"][1] == TWELVE[number]["patient"]
    names = [*batch["name"], *(name for other in others for name in other["name"])]
    assert len(set(names)) == len(names) == 6 * len(data.select("test"))


def test_every_set_has_every_group_and_no_patient_is_in_two(module):
    data = module(TWELVE)
    sets = {name: data.select(name) for name in ("train", "val", "test")}
    assert all({r.group for r in records} == set(data.groups) for records in sets.values())
    patients = [{r.patient for r in records} for records in sets.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 12


def test_folds_leave_a_pair_out_and_masks_do_not_matter(module):
    rows = people(*["healthy", "osteoporotic"] * 3)
    rows[0] |= {"mask": None}
    data = module(rows)
    folds = make_folds(data.records, 3, needs=data.needs)
    for split in folds.splits:
        data.check_splits(split)
        assert len(split.test) == len(split.val) == len(split.train) == 2
    with pytest.raises(ValueError, match=r"4 folds need .* found 3 of group healthy"):
        make_folds(data.records, 4, needs=data.needs)


def test_training_batches_are_balanced_and_a_function_of_seed_and_epoch(module, tmp_path):
    rows = people("a", "a", "a", "b", "b", "b", "a") + [{"patient": "p0", "group": "a"}] * 5
    options = {"split_fractions": (0.4, 0.3, 0.3), "samples_per_epoch": 24}
    flip = [RandFlipd(["image"], prob=0.5)]
    data = module(rows, **options, augmentation=flip)
    batches = epoch(data.train_dataloader(), 1)
    groups = [group for batch in batches for group in batch["group"]]
    assert groups.count("a") == groups.count("b") == 12
    again = module(rows, **options, augmentation=flip, cache=tmp_path / "cache")
    for one, other in zip(batches, epoch(again.train_dataloader(), 1), strict=True):
        assert one["name"] == other["name"]
        assert torch.equal(one["image"], other["image"])
    assert epoch(data.train_dataloader(), 2)[0]["name"] != batches[0]["name"]


def test_a_guide_is_drawn_once_per_slice_and_cut_like_its_image(module, tmp_path):
    calls = []

    def predict(image):
        calls.append((image.shape, image.dtype))
        return image[0].astype(np.float32) / 255

    options = {"cache": tmp_path / "cache", "augmentation": [RandFlipd(["image", "guide"], 0.5)]}
    data = module(TWELVE, resize=SIZE, **options)
    data.use_guide("net", predict)
    for batch in [*data.train_dataloader(), *data.train_dataloader(), *data.test_dataloader()]:
        torch.testing.assert_close(batch["guide"], batch["image"][:, :1])
    drawn = len(data.select("train")) + len(data.select("test"))
    assert calls == [((1, 24, 32), np.uint8)] * drawn
    other = module(TWELVE, resize=SIZE, **options)
    other.use_guide("net", predict)
    next(iter(other.test_dataloader()))
    assert len(calls) == drawn
    other.use_guide("another", predict)
    next(iter(other.test_dataloader()))
    assert len(calls) == drawn + len(data.select("test"))


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.full((24, 32), 1.5)])
def test_an_impossible_guide_is_refused(module, wrong):
    data = module(TWELVE)
    data.use_guide("net", lambda image: wrong)
    with pytest.raises(ValueError, match=r"s\d\d.png: its guide has .* expected"):
        data.val_dataloader()


def test_annotated_patches_have_masks_and_nothing_is_known_without_one(module, tmp_path):
    rows = [dict(row) for row in TWELVE]
    rows[0]["mask"] = None
    data = module(rows, annotated=True, split_fractions=(1 / 3, 1 / 3, 1 / 3))
    for use in ("train", "val", "test"):
        source = data.source(use)
        for index in range(len(source)):
            sample = source.sample(index, source.cut(index))
            assert sample["mask"].shape == sample["ignored"].shape == (16, 16)
            number = int(sample["slice"].removeprefix("s"))
            if number == 0:
                assert sample["ignored"].all()
                assert not sample["mask"].any()
                continue
            y, x = map(int, sample["name"].partition("@")[2].split(","))
            pixels = read_image(tmp_path / f"image/s{number:02d}.png").array[y : y + 8, x : x + 8]
            expected = (pixels > 200).repeat(2, axis=0).repeat(2, axis=1)
            assert np.array_equal(sample["mask"].numpy(), expected)
            assert not sample["ignored"].any()
    plain = module(rows)
    assert "mask" not in plain.source("train").sample(0, plain.source("train").cut(0))


def test_masks_that_a_model_drew_count_where_they_are_used(module, tmp_path):
    (tmp_path / "model.json").write_text("{}")
    rows = [row | {"origin": tmp_path / "model.json"} for row in TWELVE]
    assert module(rows).origins() == []
    assert module(rows, annotated=True).origins() == [tmp_path / "model.json"]


def test_annotated_objects_of_a_patch(module, tmp_path):
    rows = [dict(row) for row in TWELVE]
    rows[1] |= {"mask": None}
    data = module(rows)
    pixels = read_image(tmp_path / "image/s00.png").array
    np.testing.assert_array_equal(data.sample_mask("s00@16,8"), pixels[16:24, 8:16] > 200)
    assert data.sample_mask("s01@16,8") is None
    for name in ("s00@16,24", "s99@0,0"):
        with pytest.raises(ValueError, match=f"no patch '{name}'"):
            data.sample_mask(name)


def test_fewer_patches_of_a_slice_are_part_of_more(module):
    def names(count):
        data = module(TWELVE, patches_per_slice=count)
        return {name for batch in data.test_dataloader() for name in batch["name"]}

    two, four, all_of_them = names(2), names(4), names(None)
    assert two < four < all_of_them
    assert (len(two), len(four), len(all_of_them)) == (4, 8, 12)


def test_a_patient_in_two_groups_is_named(module):
    rows = [*TWELVE, {"patient": "p3", "group": "healthy"}]
    with pytest.raises(ValueError, match=r"patient 'p3' is of .*osteoporotic.* and of healthy"):
        module(rows).setup("fit")


def test_a_group_that_a_split_lacks_is_named(module):
    rows = people("a", "b", "a", "b", "a")
    for row, split in zip(rows, ["train", "train", "val", "val", "test"], strict=True):
        row["split"] = split
    data = module(rows)
    data.setup("fit")
    with pytest.raises(ValueError, match=r"split test has no patient of group b .*p4"):
        data.setup("test")


def test_one_group_is_nothing_to_tell_apart(module):
    rows = [*people("a", "a", "a"), {"patient": "p9", "group": "unknown"}]
    with pytest.raises(ValueError, match="have the groups: a; expected at least two"):
        module(rows).setup("fit")


def test_patients_without_a_diagnosis_are_not_used(module):
    rows = [*TWELVE, *[{"patient": f"u{i}", "group": "unknown"} for i in range(5)]]
    data = module(rows)
    used = [r for name in ("train", "val", "test") for r in data.select(name)]
    assert data.groups == ["healthy", "osteoporotic"]
    assert len({record.patient for record in used}) == 12


def test_shuffled_groups_are_of_patients_and_decide_the_split(module):
    rows = people(*["a", "b"] * 4, slices=2)
    data = module(rows, shuffled_groups=3, split_fractions=(0.5, 0.25, 0.25))
    groups = {record.patient: record.group for record in data.records}
    assert all(record.group == groups[record.patient] for record in data.records)
    assert sorted(groups.values()) == ["a"] * 4 + ["b"] * 4
    assert groups != {row["patient"]: row["group"] for row in rows}
    assert {record.group for record in data.select("test")} == {"a", "b"}
    assert data.summary()["shuffled_groups"] == 3
    others = module(rows, shuffled_groups=4).records
    assert groups != {record.patient: record.group for record in others}


def test_summary_counts_patches_and_patients_of_groups(module):
    data = module(TWELVE)
    summary = json.loads(json.dumps(data.summary()))
    counts = [summary["splits"][name]["patients_of_group"] for name in ("train", "val", "test")]
    assert sum(count["healthy"] for count in counts) == 6
    assert summary["splits"]["test"]["patches"]["healthy"] == 6 * counts[2]["healthy"]
    assert (summary["patch_size"], summary["resize"]) == (SIZE, 16)
    assert summary["spacing_um"] == [2.0, 2.0]
    assert data.origins() == []


def test_it_can_be_named_on_the_command_line(tmp_path):
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--data", type=PatchClassificationDataModule)
    path = "data_modules.PatchClassificationDataModule"
    settings = {"manifest": "m.csv", "modality": "ct", "patches": "p.csv", "resize": 32}
    found = parser.parse_object({"data": {"class_path": path, "init_args": settings}})
    assert parser.instantiate_classes(found).data.resize == 32
