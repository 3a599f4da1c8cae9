"""Tiles for views: whose they are, of which domains, without masks."""

import json
from dataclasses import replace

import numpy as np
import pytest

from data_modules import MultiDomainDataModule, TileDataModule, ViewsDataModule
from data_modules.manifest import Record, read_manifest, write_manifest
from data_modules.patches import write_patches
from data_modules.tiles import tiles_of
from lotus.imaging.raster import read_image, write_image, write_label_map

DOMAINS = ("fluorescence", "trichrome")


def draw(folder, modality, patients, annotated=lambda patient: True, size=(32, 48)):
    """A ROI of every patient, of pixels at random, and their manifest."""
    records = []
    for patient in patients:
        bright = np.random.default_rng(patient).random(size) > 0.5
        pixels = np.repeat(np.where(bright, 200, 20)[..., None], 3, axis=2).astype(np.uint8)
        name = f"p{patient}_{modality[0]}"
        image, mask = folder / f"{name}.tif", folder / f"{name}_mask.png"
        write_image(image, pixels)
        write_label_map(mask, bright.astype(np.uint8))
        drawn = mask if annotated(patient) else None
        values = ("semantic", modality, f"p{patient}", "g", 1.0)
        records.append(Record(image, drawn, *values))
    write_manifest(folder / f"{modality}.csv", records)
    return folder / f"{modality}.csv"


@pytest.fixture
def manifests(tmp_path):
    """Two domains that share the patients 5 to 9; who has an even number is not annotated."""
    return {
        name: draw(tmp_path, name, patients, lambda patient: patient % 2 == 1)
        for name, patients in zip(DOMAINS, (range(10), range(5, 15)), strict=True)
    }


def domains(manifests, **options):
    given = {"region": 16, "split_fractions": (0.6, 0.2, 0.2), "class_names": ["bone"], **options}
    return {name: TileDataModule(path, name, **given) for name, path in manifests.items()}


def whole_epoch(loader):
    batches = list(loader)
    return [name for batch in batches for name in batch["name"]], batches


def test_every_tile_of_every_training_patient_is_shown_and_of_nobody_else(manifests):
    data = ViewsDataModule(domains(manifests), batch_size=1)
    data.setup("fit")
    names, batches = whole_epoch(data.train_dataloader())
    records = [record for path in manifests.values() for record in read_manifest(path)]
    trained = set(data.splits.train)
    own = [record for record in records if record.patient in trained]
    assert any(record.mask is None for record in own)
    expected = {record.name: len(tiles_of(record, region=16)) for record in own}
    assert {name: names.count(name) for name in set(names)} == expected
    assert {patient for batch in batches for patient in batch["patient"]} == trained
    assert {m for batch in batches for m in batch["modality"]} == set(DOMAINS)
    shown = {use: set() for use in ("val", "test")}
    data.setup("test")
    for use, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        shown[use] = {patient for batch in loader for patient in batch["patient"]}
        assert shown[use] == set(getattr(data.splits, use))
    assert not trained & (shown["val"] | shown["test"])


def test_the_split_is_the_one_of_the_heads(manifests):
    heads = MultiDomainDataModule(domains(manifests))
    views = ViewsDataModule(domains(manifests))
    assert views.splits == heads.splits


def test_a_split_file_decides(manifests, tmp_path):
    data = ViewsDataModule(domains(manifests), batch_size=4)
    data.setup("fit")
    swapped = replace(data.splits, train=data.splits.test, test=data.splits.train)
    file = tmp_path / "split.json"
    file.write_text(json.dumps(vars(swapped)))
    data.use_split_file(file)
    _, batches = whole_epoch(data.train_dataloader())
    assert {p for batch in batches for p in batch["patient"]} == set(swapped.train)


