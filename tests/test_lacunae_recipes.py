"""Lacunae from few labels by the shipped configurations: two networks, and what comes between."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from data_modules.manifest import read_manifest, write_manifest
from data_modules.patches import choose_patches, write_patches
from data_modules.splits import make_splits, read_splits
from lotus.cli import main
from lotus.imaging import write_label_map
from lotus.inference.segmenter import load_segmenter
from tests.conftest import TINY, parsed, task_of

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
BASE, VGG16 = "mga/segmentation.yaml", "mga/baselines/vgg16.yaml"
QUICK, PAPER = "mga/quick/segmentation.yaml", "mga/paper/segmentation.yaml"
NETWORK = "--model.init_args.network.init_args"


@pytest.fixture
def slices(tiny_manifest, tmp_path):
    """Slices of which those of one training patient have no mask, and their patches."""
    bone = np.full((48, 48), 255, np.uint8)
    bone[:, 40:] = 0
    write_label_map(tmp_path / "bone.tif", bone)
    records = [r for r in read_manifest(tiny_manifest) if r.modality == "sr_microct"]
    unlabelled = make_splits(records, (0.6, 0.2, 0.2)).train[0]
    records = [
        replace(
            record,
            tissue=tmp_path / "bone.tif",
            mask=None if record.patient == unlabelled else record.mask,
            split="train" if record.patient == unlabelled else None,
        )
        for record in records
    ]
    write_manifest(tmp_path / "manifest.csv", records)
    own = [(record, choose_patches(record, size=20, stride=20)) for record in records]
    write_patches(tmp_path / "patches.csv", own)
    return tmp_path / "manifest.csv", unlabelled


def arguments(manifest, patches, runs, layers, network):
    settings = {
        "manifest": manifest,
        "patches": patches,
        "patch_size": 32,
        "batch_size": 2,
        "samples_per_epoch": 4,
        "split_fractions": [0.6, 0.2, 0.2],
        "num_workers": 0,
        "cache": runs / "cache",
    }
    return [
        *(text for layer in layers for text in ("--config", str(EXPERIMENTS / layer))),
        *("--runs", str(runs), "--run", "tiny", *TINY),
        *("--trainer.devices", "1", "--trainer.strategy", "auto"),
        *("--trainer.check_val_every_n_epoch", "1"),
        *(text for name, value in network.items() for text in (f"{NETWORK}.{name}", value)),
        *(
            text
            for name, value in settings.items()
            for text in (f"--data.init_args.{name}", str(value))
        ),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "network"),
    [
        ((BASE, QUICK), {"filters": "[4, 8]"}),
        ((BASE, PAPER), {"filters": "[4, 8]"}),
        ((BASE, QUICK, VGG16), {"decoder_channels": "[8, 8, 8, 4, 4]"}),
    ],
)
def test_two_networks_with_pseudo_labels_between(slices, tmp_path, layers, network):
    manifest, unlabelled = slices
    name = "lacunae-vgg16" if VGG16 in layers else "lacunae"

    def fit(source: Path, runs: Path) -> Path:
        table = tmp_path / "patches.csv"
        assert main(["fit", *arguments(source, table, runs, layers, network)]) == 0
        run = runs / name / "tiny"
        assert main(["test", "--config", str(run / "config.yaml")]) == 0
        return run

    first = fit(manifest, tmp_path / "first")
    given = [str(first), str(manifest), "--output", str(tmp_path / "pseudo")]
    table = ["--patches", str(tmp_path / "patches.csv"), "--device", "cpu"]
    assert main(["pseudo-label", *given, *table]) == 0
    second = fit(tmp_path / "pseudo/manifest.csv", tmp_path / "second")

    data = [json.loads((run / "data.json").read_text()) for run in (first, second)]
    assert data[1]["training_images"] == data[0]["training_images"] + 1
    splits = [read_splits(run / "splits.json") for run in (first, second)]
    assert unlabelled in splits[0].train
    assert splits[0].test == splits[1].test
    scores = [pd.read_csv(run / "scores.csv")["name"].tolist() for run in (first, second)]
    assert scores[0] == scores[1]
    assert load_segmenter(second, "cpu").class_names == ["lacuna"]


def test_the_paper_preset_has_the_published_settings():
    given = [text for layer in (BASE, PAPER) for text in ("--config", str(EXPERIMENTS / layer))]
    task = task_of(given)
    layers = list(task.network.modules())
    first = next(layer for layer in layers if isinstance(layer, torch.nn.Conv2d))
    assert first.out_channels == 64
    assert any(isinstance(layer, torch.nn.LeakyReLU) for layer in layers)
    (optimizer,), (scheduler,) = task.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam)
    rates = []
    for _ in range(3):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([1e-3, 0.985e-3, 0.985**2 * 1e-3])
    config, _ = parsed(given)
    assert config.trainer.max_epochs == 300
    assert config.data.init_args.batch_size == 30
    assert config.data.init_args.patch_size == 64
