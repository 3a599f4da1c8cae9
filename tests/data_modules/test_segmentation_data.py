import json
from itertools import pairwise

import jsonargparse
import pytest
import torch
import yaml
from monai.transforms import RandFlipd

from data_modules.manifest import ManifestError
from data_modules.segmentation import SegmentationDataModule, nested_choice
from data_modules.unpaired import UnpairedDataModule
from lotus.imaging.raster import write_label_map
from lotus.transforms.intensity_range import DtypeRange

ROWS = [{"patient": f"p{i // 2}"} for i in range(20)]


@pytest.fixture
def module(draw_dataset):
    manifest = draw_dataset(ROWS)

    def make(**options):
        defaults = {"modality": "microct", "patch_size": 16, "batch_size": 4}
        return SegmentationDataModule(manifest, **(defaults | options))

    return make


def epoch(loader, number=0):
    loader.sampler.set_epoch(number)
    return list(loader)


def test_splits_share_no_patient_and_loaders_have_their_shapes(module):
    data = module()
    for stage in ("fit", "test", "predict"):
        data.setup(stage)
    batches = epoch(data.train_dataloader())
    assert [len(batch["name"]) for batch in batches] == [4, 4, 4, 4]
    assert batches[0]["image"].shape == (4, 3, 16, 16)
    train = {patient for batch in batches for patient in batch["patient"]}
    val = {batch["patient"][0] for batch in data.val_dataloader()}
    test = {batch["patient"][0] for batch in data.test_dataloader()}
    assert len(train) + len(val) + len(test) == len(train | val | test) == 10
    (batch, *_) = data.test_dataloader()
    assert (batch["image"].shape, batch["mask"].shape) == ((1, 3, 20, 24), (1, 20, 24))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_a_function_of_seed_and_epoch(module, num_workers, tmp_path):
    augmentation = [RandFlipd(["image", "mask", "instances"], prob=0.5)]
    straight = module(samples_per_epoch=12, augmentation=augmentation).train_dataloader()
    expected = [epoch(straight, number) for number in range(3)][2]
    state = torch.random.get_rng_state()
    resumed = module(
        samples_per_epoch=12,
        augmentation=augmentation,
        num_workers=num_workers,
        cache=tmp_path / "cache",
    )
    found = epoch(resumed.train_dataloader(), 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    for one, other in zip(found, expected, strict=True):
        assert one["name"] == other["name"]
        assert all(torch.equal(one[key], other[key]) for key in ("image", "mask", "instances"))


def test_the_epoch_may_be_told_after_the_iterator_is_made(module, tmp_path):
    data = module(num_workers=1, cache=tmp_path / "cache")
    expected = next(iter(epoch(data.train_dataloader(), 1)))
    loader = data.train_dataloader()
    iterator = iter(loader)
    loader.sampler.set_epoch(1)
    assert next(iterator)["name"] == expected["name"]


def test_training_images_are_nested_and_visit_different_patients_first(module):
    names = [{r.name for r in module(training_images=k).select("train")} for k in range(1, 17)]
    assert all(small < large for small, large in pairwise(names))
    eight = module(training_images=8).select("train")
    assert len({record.patient for record in eight}) == 8
    others = {r.name for r in nested_choice(module().select("train"), 8, seed=1)}
    assert others != names[7]
    with pytest.raises(ValueError, match=r"training_images is 17; expected 1 \.\.\. 16"):
        module(training_images=17).select("train")


def test_split_file_is_made_once_and_then_used(module, tmp_path):
    path = tmp_path / "splits.json"
    first = module(splits=path).splits
    assert module(splits=path, seed=5, split_fractions=(0.5, 0.3, 0.2)).splits == first
    module(splits=path).write_splits(tmp_path / "run/splits.json")
    assert json.loads((tmp_path / "run/splits.json").read_text())["test"] == list(first.test)


def test_unannotated_images_are_predicted_and_never_trained_on(draw_dataset):
    rows = [{"patient": f"p{i}", "split": s} for i, s in enumerate(["train", "val", "test"])]
    rows += [row | {"mask": None} for row in rows]
    data = SegmentationDataModule(draw_dataset(rows), "microct")
    assert [record.name for record in data.select("train")] == ["i000"]
    assert [record.name for record in data.select("predict")] == ["i002", "i005"]
    data.setup("predict")
    assert ["mask" in batch for batch in data.predict_dataloader()] == [True, False]
    assert data.summary()["splits"]["train"]["annotated"] == 1


def test_origins_are_those_of_masks_that_train_and_validate(draw_dataset):
    folder = draw_dataset([{"patient": "p"}], name="models").parent.resolve()
    files = {name: folder / f"{name}.ckpt" for name in ("first", "second", "test", "bare", "he")}
    for path in files.values():
        path.touch()
    manifest = draw_dataset(
        [
            {"patient": "a", "split": "train"},
            {"patient": "b", "split": "val", "origin": files["second"]},
            {"patient": "c", "split": "train", "origin": files["first"]},
            {"patient": "d", "split": "train", "origin": files["first"]},
            {"patient": "e", "split": "test", "origin": files["test"]},
            {"patient": "f", "split": "train", "origin": files["bare"], "mask": None},
            {"patient": "g", "split": "train", "origin": files["he"], "modality": "histology"},
        ]
    )
    assert SegmentationDataModule(manifest, "microct").origins() == [
        files["first"],
        files["second"],
    ]
    assert SegmentationDataModule(manifest, "histology").origins() == [files["he"]]


def test_summary_is_plain_json(module):
    summary = module(training_images=3).summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["training_images"] == 3
    assert summary["splits"]["train"]["images"] == 16
    assert summary["splits"]["test"]["groups"] == {"healthy": 2}


def test_empty_split_names_it(draw_dataset):
    rows = [{"patient": f"p{i}", "split": "train"} for i in range(3)]
    data = SegmentationDataModule(draw_dataset(rows), "microct")
    with pytest.raises(ValueError, match=r"split val has no annotated microct image .*train 3"):
        data.setup("fit")


def test_unknown_modality(module):
    with pytest.raises(ValueError, match="no image of modality 'histology'; found microct"):
        module(modality="histology").setup("fit")


def test_broken_manifest_is_reported_at_setup(module):
    data = module()
    write_label_map(data.manifest.parent / "masks/i003.tif", [[0, 1]])
    with pytest.raises(ManifestError, match="1 x 2"):
        data.setup("fit")


def test_modules_are_built_from_yaml(module, tmp_path):
    single = {
        "manifest": str(module().manifest),
        "modality": "microct",
        "class_names": ["lacuna"],
        "preprocessing": {"class_path": "lotus.transforms.intensity_range.DtypeRange"},
        "augmentation": [
            {"class_path": "monai.transforms.RandFlipd", "init_args": {"keys": ["image"]}}
        ],
        "cache": str(tmp_path / "cache"),
        "patch_size": 16,
    }
    path = "data_modules.SegmentationDataModule"
    nested = {"class_path": path, "init_args": single}
    config = {
        "data": {
            "class_path": "data_modules.UnpairedDataModule",
            "init_args": {"student": nested, "teacher": nested},
        }
    }
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(UnpairedDataModule, "data")
    parsed = parser.parse_object(config)
    again = parser.parse_object(yaml.safe_load(parser.dump(parsed)))
    data = parser.instantiate_classes(again)["data"]
    assert isinstance(data.parts["student"].preprocessing, DtypeRange)
    assert isinstance(data.parts["student"].augmentation[0], RandFlipd)
    assert data.parts["student"].class_names == ["lacuna"]
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["teacher"]["image"].shape == (16, 3, 16, 16)
