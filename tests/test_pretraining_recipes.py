"""Pretraining by the shipped configurations: from tiles to an encoder that heads are trained on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from data_modules import TileDataModule, ViewsDataModule
from data_modules.manifest import read_manifest, write_manifest
from lotus.cli import main
from lotus.networks import VisionTransformer
from tests.conftest import TINY

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
PRESETS = ("dual_domain/quick/lejepa", "dual_domain/paper/lejepa")
BASE = "dual_domain/lejepa"
DINO = "dual_domain/dino"
DINO_PRESETS = ("dual_domain/quick/dino", "dual_domain/paper/dino")
SMALL_DINO = [
    *("--model.init_args.prototypes", "16", "--model.init_args.hidden", "16"),
    *("--model.init_args.bottleneck", "8"),
]
PROBES = ("rank_me", "domain_knn", "domain_linear", "patch_dice")
CLASSES = {
    "fluorescence": ["mineralised", "osteoid", "label"],
    "trichrome": ["mineralised", "osteoid"],
}
DOMAINS = tuple(CLASSES)
ENCODER = {"embed_dim": 24, "depth": 2, "num_heads": 3}
MODEL = "--model.init_args"


def phantoms(folder):
    """Manifest of phantoms of five patients in both domains."""
    given = ["phantom", *DOMAINS, "--patients", "5", "--slices", "1", "--size", "96"]
    assert main([*given, "--output", str(folder)]) == 0
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return phantoms(tmp_path_factory.mktemp("phantoms"))


def fit(manifest, runs, base, presets, extra=()):
    """`lotus fit` of a pretraining with a tiny encoder and tiny views."""
    domains = {"manifest": str(manifest), "region": "64", "split_fractions": "[0.6, 0.2, 0.2]"}
    domains["cache"] = str(runs / "cache")
    return [
        "fit",
        *(text for name in (base, *presets) for text in ("--config", f"{EXPERIMENTS / name}.yaml")),
        *("--runs", str(runs), "--run", "tiny", *TINY, "--trainer.devices", "1"),
        *("--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1"),
        *(f"{MODEL}.encoder.init_args.name", "vit_tiny_patch16_224"),
        *(f"{MODEL}.encoder.init_args.options", json.dumps(ENCODER)),
        *(f"{MODEL}.views", "lotus.transforms.MultiCropViews"),
        *(f"{MODEL}.views.init_args.global_size", "32"),
        *(f"{MODEL}.views.init_args.local_size", "16"),
        *("--data.init_args.batch_size", "8", "--data.init_args.samples_per_epoch", "16"),
        *("--data.init_args.num_workers", "0"),
        *(
            text
            for name in DOMAINS
            for key, value in domains.items()
            for text in (f"--data.init_args.domains.{name}.init_args.{key}", value)
        ),
        *extra,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_a_pretraining_leaves_an_encoder_that_timm_and_the_heads_take(preset, manifest, tmp_path):
    small = (f"{MODEL}.hidden", "16", f"{MODEL}.embedding", "8")
    assert main(fit(manifest, tmp_path, BASE, [preset], small)) == 0
    run = tmp_path / "dual_domain_lejepa/tiny"
    curves = pd.read_csv(run / "metrics.csv")
    logged = ["loss", "sigreg", "invariance", "sigreg_per_image"]
    wanted = {f"{stage}_{name}" for stage in ("train", "val") for name in logged}
    assert wanted <= set(curves.columns)
    assert curves[sorted(wanted)].groupby(curves["epoch"]).first().notna().to_numpy().all()

    file = run / "encoder.safetensors"
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    network = timm.create_model(metadata["architecture"], **json.loads(metadata["options"]))
    network.load_state_dict(load_file(file))
    mean, deviation = (
        torch.tensor(json.loads(metadata[name])).view(3, 1, 1)
        for name in ("mean", "standard_deviation")
    )
    own = VisionTransformer("vit_tiny_patch16_224", ENCODER, file).eval()
    image = torch.rand(2, 3, 64, 64)
    expected = network.eval()((image - mean) / deviation)
    torch.testing.assert_close(own(image), expected)
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    for name, value in own.model.state_dict().items():
        assert torch.equal(value, best[f"encoder.model.{name}"]), name

    assert main(["test", "--config", str(run / "config.yaml")]) == 0
    assert "test_loss" in pd.read_csv(run / "metrics.csv").columns
    assert main(["report", str(run)]) == 0
    assert "SIGReg per image" in (run / "report.html").read_text()
    splits = json.loads((run / "splits.json").read_text())
    assert len(splits["train"]) == 3
    assert {record.patient for record in read_manifest(manifest)} == {
        *splits["train"],
        *splits["val"],
        *splits["test"],
    }
    assert yaml.safe_load((run / "config.yaml").read_text())["experiment"] == "dual_domain_lejepa"


@pytest.fixture(scope="module")
def dino(manifest, tmp_path_factory):
    """A run of DINO that keeps the checkpoint of every epoch."""
    runs = tmp_path_factory.mktemp("dino")
    # Its mode tells it from the callback that keeps the last checkpoint.
    every = {"save_top_k": -1, "mode": "max", "filename": "after{epoch}"}
    every |= {"dirpath": str(runs / "every"), "save_on_train_epoch_end": True}
    every |= {"auto_insert_metric_name": False}
    callback = {"class_path": "pytorch_lightning.callbacks.ModelCheckpoint", "init_args": every}
    extra = [*SMALL_DINO, "--trainer.callbacks", json.dumps([callback])]
    assert main(fit(manifest, runs, DINO, [DINO_PRESETS[0]], extra)) == 0
    return runs / "dual_domain_dino/tiny"


@pytest.mark.slow
def test_dino_leaves_its_teacher_and_what_the_probes_found(dino):
    curves = pd.read_csv(dino / "metrics.csv")
    wanted = {"train_loss", "val_loss", *(f"val_{name}" for name in PROBES)}
    wanted |= {f"val_{name}_patch_dice" for name in DOMAINS}
    epochs = curves[sorted(wanted)].groupby(curves["epoch"]).first()
    assert epochs.notna().to_numpy().all()
    assert len(epochs) == 2
    best = torch.load(dino / "checkpoints/best.ckpt", weights_only=True)
    dice = epochs["val_patch_dice"]
    assert best["epoch"] == dice.idxmax()
    assert dice.to_numpy() == pytest.approx(
        epochs[[f"val_{name}_patch_dice" for name in DOMAINS]].mean(axis=1).to_numpy()
    )
    weights = load_file(dino / "encoder.safetensors")
    state = best["state_dict"]
    assert all(torch.equal(value, state[f"encoder.model.{n}"]) for n, value in weights.items())
    assert any(not torch.equal(v, state[f"student.model.{n}"]) for n, v in weights.items())
    assert main(["test", "--config", str(dino / "config.yaml")]) == 0
    assert main(["report", str(dino)]) == 0
    report = (dino / "report.html").read_text()
    assert all(title in report for title in ("RankMe", "Classes read off patch tokens"))


@pytest.mark.slow
def test_a_resumed_dino_ends_with_the_same_weights(dino, manifest, tmp_path):
    before = dino.parents[1] / "every/after0.ckpt"
    extra = [*SMALL_DINO, "--ckpt_path", str(before)]
    assert main(fit(manifest, tmp_path, DINO, [DINO_PRESETS[0]], extra)) == 0
    expected, found = (
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in (dino, tmp_path / "dual_domain_dino/tiny")
    )
    assert "loss.center" in expected
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.slow
def test_dino_as_published(manifest, tmp_path):
    assert main(fit(manifest, tmp_path, DINO, [DINO_PRESETS[1]], SMALL_DINO)) == 0
    assert (tmp_path / "dual_domain_dino/tiny/encoder.safetensors").is_file()


@pytest.mark.slow
def test_without_masks_the_loss_picks_the_checkpoint(manifest, tmp_path, capsys):
    bare = [replace(record, mask=None, mask_kind="semantic") for record in read_manifest(manifest)]
    write_manifest(tmp_path / "manifest.csv", bare)
    small = (f"{MODEL}.hidden", "16", f"{MODEL}.embedding", "8")
    given = fit(tmp_path / "manifest.csv", tmp_path, BASE, [PRESETS[0]], small)
    assert main(given) == 2
    assert "give --monitor val_loss" in capsys.readouterr().err
    assert main([*given, "--monitor", "val_loss", "--run", "second"]) == 0
    curves = pd.read_csv(tmp_path / "dual_domain_lejepa/second/metrics.csv")
    assert curves["val_patch_dice"].isna().all()
    assert curves["val_domain_knn"].notna().any()
    assert main(["report", str(tmp_path / "dual_domain_lejepa/second")]) == 0


def tiles_of(manifest, **options):
    """Tiles of both domains, in 64-px regions."""
    domains = {
        name: TileDataModule(
            manifest,
            name,
            class_names=names,
            region=64,
            split_fractions=(0.6, 0.2, 0.2),
            **options,
        )
        for name, names in CLASSES.items()
    }
    return ViewsDataModule(domains, batch_size=4)


def test_probes_see_patients_of_their_set_and_files_of_no_test_patient(manifest, tmp_path):
    shutil.copytree(manifest.parent, tmp_path / "data")
    manifest = tmp_path / "data/manifest.csv"
    data = tiles_of(manifest)
    for record in read_manifest(manifest):
        if record.patient in data.splits.test:
            record.image.write_bytes(b"no image")
            record.mask.write_bytes(b"no mask")
    seen = {}
    for use in ("train", "val"):
        loaders = data.probe_tiles(use, 6)
        batches = [[*loader] for loader in loaders]
        assert [{name for batch in own for name in batch["modality"]} for own in batches] == [
            {name} for name in DOMAINS
        ]
        assert all(sum(len(batch["image"]) for batch in own) == 6 for own in batches)
        assert all("mask" in batch for own in batches for batch in own)
        seen[use] = {patient for own in batches for batch in own for patient in batch["patient"]}
        assert seen[use] == set(getattr(data.splits, use))
        again = [[*loader] for loader in data.probe_tiles(use, 6)]
        for one, other in zip(batches, again, strict=True):
            for first, second in zip(one, other, strict=True):
                assert torch.equal(first["image"], second["image"])
    with pytest.raises(ValueError, match=r"p\w+"):
        data.setup("test")


def test_masks_lie_on_the_pixels_that_they_were_drawn_for(manifest):
    """A tile with its mask is a part of the ROI and of its mask, at one place."""
    data = tiles_of(manifest)
    (loader, _) = data.probe_tiles("val", 3)
    found = next(iter(loader))
    rois = data.domains["fluorescence"].whole_images("val")
    named = {roi["name"]: roi for roi in (rois[index] for index in range(len(rois)))}
    for image, mask, name in zip(found["image"], found["mask"], found["name"], strict=True):
        roi = named[name]
        places = [
            (y, x)
            for y in range(0, 65)
            for x in range(0, 65)
            if torch.equal(roi["image"][:, y : y + 32, x : x + 32], image)
        ]
        assert len(places) == 1
        ((y, x),) = places
        assert torch.equal(roi["mask"][y : y + 32, x : x + 32], mask)


def test_probes_see_the_share_of_masks_that_heads_are_trained_on(manifest):
    patients = {
        share: {
            patient
            for batch in tiles_of(manifest, training_share=share).probe_tiles("train", 99)[0]
            for patient in batch["patient"]
        }
        for share in (0.34, 1.0)
    }
    assert len(patients[0.34]) == 1
    assert patients[0.34] < patients[1.0]


def test_domains_without_masks_are_seen_without(manifest, tmp_path):
    records = read_manifest(manifest)
    bare = [
        replace(record, mask=None) if record.modality == "trichrome" else record
        for record in records
    ]
    write_manifest(tmp_path / "manifest.csv", bare)
    annotated, other = tiles_of(tmp_path / "manifest.csv").probe_tiles("val", 5)
    assert "mask" in next(iter(annotated))
    assert "mask" not in next(iter(other))
