"""Pretraining by the shipped configurations: from tiles to an encoder that heads are trained on."""

import json
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from data_modules.manifest import read_manifest
from lotus.cli import main
from lotus.networks import VisionTransformer
from tests.conftest import TINY

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
PRESETS = ("dual_domain/quick/lejepa", "dual_domain/paper/lejepa")
BASE = "dual_domain/lejepa"
DOMAINS = ("fluorescence", "trichrome")
ENCODER = {"embed_dim": 24, "depth": 2, "num_heads": 3}
MODEL = "--model.init_args"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Phantoms of five patients in both domains."""
    folder = tmp_path_factory.mktemp("phantoms")
    given = ["phantom", *DOMAINS, "--patients", "5", "--slices", "1", "--size", "96"]
    assert main([*given, "--output", str(folder)]) == 0
    return folder / "manifest.csv"


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
