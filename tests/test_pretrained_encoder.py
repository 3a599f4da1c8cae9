"""The encoder that a pretraining leaves: whom it knows, and that heads are trained on it."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_modules.manifest import read_manifest
from lotus.cli import main
from lotus.imaging import read_image, write_image
from lotus.networks import VisionTransformer
from tests.conftest import TINY
from tests.test_pretraining_recipes import (
    BASE,
    DOMAINS,
    ENCODER,
    EXPERIMENTS,
    PRESETS,
    fit,
    phantoms,
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return phantoms(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(scope="module")
def pretrained(manifest, tmp_path_factory):
    """A run of the quick preset."""
    runs = tmp_path_factory.mktemp("pretrained")
    assert main(fit(manifest, runs, BASE, [PRESETS[0]])) == 0
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
def test_an_encoder_of_another_architecture_says_what_it_is(pretrained):
    file = pretrained / "encoder.safetensors"
    with pytest.raises(ValueError, match=r"those of vit_tiny_patch16_224 with embed_dim=24, dep"):
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
    # Moving the file hides nothing.
    moved = shutil.copy(weights, tmp_path / "moved.safetensors")
    capsys.readouterr()
    refused = heads(manifest, tmp_path / "refused", moved, ["--splits", str(other)])
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
    assert main(fit(copy / "manifest.csv", tmp_path, BASE, [PRESETS[0]])) == 0
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
