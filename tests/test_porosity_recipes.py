"""Porosity by the shipped configurations: from training to prediction, and on to other classes."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from data_modules.manifest import Record, write_manifest
from data_modules.splits import read_splits
from lotus.cli import main
from lotus.imaging import read_label_map
from lotus.imaging.volume_stores import write_volume
from lotus.networks import Sensor3D
from lotus.runs.convergence import Convergence, read_convergence
from lotus.tasks.checkpoint import read_checkpoint, volume_segmenter_of
from lotus.tasks.description import build
from tests.conftest import TINY, parsed, task_of

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
RECIPES = {
    "sensor3d": [
        "porosity/sensor3d.yaml",
        "porosity/quick/sensor3d.yaml",
        "porosity/paper/sensor3d.yaml",
    ],
    "unet": ["porosity/unet.yaml", "porosity/quick/unet.yaml", "porosity/paper/unet.yaml"],
    "unet3d": ["porosity/unet3d.yaml", "porosity/quick/unet3d.yaml", "porosity/paper/unet3d.yaml"],
}
NETWORK = "--model.init_args.network.init_args"
SMALL = {
    "sensor3d": [f"{NETWORK}.filters", "[4, 8]"],
    "unet": [f"{NETWORK}.filters", "[4, 8]"],
    "unet3d": [
        *(f"{NETWORK}.network.init_args.channels", "[4, 8]"),
        *(f"{NETWORK}.network.init_args.strides", "[2]"),
        *(f"{NETWORK}.slices", "4"),
        *("--data.init_args.slices", "4", "--data.init_args.output_slices", "4"),
    ],
}


VOXEL_UM = (0.094, 0.094, 0.094)


def nanoct(folder, seed=0, patient="A", shape=(20, 40, 48), tested=slice(15, 20)):
    """A manifest of one volume: balls of shade-off in bone with pores inside, all of one grey."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    labels[:, :, 8:] = 3
    places = np.indices(shape)
    for _ in range(6):
        centre = [random.integers(4, side - 4) for side in shape]
        distance = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)))
        labels[(distance < 6) & (labels == 3)] = 2
        labels[(distance < 3.5) & (labels >= 2)] = 1
    grey = np.array([10, 60, 150, 200])[labels] + random.integers(-20, 20, shape)
    volume, mask = folder / f"{patient}.tif", folder / f"{patient}_labels.tif"
    write_volume(volume, grey.astype(np.float32), VOXEL_UM)
    write_volume(mask, labels, VOXEL_UM)
    facts = {"mask_kind": "semantic", "modality": "zernike_nanoct", "group": "unknown"}
    sizes = {"pixel_size_um": 0.094, "slice_spacing_um": 0.094}
    first, stop = tested.start, tested.stop
    rows = [{"z_stop": first}, {"z_start": first, "z_stop": stop, "split": "test"}]
    records = [Record(volume, mask, **facts, **sizes, patient=patient, **row) for row in rows]
    write_manifest(folder / "manifest.csv", records)
    return folder / "manifest.csv"


