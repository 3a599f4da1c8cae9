"""Pretraining by the shipped configurations: from tiles to an encoder that heads are trained on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from data_modules.manifest import read_manifest
from lotus.cli import main
from lotus.imaging import read_image, write_image
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


@pytest.fixture(scope="module")
def pretrained(manifest, tmp_path_factory):
    """A run of the quick preset."""
    runs = tmp_path_factory.mktemp("pretrained")
    assert main(fit(manifest, runs, BASE, ["dual_domain/quick/lejepa"])) == 0
    return runs / "dual_domain_lejepa/tiny"


def heads(manifest, runs, weights, extra=()):
    """`lotus fit` of the heads on an encoder."""
    encoder = "--model.init_args.network.init_args.encoder.init_args"
    small = {"dim": 24, "blocks": 2, "attention": 3, "width": 8}
    data = {"manifest": str(manifest), "region": "64", "batch_size": "2", "samples_per_epoch": "4"}
    data |= {"split_fractions": "[0.6, 0.2, 0.2]", "num_workers": "0"}
    return [
        *("fit", "--config", str(EXPERIMENTS / "dual_domain/segmentation.yaml")),
        *("--runs", str(runs), "--run", "tiny", *TINY, "--trainer.max_epochs", "1"),
        *(f"{encoder}.name", "vit_tiny_patch16_224", f"{encoder}.options", json.dumps(ENCODER)),
        *(f"{encoder}.weights", str(weights), "--model.init_args.tile", "32"),
        *(
            text
            for name in DOMAINS
            for key, value in small.items()
            for text in (
                f"--model.init_args.network.init_args.heads.{name}.init_args.{key}",
                str(value),
            )
        ),
        *(
            text
            for name in DOMAINS
            for key, value in data.items()
            for text in (f"--data.init_args.domains.{name}.init_args.{key}", value)
        ),
        *extra,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_recipe_trains_validates_tests_and_reports(preset, manifest, tmp_path):
    small = (f"{MODEL}.hidden", "16", f"{MODEL}.embedding", "8")
    assert main(fit(manifest, tmp_path, BASE, [preset], small)) == 0
    run = tmp_path / "dual_domain_lejepa/tiny"
    curves = pd.read_csv(run / "metrics.csv")
    logged = ["loss", "sigreg", "invariance", "sigreg_per_image"]
    wanted = sorted(f"{stage}_{name}" for stage in ("train", "val") for name in logged)
    assert curves[wanted].groupby(curves["epoch"]).first().notna().to_numpy().all()
    assert main(["test", "--config", str(run / "config.yaml")]) == 0
    assert "test_loss" in pd.read_csv(run / "metrics.csv").columns
    assert main(["report", str(run)]) == 0
    assert "SIGReg per image" in (run / "report.html").read_text()


@pytest.mark.slow
def test_the_encoder_is_that_of_the_best_checkpoint_for_timm_too(pretrained):
    file = pretrained / "encoder.safetensors"
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
    with torch.no_grad():
        torch.testing.assert_close(own(image), network.eval()((image - mean) / deviation))
    best = torch.load(pretrained / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    for name, value in own.model.state_dict().items():
        assert torch.equal(value, best[f"encoder.model.{name}"]), name
    with pytest.raises(ValueError, match=r"vit_tiny_patch16_224 with embed_dim=24, depth=2"):
        VisionTransformer("vit_tiny_patch16_224", {**ENCODER, "depth": 3}, file)


@pytest.mark.slow
def test_heads_are_trained_on_it_unless_it_knows_whom_they_test(
    pretrained, manifest, tmp_path, capsys
):
    weights = pretrained / "encoder.safetensors"
    assert main(heads(manifest, tmp_path, weights)) == 0
    last = torch.load(tmp_path / "dual_domain/tiny/checkpoints/last.ckpt", weights_only=True)
    for name, value in load_file(weights).items():
        assert torch.equal(last["state_dict"][f"network.encoder.model.{name}"], value), name

    splits = json.loads((pretrained / "splits.json").read_text())
    splits["test"], splits["train"] = splits["train"][:1], splits["train"][1:] + splits["test"]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(splits))
    capsys.readouterr()
    refused = heads(manifest, tmp_path / "refused", weights, ["--splits", str(other)])
    assert main(refused) == 2
    assert splits["test"][0] in capsys.readouterr().err


@pytest.mark.slow
def test_no_tile_of_a_patient_of_the_test_is_read(pretrained, manifest, tmp_path):
    """A training on files without those of the test patients is the same, weight by weight."""
    splits = json.loads((pretrained / "splits.json").read_text())
    copy = tmp_path / "data"
    shutil.copytree(manifest.parent, copy)
    for record in read_manifest(copy / "manifest.csv"):
        if record.patient in splits["test"]:
            image = read_image(record.image)
            write_image(record.image, np.zeros_like(image.array), image.spacing_um)
    assert main(fit(copy / "manifest.csv", tmp_path, BASE, ["dual_domain/quick/lejepa"])) == 0
    found = load_file(tmp_path / "dual_domain_lejepa/tiny/encoder.safetensors")
    for name, value in load_file(pretrained / "encoder.safetensors").items():
        assert torch.equal(found[name], value), name


@pytest.mark.slow
def test_what_a_pretraining_cannot_do_is_said(pretrained, tmp_path, capsys):
    assert main(["predict", "--config", str(pretrained / "config.yaml")]) == 2
    assert "nothing to predict" in capsys.readouterr().err
    given = ["segment", str(tmp_path), "--checkpoint", str(pretrained), "--output", str(tmp_path)]
    assert main(given) == 2
    assert "train heads on the .safetensors file" in capsys.readouterr().err
