"""The MEDIAR baseline through the command line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from lotus.cli import main
from lotus.imaging import read_label_map, write_image
from lotus.inference.segmenter import load_segmenter
from lotus.networks.mediar import MEDIARFormer
from lotus.schemes import FlowField
from lotus.tasks import SegmentationTask
from lotus.tasks.checkpoint import without_pretraining
from tests.conftest import tiny_arguments

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments/lotus"
LAYERS = [EXPERIMENTS / "paper/student.yaml", EXPERIMENTS / "baselines/mediar.yaml"]
NETWORK = "--model.init_args.network.init_args"


def mediar_arguments(manifest, runs):
    """`lotus fit` of the shipped layers on 32-px crops, with the smallest encoder."""
    arguments = tiny_arguments("student", manifest, runs)
    unet = arguments.index(f"{NETWORK}.filters")
    del arguments[unet : unet + 2]
    arguments[3:3] = [text for layer in LAYERS for text in ("--config", str(layer))]
    return [
        *(*arguments, "--experiment", "mediar"),
        *(f"{NETWORK}.encoder_name", "mit_b0", f"{NETWORK}.decoder_channels", "[8, 8, 8, 8, 8]"),
        *(f"{NETWORK}.decoder_pab_channels", "4"),
        *("--data.init_args.num_workers", "0", "--data.init_args.cache", str(runs / "cache")),
    ]


@pytest.mark.slow
def test_fit_test_predict_segment(tiny_manifest, tmp_path):
    assert main(mediar_arguments(tiny_manifest, tmp_path)) == 0
    folder = tmp_path / "mediar/tiny"
    curves = pd.read_csv(folder / "metrics.csv")
    assert {"train_loss", "val_loss", "val_dice"} <= set(curves.columns)
    config = str(folder / "config.yaml")
    optimizer = yaml.safe_load(Path(config).read_text())["model"]["init_args"]["optimizer"]
    assert optimizer["class_path"] == "torch.optim.AdamW"
    assert (optimizer["init_args"]["lr"], optimizer["init_args"]["weight_decay"]) == (5e-5, 0.01)
    assert main(["test", "--config", config]) == 0
    assert list(pd.read_csv(folder / "scores.csv")["name"])[-1] == "mean"
    assert main(["predict", "--config", config]) == 0
    assert len(list((folder / "predict/predictions").glob("*.tif"))) == 2

    checkpoint = folder / "checkpoints/best.ckpt"
    segmenter = load_segmenter(checkpoint, device="cpu")
    assert isinstance(segmenter.networks[0], MEDIARFormer)
    assert isinstance(segmenter.instances, FlowField)
    image = np.random.default_rng(0).random((90, 130)).astype(np.float32)
    write_image(tmp_path / "wide.tif", image, (1.6, 1.6))
    output = tmp_path / "segmented"
    segment = ["segment", str(tmp_path / "wide.tif"), "--checkpoint", str(checkpoint)]
    assert main([*segment, "--output", str(output), "--window", "64", "--device", "cpu"]) == 0
    assert read_label_map(output / "wide_labels.tif").shape == (90, 130)


def test_the_loss_compares_with_flows():
    torch.manual_seed(0)
    instances = torch.zeros(2, 32, 32, dtype=torch.int32)
    instances[:, 4:20, 6:25] = 1
    batch = {"mask": instances.long(), "instances": instances}
    task = SegmentationTask(torch.nn.Conv2d(3, 3, 1), ["nucleus"], instances=FlowField())
    target = task.instances.encode(batch["mask"], instances)
    perfect = target.clone()
    perfect[:, 2] = 40 * target[:, 2] - 20
    assert task.segmentation_loss(perfect, batch) < 1e-6
    assert task.segmentation_loss(torch.zeros_like(target), batch) > 1


def test_flows_cannot_be_distilled(tiny_manifest, tmp_path, capsys):
    arguments = tiny_arguments("distill", tiny_manifest, tmp_path)
    arguments += ["--model.init_args.teacher", "teacher.ckpt"]
    assert main([*arguments, "--model.init_args.instances", "lotus.schemes.FlowField"]) == 2
    assert "PixelClasses" in capsys.readouterr().err


def test_a_checkpoint_fetches_no_weights():
    network = {"class_path": "a.B", "init_args": {"encoder_weights": "imagenet", "depth": 5}}
    expected = {"class_path": "a.B", "init_args": {"encoder_weights": None, "depth": 5}}
    assert without_pretraining(network) == expected
    assert without_pretraining({"class_path": "a.B"}) == {"class_path": "a.B", "init_args": {}}
