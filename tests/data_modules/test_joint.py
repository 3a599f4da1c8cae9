"""Parts of a batch by name: three modalities at once."""

import json

import jsonargparse
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_modules.jointly_split import joint_records
from data_modules.manifest import read_manifest
from data_modules.segmentation import SegmentationDataModule
from data_modules.unpaired import UnpairedPartsDataModule
from lotus.transforms import DtypeRange

PATIENTS = {"fluorescence": range(12), "brightfield": range(6, 15), "phase_contrast": range(9, 20)}
GROUPS = ("healthy", "osteoporotic")


@pytest.fixture
def manifests(draw_dataset):
    """A manifest per modality; patients are shared by two or three of them, or by none."""
    drawn = {}
    for number, (modality, patients) in enumerate(PATIENTS.items()):
        rows = [
            {"patient": f"p{i}", "modality": modality, "group": GROUPS[i % 2]} for i in patients
        ]
        drawn[modality] = draw_dataset(rows, name=modality, first=50 * number)
    return drawn


def join(manifests, evaluated="brightfield", **options):
    parts = {
        modality: SegmentationDataModule(
            manifest, modality, patch_size=8, batch_size=4, preprocessing=DtypeRange(), **options
        )
        for modality, manifest in manifests.items()
    }
    return UnpairedPartsDataModule(parts, evaluated)


def test_batches_hold_all_parts(manifests):
    data = join(manifests, samples_per_epoch=8)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert len(batches) == 2
    for batch in batches:
        assert batch.keys() == PATIENTS.keys()
        for modality, part in batch.items():
            assert part["image"].shape == (4, 3, 8, 8)
            assert part["group"] == batch["brightfield"]["group"]
            assert torch.equal(part["label"], batch["brightfield"]["label"])
            own = {record.name for record in data.parts[modality].select("train")}
            assert set(part["name"]) <= own
    first, *_ = batches
    assert not torch.equal(first["fluorescence"]["image"], first["phase_contrast"]["image"])


def test_crops_of_the_evaluated_part_are_those_it_would_draw_alone(manifests):
    data = join(manifests)
    data.setup("fit")
    alone = data.parts["brightfield"].training_dataset()
    for seed in range(5):
        sample = data.training_dataset()[1, seed]["brightfield"]
        assert torch.equal(sample["image"], alone[1, seed]["image"])


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1000), evaluated=st.sampled_from([*PATIENTS]))
def test_patients_are_split_jointly(manifests, seed, evaluated):
    data = join(manifests, evaluated, seed=seed)
    splits = data.splits
    everybody = {f"p{i}" for patients in PATIENTS.values() for i in patients}
    assert len(splits.train) + len(splits.val) + len(splits.test) == len(everybody)
    assert {*splits.train, *splits.val, *splits.test} == everybody
    shown = {record.patient for part in data.parts.values() for record in part.select("train")}
    assert shown == set(splits.train)
    assert all(part.splits == splits for part in data.parts.values())


def test_evaluation_is_that_of_the_evaluated_part(manifests):
    data = join(manifests, "phase_contrast", split_fractions=(0.6, 0.2, 0.2))
    for stage in ("validate", "test", "predict"):
        data.setup(stage)
    for loader in (data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        names = [batch["name"][0] for batch in loader]
        assert names
        assert all(name >= "i100" for name in names)
    assert data.preprocessing is data.parts["phase_contrast"].preprocessing
    assert {record.modality for record in data.select("test")} == {"phase_contrast"}


def test_the_evaluated_part_decides_the_split(manifests):
    parts = join(manifests, seed=1).parts
    parts["fluorescence"].seed = 2
    seeds = {
        name: UnpairedPartsDataModule(parts, name).splits.seed
        for name in ("fluorescence", "brightfield")
    }
    assert seeds == {"fluorescence": 2, "brightfield": 1}


def test_summary_names_the_parts(manifests):
    summary = join(manifests).summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary.keys() == {"paired", "parts"}
    assert summary["paired"] is False
    found = {name: part["modality"] for name, part in summary["parts"].items()}
    assert found == {name: name for name in PATIENTS}
    assert len({part["manifest_hash"] for part in summary["parts"].values()}) == 1


def test_origins_are_those_of_all_parts_each_once(manifests, tmp_path):
    files = {name: tmp_path.resolve() / f"{name}.json" for name in ("a", "b")}
    for path in files.values():
        path.touch()
    origins = {"fluorescence": "a", "brightfield": "", "phase_contrast": "ab"}
    for modality, names in origins.items():
        header, *rows = manifests[modality].read_text().splitlines()
        for number, name in enumerate(names):
            assert rows[number].endswith(",,,,,")
            rows[number] = f"{rows[number][:-4]}train,../{name}.json,,,"
        manifests[modality].write_text("\n".join((header, *rows)) + "\n")
    assert join(manifests).origins() == [files["a"], files["b"]]


def test_groups_that_one_part_lacks_are_named(manifests):
    text = manifests["phase_contrast"].read_text()
    manifests["phase_contrast"].write_text(text.replace(",osteoporotic,", ",healthy,"))
    data = join(manifests)
    message = (
        "no phase_contrast training image of group osteoporotic, which brightfield has; the "
        "phase_contrast training images are of group healthy"
    )
    with pytest.raises(ValueError, match=message):
        data.check_splits(data.splits)
    with pytest.raises(ValueError, match=message):
        data.setup("fit")


def test_split_files_must_not_differ(manifests, tmp_path):
    parts = join(manifests).parts
    parts["fluorescence"].split_file = tmp_path / "a"
    assert UnpairedPartsDataModule(parts, "brightfield").join()
    assert (tmp_path / "a").is_file()
    parts["phase_contrast"].split_file = tmp_path / "b"
    with pytest.raises(ValueError, match=r"different split files: fluorescence .*, phase_contrast"):
        UnpairedPartsDataModule(parts, "brightfield")


def test_the_evaluated_part_is_one_of_them(manifests):
    with pytest.raises(ValueError, match="'ct'; expected one of fluorescence, brightfield, phase"):
        join(manifests, evaluated="ct")


def test_records_of_several_manifests_are_joined(manifests):
    records = [read_manifest(path) for path in manifests.values()]
    joined = joint_records(*records, records[0])
    assert joined == [record for part in records for record in part]


def test_parts_are_named_in_yaml(manifests):
    parts = {
        name: {
            "class_path": "data_modules.SegmentationDataModule",
            "init_args": {"manifest": str(path), "modality": name, "patch_size": 8},
        }
        for name, path in manifests.items()
    }
    arguments = {"parts": parts, "evaluated": "fluorescence"}
    config = {"class_path": "data_modules.UnpairedPartsDataModule", "init_args": arguments}
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(UnpairedPartsDataModule, "data")
    data = parser.instantiate_classes(parser.parse_object({"data": config}))["data"]
    data.setup("fit")
    assert next(iter(data.train_dataloader())).keys() == PATIENTS.keys()
