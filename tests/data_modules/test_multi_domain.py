"""Tiles of one domain and of several."""

from itertools import pairwise

import jsonargparse
import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities.combined_loader import CombinedLoader

from data_modules import MultiDomainDataModule, TileDataModule
from data_modules.manifest import Record, read_manifest, write_manifest
from data_modules.patches import write_patches
from data_modules.tiles import choose_tiles, tiles_of
from lotus.imaging.raster import write_image, write_label_map
from lotus.transforms import DtypeRange, PercentileRange

CLASSES = {
    "fluorescence": ["mineralised", "osteoid", "label"],
    "trichrome": ["mineralised", "osteoid"],
}
ROIS = 2
"""Of every patient and domain."""


def draw(folder, modality, patients, size=(32, 48), pixel_size_um=1.0):
    """ROIs of a domain, with bone in the right half, and their manifest."""
    records = []
    for patient in patients:
        for part in range(ROIS):
            random = np.random.default_rng([patient, part, len(modality)])
            classes = np.zeros(size, np.uint8)
            classes[:, size[1] // 2 :] = 1
            classes[4:8, size[1] // 2 :] = 2
            if modality == "fluorescence":
                pixels = np.choose(classes, (5, 60, 250)) + random.integers(0, 4, size)
            else:
                pixels = np.array([[250] * 3, [60, 100, 160], [180, 40, 60]])[classes]
                pixels = pixels + random.integers(-3, 4, pixels.shape)
            name = f"p{patient}_{part}_{modality[0]}"
            image, mask = folder / f"{name}.tif", folder / f"{name}_mask.png"
            write_image(image, pixels.clip(0, 255).astype(np.uint8))
            write_label_map(mask, classes)
            values = (f"p{patient}", "g", pixel_size_um)
            records.append(Record(image, mask, "semantic", modality, *values))
    write_manifest(folder / f"{modality}.csv", records)
    return folder / f"{modality}.csv"


@pytest.fixture
def domain(tmp_path):
    """Function that gives the data of one domain; ten patients unless others are named."""

    manifests = {}

    def make(modality="fluorescence", patients=range(10), drawn=None, **options):
        key = f"{modality} {patients} {drawn}"
        if key not in manifests:
            folder = tmp_path / str(len(manifests))
            manifests[key] = draw(folder, modality, patients, **(drawn or {}))
        manifest = manifests[key]
        given = {"region": 16, "batch_size": 4, "class_names": CLASSES[modality]}
        return TileDataModule(manifest, modality, **(given | options))

    return make


@pytest.fixture
def domains(domain):
    """Function that gives two domains that share the patients 5 to 9."""

    def make(trichrome=None, **options):
        return MultiDomainDataModule(
            {
                "fluorescence": domain("fluorescence", range(10), **options),
                "trichrome": domain("trichrome", range(5, 15), **options | (trichrome or {})),
            }
        )

    return make


def test_training_batches_are_the_tiles_that_show_tissue(domain):
    data = domain()
    tiles = {record.name: tiles_of(record, region=16) for record in data.select("train")}
    batches = list(data.train_dataloader())
    names = [name for batch in batches for name in batch["name"]]
    assert len(names) == sum(map(len, tiles.values()))
    assert {name: names.count(name) for name in tiles} == {n: len(t) for n, t in tiles.items()}
    for batch in batches:
        assert batch["image"].shape[1:] == (3, 8, 8)
        assert (batch["image"] > 0.1).any(dim=(1, 2, 3)).all()
        assert batch["modality"] == ["fluorescence"] * len(batch["name"])


def test_a_tile_is_cut_with_its_mask_where_the_corners_say(domain):
    data = domain()
    dataset = data.training_tiles()
    source = dataset.source
    chosen = choose_tiles(source.prepared(1).image, region=16)
    first = len(choose_tiles(source.prepared(0).image, region=16))
    for number, (y, x) in enumerate(chosen.corners.tolist()):
        sample = dataset[first + number, 0]
        image, mask = source.prepared(1).image, source.prepared(1).mask
        np.testing.assert_array_equal(sample["image"][:1], image[:, y : y + 8, x : x + 8])
        np.testing.assert_array_equal(sample["mask"], mask[y : y + 8, x : x + 8])


def test_whole_rois_validate_and_test(domain):
    data = domain()
    for loader, use in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        shown = list(loader)
        assert [batch["name"][0] for batch in shown] == [r.name for r in data.select(use)]
        assert all(batch["image"].shape == (1, 3, 32, 48) for batch in shown)
    train, val, test = (set(data.splits.__getattribute__(n)) for n in ("train", "val", "test"))
    assert not train & val
    assert not train & test


def test_a_table_says_which_tiles_train(domain, tmp_path):
    records = read_manifest(domain().manifest)
    tiles = {record.name: tiles_of(record, region=16) for record in records}
    one_each = [(r, tiles[r.name].at_most(1, np.random.default_rng(0))) for r in records]
    write_patches(tmp_path / "tiles/fluorescence.csv", one_each)
    data = domain(tiles=tmp_path / "tiles/fluorescence.csv")
    names = [name for batch in data.train_dataloader() for name in batch["name"]]
    assert sorted(names) == sorted(record.name for record in data.select("train"))
    assert data.tile == 8


def test_tiles_of_a_table_are_refused_for_images_that_are_resampled(domain, tmp_path):
    records = read_manifest(domain().manifest)
    write_patches(tmp_path / "t.csv", [(record, tiles_of(record, region=16)) for record in records])
    data = domain(tiles=tmp_path / "t.csv", spacing_um=2.0)
    with pytest.raises(ValueError, match=r"p.*\.tif: is resampled .* give spacing_um: native"):
        data.setup("fit")
    domain(tiles=tmp_path / "t.csv", spacing_um="native").setup("fit")


def test_tiles_lie_in_the_pixels_that_the_network_sees(domain):
    data = domain(spacing_um=2.0)
    data.setup("fit")
    assert data.source("train").prepared(0).image.shape == (1, 16, 24)
    assert next(iter(data.train_dataloader()))["image"].shape == (4, 3, 8, 8)


def test_shares_of_the_training_rois_are_nested_and_spread_over_patients(domain):
    chosen = {}
    for share in (0.01, 0.05, 0.2, 0.5, 1.0):
        data = domain(training_share=share)
        chosen[share] = data.select("train")
        assert len(data.select("val")) == len(domain().select("val"))
    everything = domain().select("train")
    assert len(everything) == 16
    assert [len(records) for records in chosen.values()] == [1, 1, 3, 8, 16]
    for smaller, larger in pairwise(chosen.values()):
        assert {r.name for r in smaller} <= {r.name for r in larger}
    assert len({record.patient for record in chosen[0.5]}) == 8
    assert {
        batch for batch in next(iter(domain(training_share=0.05).train_dataloader()))["name"]
    } == {chosen[0.05][0].name}


@pytest.mark.parametrize("share", [0.0, 1.5, -0.2])
def test_a_share_that_is_none_is_refused(domain, share):
    with pytest.raises(ValueError, match=f"training_share is {share:g}; expected more than 0"):
        domain(training_share=share)


def test_rois_smaller_than_a_tile_are_refused_by_name(domain):
    small = domain(drawn={"size": (20, 48)}, region=48)
    with pytest.raises(ValueError, match=r"p\d_\d_f\.tif: the ROI is 20 x 48 px; .* 24 x 24 px"):
        small.setup("test")
    resampled = domain(spacing_um=5.0)
    with pytest.raises(ValueError, match=r"the ROI is 6 x 10 px, resampled; expected at least"):
        resampled.setup("fit")


def test_batches_hold_all_domains_as_often(domains):
    data = domains({"batch_size": 7})
    data.setup("fit")
    loaders = data.train_dataloader()
    assert len(loaders["fluorescence"]) == len(loaders["trichrome"])
    batches = [batch for batch, *_ in CombinedLoader(loaders)]
    tiles = {name: len(part.training_tiles()) for name, part in data.domains.items()}
    assert len(batches) == max(-(-tiles["fluorescence"] // 4), -(-tiles["trichrome"] // 7))
    for batch in batches:
        assert [len(part["name"]) for part in batch.values()] == [4, 7]
        for modality, part in batch.items():
            assert set(part["modality"]) == {modality}
            assert part["image"].shape[1:] == (3, 8, 8)
            assert int(part["mask"].max()) <= len(data.class_names[modality])
    # Nothing of the larger domain is left out.
    shown = {name for batch in batches for name in batch["fluorescence"]["name"]}
    assert shown == {r.name for r in data.domains["fluorescence"].select("train")}


def test_batches_follow_from_seed_and_epoch(domains):
    first, second = (domains().train_dataloader()["trichrome"] for _ in range(2))
    for loader in (first, second):
        loader.sampler.set_epoch(3)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one["image"], other["image"])
    second.sampler.set_epoch(4)
    assert next(iter(first))["name"] != next(iter(second))["name"]


class Watching(LightningModule):
    """Learns nothing, and keeps the names in every batch of every epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {}

    def training_step(self, batch, _):
        names = {domain: list(part["name"]) for domain, part in batch.items()}
        self.seen.setdefault(self.current_epoch, []).append(names)
        return self.weight * sum(part["image"].mean() for part in batch.values())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.slow
def test_a_trainer_sees_both_domains_in_every_step_and_another_order_in_every_epoch(domains):
    task = Watching()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, limit_val_batches=0, enable_model_summary=False, **quiet
    )
    trainer.fit(task, datamodule=domains(samples_per_epoch=8))
    assert [len(task.seen[epoch]) for epoch in (0, 1)] == [2, 2]
    loader = domains(samples_per_epoch=8).train_dataloader()["trichrome"]
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        expected = [batch["name"] for batch in loader]
        assert [names["trichrome"] for names in task.seen[epoch]] == expected
    assert task.seen[0] != task.seen[1]


def test_nobody_trains_in_one_domain_and_is_tested_in_another(domains):
    data = domains()
    splits = data.splits
    for name in ("train", "val", "test"):
        patients = {record.patient for record in data.select(name)}
        assert patients <= set(getattr(splits, name))
        modalities = {record.modality for record in data.select(name)}
        assert modalities == {"fluorescence", "trichrome"}
    assert not set(splits.train) & {*splits.val, *splits.test}


def test_rois_of_all_domains_are_evaluated_one_by_one(domains):
    data = domains()
    data.setup("test")
    shown = [(b["modality"][0], b["name"][0]) for b in data.test_dataloader()]
    assert shown == [(r.modality, r.name) for r in data.select("test")]
    assert {modality for modality, _ in shown} == {"fluorescence", "trichrome"}


def test_domains_that_cannot_go_together_are_refused(domain, tmp_path):
    with pytest.raises(ValueError, match="domain 'bright' shows the modality 'trichrome'"):
        MultiDomainDataModule({"bright": domain("trichrome")})
    with pytest.raises(ValueError, match="found no domain"):
        MultiDomainDataModule({})
    own = domain("trichrome", preprocessing=DtypeRange())
    with pytest.raises(ValueError, match=r"fluorescence by PercentileRange.*trichrome by DtypeRa"):
        MultiDomainDataModule({"fluorescence": domain(), "trichrome": own})
    splits = {name: domain(name, splits=tmp_path / f"{name}.json") for name in CLASSES}
    with pytest.raises(ValueError, match="different split files"):
        MultiDomainDataModule(splits)


def test_equal_settings_are_one_preprocessing(domain):
    own = domain("trichrome", preprocessing=PercentileRange())
    data = MultiDomainDataModule({"fluorescence": domain(), "trichrome": own})
    assert isinstance(data.preprocessing, PercentileRange)


def test_rois_of_one_name_in_two_domains_are_refused(domain, tmp_path):
    data = domain()
    record = read_manifest(data.manifest)[0]
    path = tmp_path / "other" / record.image.name
    write_image(path, np.random.default_rng(0).integers(0, 255, (32, 48)).astype(np.uint8))
    write_manifest(
        tmp_path / "other.csv", [Record(path, None, "semantic", "trichrome", "q", "g", 1.0)]
    )
    other = TileDataModule(tmp_path / "other.csv", "trichrome", region=16)
    with pytest.raises(ValueError, match=f"1 names stand for ROIs of two .* '{record.name}'"):
        MultiDomainDataModule({"fluorescence": data, "trichrome": other}).setup("fit")


def test_the_command_line_finds_the_arguments_of_every_domain(domain):
    manifest = domain().manifest
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(MultiDomainDataModule, "data")
    values = {"manifest": str(manifest), "modality": "fluorescence", "training_share": 0.2}
    own = {"class_path": "data_modules.TileDataModule", "init_args": values | {"batch_size": 3}}
    config = parser.parse_object({"data": {"domains": {"fluorescence": own}}})
    data = parser.instantiate_classes(config).data
    assert data.domains["fluorescence"].batch_size == 3
    assert data.domains["fluorescence"].training_share == 0.2


def test_one_pixel_size_for_all_domains_where_they_are_resampled(domain):
    sizes = {"fluorescence": 1.0, "trichrome": 2.0}
    parts = {name: domain(name, spacing_um=size) for name, size in sizes.items()}
    with pytest.raises(ValueError, match=r"different pixel sizes.*same spacing_um"):
        MultiDomainDataModule(parts).setup("fit")
    same = MultiDomainDataModule({name: domain(name, spacing_um=1.0) for name in sizes})
    same.setup("fit")
    assert same.spacing_um == (1.0, 1.0)
    assert same.resamples