def fit_arguments(layers, manifest, runs, extra=(), run="tiny"):
    return [
        "fit",
        *(text for layer in layers for text in ("--config", str(EXPERIMENTS / layer))),
        *("--runs", str(runs), "--run", run, *TINY),
        *("--trainer.devices", "1", "--trainer.check_val_every_n_epoch", "1"),
        *("--data.init_args.manifest", str(manifest), "--data.init_args.num_workers", "0"),
        *("--data.init_args.patch_size", "32", "--data.init_args.batch_size", "2"),
        *("--data.init_args.samples_per_epoch", "4", "--model.init_args.window", "32"),
        *extra,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("preset", [1, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_tests_and_predicts(name, preset, tmp_path):
    base = RECIPES[name][0]
    arguments = fit_arguments(
        [base, RECIPES[name][preset]], nanoct(tmp_path), tmp_path / "runs", SMALL[name]
    )
    assert main(arguments) == 0
    run = tmp_path / "runs" / name / "tiny"
    curves = pd.read_csv(run / "metrics.csv")
    assert {"train_loss", "val_loss", "val_dice", "val_dice_lcn"} <= set(curves.columns)
    assert read_convergence(run / "convergence.json").epochs == 2
    assert read_splits(run / "splits.json").test == ("A/A[15:20]",)

    record = volume_segmenter_of(read_checkpoint(run / "checkpoints/best.ckpt"), run)
    build(record["network"])
    assert record["class_names"] == ["lcn", "shade_off", "bone"]
    assert record["spacing_um"] == [0.094] * 3

    config = str(run / "config.yaml")
    assert main(["test", "--config", config]) == 0
    scores = pd.read_csv(run / "scores.csv")
    slices = [f"A_z{z:04d}" for z in range(15, 20)]
    assert list(scores["name"]) == [*slices, "mean"]
    assert scores["dice_bone"].between(0, 1).all()
    assert main(["predict", "--config", config]) == 0
    for part in ("predictions", "targets", "images", "predict/predictions"):
        assert sorted(path.stem for path in (run / part).iterdir()) == slices
    tested = read_label_map(run / "predictions" / f"{slices[0]}.tif")
    assert np.array_equal(tested, read_label_map(run / "predict/predictions" / f"{slices[0]}.tif"))
    assert main(["report", str(run)]) == 0

    segmented = tmp_path / "segmented.ome.tif"
    given = [str(tmp_path / "A.tif"), "--checkpoint", str(run), "--output", str(segmented)]
    assert main(["segment", *given, "--device", "cpu"]) == 0
    labels = tifffile.imread(segmented)
    for z, name in zip(range(15, 20), slices, strict=True):
        written = read_label_map(run / "predictions" / f"{name}.tif")
        np.testing.assert_array_equal(labels[z], written)


@pytest.mark.slow
def test_a_training_that_ends_early_says_when_it_had_converged(tmp_path):
    rule = {"monitor": "val_loss", "min_delta": 10.0, "patience": 1}
    kind = "pytorch_lightning.callbacks.EarlyStopping"
    callbacks = json.dumps([{"class_path": kind, "init_args": rule}])
    extra = [*SMALL["unet"], "--trainer.max_epochs", "5", "--trainer.callbacks", callbacks]
    recipe = RECIPES["unet"][:1]
    assert main(fit_arguments(recipe, nanoct(tmp_path), tmp_path / "runs", extra)) == 0
    # The first validation is an improvement over none, the second is not by that much.
    expected = Convergence(2, 1, **rule, stopped=True)
    run = tmp_path / "runs/unet/tiny"
    assert read_convergence(run / "convergence.json") == expected
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert re.search(r"epochs to convergence\s*</\w+>\s*<[^>]*>\s*1\s*<", page)


@pytest.mark.slow
def test_a_network_of_one_beamline_goes_on_with_fewer_classes_at_another(tmp_path, capsys):
    layers = ["porosity/unet.yaml"]
    first = fit_arguments(layers, nanoct(tmp_path / "a"), tmp_path / "runs", SMALL["unet"])
    assert main(first) == 0
    checkpoint = tmp_path / "runs/unet/tiny/checkpoints/best.ckpt"
    other = nanoct(tmp_path / "b", seed=1, patient="B")
    transfer = [
        *SMALL["unet"],
        *(f"{NETWORK}.out_channels", "3", "--model.init_args.class_names", "[lcn, bone]"),
        *("--model.init_args.initial_weights", str(checkpoint)),
        *("--data.init_args.merge", "{shade_off: bone}"),
        *("--data.init_args.training_slices", "3", "--trainer.max_epochs", "1"),
    ]
    with pytest.warns(
        UserWarning, match=r"kept, but for the head \(head.bias, head.weight\), which"
    ):
        assert main(fit_arguments(layers, other, tmp_path / "runs", transfer, run="other")) == 0
    run = tmp_path / "runs/unet/other"
    assert json.loads((run / "data.json").read_text())["training_images"] == 3
    assert json.loads((run / "model.json").read_text())["made_anew"] == ["head.bias", "head.weight"]
    known = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["patients"]["cohorts"]
    assert set(known["default"]) == {"A/A[0:7]", "A/A[10:12]", "B/B[0:7]", "B/B[10:12]"}

    # On what the first network learnt from, nobody is tested.
    leak = [*SMALL["unet"], "--model.init_args.initial_weights", str(checkpoint)]
    manifest = tmp_path / "a/manifest.csv"
    text = manifest.read_text().replace(",,15\n", ",8,15\n").replace(",,,15,20", ",,,0,5")
    manifest.write_text(text)
    capsys.readouterr()
    assert main(fit_arguments(layers, manifest, tmp_path / "runs", leak, run="leak")) == 2
    assert "best.ckpt was trained with patient A/A[0:5], whom this" in capsys.readouterr().err


def test_the_paper_preset_has_the_published_settings():
    layers = RECIPES["sensor3d"][0], RECIPES["sensor3d"][2]
    given = [text for layer in layers for text in ("--config", str(EXPERIMENTS / layer))]
    task = task_of(given)
    assert isinstance(task.network, Sensor3D)
    assert round(sum(weight.numel() for weight in task.network.parameters()) / 1e6, 1) == 46.0
    (settings,) = task.configure_optimizers().param_groups
    assert (settings["lr"], settings["rho"], settings["eps"]) == (1.0, 0.95, 1e-7)
    config, _ = parsed(given)
    assert config.trainer.max_epochs == 100
    (rule,) = config.trainer.callbacks
    assert (rule.init_args.min_delta, rule.init_args.patience) == (1e-4, 10)
    assert (config.data.init_args.batch_size, config.data.init_args.patch_size) == (32, 64)