def test_batches_are_mixed_full_and_without_masks(manifests):
    data = ViewsDataModule(domains(manifests), batch_size=7)
    data.setup("fit")
    _, batches = whole_epoch(data.train_dataloader())
    assert {len(batch["image"]) for batch in batches} == {7}
    assert len(batches) == len(data.tiles("train")) // 7
    assert sum(len(set(batch["modality"])) == 2 for batch in batches) > len(batches) / 2
    for batch in batches:
        assert batch["image"].shape == (7, 3, 8, 8)
        assert not {"mask", "instances", "ignored"} & set(batch)
    mixed = list(data.val_dataloader())
    assert len(set(mixed[0]["modality"])) == 2
    assert [b["name"] for b in mixed] == [b["name"] for b in data.val_dataloader()]


def test_an_epoch_is_as_long_as_it_is_told_and_another_has_another_order(manifests):
    data = ViewsDataModule(domains(manifests), batch_size=8, samples_per_epoch=20)
    data.setup("fit")
    loader = data.train_dataloader()
    first, again = whole_epoch(loader)[0], whole_epoch(loader)[0]
    assert len(first) == 16
    assert first == again
    loader.sampler.set_epoch(1)
    assert whole_epoch(loader)[0] != first


def test_fewer_tiles_than_a_batch_make_one_batch(manifests):
    data = ViewsDataModule(domains(manifests), batch_size=1000)
    data.setup("fit")
    names, batches = whole_epoch(data.train_dataloader())
    assert len(batches) == 1
    assert len(names) == 1000


def test_the_share_of_annotated_rois_has_no_meaning_here(manifests):
    few = ViewsDataModule(domains(manifests, training_share=0.01))
    assert len(few.tiles("train")) == len(ViewsDataModule(domains(manifests)).tiles("train"))


def test_images_that_nobody_annotated_and_two_sources_of_one_modality(tmp_path):
    sources = {}
    for number, patients in enumerate((range(6), range(6, 12))):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = draw(folder, "fluorescence", patients, lambda patient: False)
        sources[f"lab{number}"] = TileDataModule(path, "fluorescence", region=16)
    data = ViewsDataModule(sources, batch_size=4)
    data.setup("fit")
    assert len(data.splits.train) == 10
    assert {r.patient for r in data.select("train")} == set(data.splits.train)
    summary = data.summary()
    assert summary["training_tiles"] == len(data.tiles("train"))
    assert summary["parts"]["lab0"]["splits"]["train"]["annotated"] == 0


def test_tiles_of_a_table(manifests, tmp_path):
    (name, manifest), _ = manifests.items()
    records = read_manifest(manifest)
    one = {
        record.name: tiles_of(record, region=16).at_most(1, np.random.default_rng(0))
        for record in records
    }
    table = tmp_path / "tiles.csv"
    write_patches(table, [(record, one[record.name]) for record in records])
    data = ViewsDataModule({name: TileDataModule(manifest, name, tiles=table)}, batch_size=2)
    data.setup("fit")
    assert len(data.tiles("train")) == len(data.splits.train)
    for tile in data.tiles("train"):
        record = next(record for record in records if record.name == tile["name"])
        pixels = np.moveaxis(read_image(record.image).array, -1, 0)
        expected = pixels[:, *one[record.name].window(0)] > 100
        assert np.array_equal(tile["image"].numpy() > 0.5, expected)


def test_bad_input_is_said(manifests, tmp_path):
    with pytest.raises(ValueError, match="found no domain"):
        ViewsDataModule({})
    with pytest.raises(ValueError, match="samples_per_epoch is 4; expected at least the 8"):
        ViewsDataModule(domains(manifests), batch_size=8, samples_per_epoch=4)
    with pytest.raises(ValueError, match="nothing to predict"):
        ViewsDataModule(domains(manifests)).setup("predict")
    mixed = domains(manifests)
    mixed["trichrome"] = domains(manifests, region=32)["trichrome"]
    with pytest.raises(ValueError, match="tiles have sides of 8, 16 px"):
        ViewsDataModule(mixed).setup("fit")
    with pytest.raises(ValueError, match=r"the ROI is 32 x 48 px; expected at least a tile of 50"):
        ViewsDataModule(domains(manifests, region=100)).setup("fit")
    lonely = ViewsDataModule(domains(manifests, split_fractions=(1.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="the split val has no ROI of fluorescence, trichrome"):
        lonely.setup("fit")
