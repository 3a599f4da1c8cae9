"""Recipes of public data sets, from their own layout to predictions through the command line."""

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from data_modules import PairedDataModule
from data_modules.folds import make_folds
from data_modules.manifest import read_manifest
from data_modules.splits import make_splits, write_splits
from lotus.cli import main
from lotus.imaging.raster import read_image, read_label_map, write_image, write_label_map
from lotus.training.configuration import read_configuration
from tests.conftest import STUDENT, TINY
from tests.data_modules.strips import draw_release

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments/lotus"
TEACHER = "--data.init_args.teacher.init_args"
SMALL = ("patch_size", "16"), ("batch_size", "2"), ("samples_per_epoch", "4")


def layers(*names):
    return [text for name in names for text in ("--config", str(EXPERIMENTS / f"{name}.yaml"))]


def small(manifest, *prefixes):
    """Tiny crops of a manifest for data modules with these keys."""
    settings = (("manifest", str(manifest)), *SMALL)
    return [
        text
        for prefix in prefixes
        for key, value in settings
        for text in (f"{prefix}.{key}", value)
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deepliif")
    root = draw_release(folder / "release")
    assert main(["prepare", "deepliif", str(root), "--output", str(folder / "data")]) == 0
    return folder / "data"


@dataclass
class Recipe:
    """The three trainings of one kind of mask."""

    folders: tuple[str, ...]
    manifest: str
    data: Path
    runs: Path

    def arguments(self, stage):
        """Of `lotus fit`, without `fit`."""
        names = [stage, *(f"{folder}/{stage}" for folder in self.folders)]
        prefixes = [STUDENT, TEACHER] if stage == "distill" else ["--data.init_args"]
        teacher = [
            "--model.init_args.teacher",
            str(self.folder("teacher") / "checkpoints/best.ckpt"),
        ]
        return [
            *layers(*names),
            *("--runs", str(self.runs), "--experiment", stage, "--run", "tiny", *TINY),
            *small(self.data / self.manifest, *prefixes),
            *(teacher if stage == "distill" else []),
        ]

    def folder(self, stage):
        return self.runs / stage / "tiny"


@pytest.fixture(scope="module", params=["instances", "semantic"])
def recipe(request, prepared, tmp_path_factory):
    """A recipe whose teacher is trained."""
    folders, manifest = ("deepliif",), "manifest.csv"
    if request.param == "semantic":
        folders, manifest = ("deepliif", "deepliif/semantic"), "manifest_semantic.csv"
    made = Recipe(folders, manifest, prepared, tmp_path_factory.mktemp(request.param))
    assert main(["fit", *made.arguments("teacher")]) == 0
    return made


def curves(folder):
    """The last value of every column of metrics.csv."""
    return pd.read_csv(folder / "metrics.csv").ffill().iloc[-1]


def check_test_and_prediction(recipe, stage):
    """Test and predict a finished fit; what a reader looks for is there."""
    folder = recipe.folder(stage)
    assert main(["test", "--config", str(folder / "config.yaml")]) == 0
    assert main(["predict", "--config", str(folder / "config.yaml")]) == 0
    records = read_manifest(recipe.data / recipe.manifest)
    tested = {record.name: record for record in records if record.split == "test"}
    scores = pd.read_csv(folder / "scores.csv")
    assert set(scores["name"]) == {*tested, "mean"}
    assert scores["dice"].between(0, 1).all()
    for name in ("predictions", "targets", "images", "predict/predictions"):
        assert {path.stem for path in (folder / name).iterdir()} == set(tested)
    if "semantic" not in recipe.manifest:
        return
    for place in (folder, folder / "predict"):
        for name in tested:
            classes = read_label_map(place / f"classes/{name}.tif")
            np.testing.assert_array_equal(
                classes > 0, read_label_map(place / f"predictions/{name}.tif") > 0
            )
            assert classes.max() <= 2
    dice = [
        2 * ((classes == 1) & (truth == 1)).sum() / ((classes == 1).sum() + (truth == 1).sum())
        for classes, truth in (
            (read_label_map(folder / f"classes/{name}.tif"), read_label_map(record.mask))
            for name, record in tested.items()
        )
    ]
    assert curves(folder)["test_dice_positive"] == pytest.approx(np.mean(dice), abs=1e-6)


@pytest.mark.slow
def test_teacher(recipe):
    check_test_and_prediction(recipe, "teacher")
    preview = recipe.folder("teacher") / "images"
    assert all(read_image(path).array.ndim == 3 for path in preview.iterdir())


@pytest.mark.slow
def test_student(recipe):
    assert main(["fit", *recipe.arguments("student")]) == 0
    check_test_and_prediction(recipe, "student")
    preview = recipe.folder("student") / "images"
    assert all(read_image(path).array.ndim == 2 for path in preview.iterdir())


@pytest.mark.slow
def test_distillation_over_both_phases(recipe):
    phases = ["--model.init_args.max_phase_one_epochs", "1"]
    assert main(["fit", *recipe.arguments("distill"), *phases]) == 0
    last = curves(recipe.folder("distill"))
    assert last["phase"] == 2
    for term in ("seg", "diff", "kl", "ifv"):
        assert np.isfinite(last[f"train_loss_{term}"])
    assert last["train_loss_ifv"] > 0
    check_test_and_prediction(recipe, "distill")
    config = yaml.safe_load((recipe.folder("distill") / "config.yaml").read_text())
    assert config["data"]["class_path"] == "data_modules.PairedDataModule"
    assert config["model"]["init_args"]["alignment"]["class_path"] == "lotus.losses.PixelAlignment"


@pytest.mark.slow
def test_cross_validation_and_leaks_of_the_recipe(recipe, tmp_path, capsys):
    data = read_configuration(recipe.arguments("distill")).data
    assert isinstance(data, PairedDataModule)
    folds = make_folds(data.records, 2)
    tested = [record for split in folds.splits for record in data.select("test", split)]
    assert {record.modality for record in tested} == {"fluorescence"}
    assert len(tested) == len(data.records) // 2
    # The teacher was trained on the regions that this split tests.
    given = make_splits(data.records)
    path = tmp_path / "splits.json"
    write_splits(path, replace(given, train=given.test, test=given.train))
    arguments = ["fit", *recipe.arguments("distill"), "--splits", str(path), "--run", "leak"]
    assert main(arguments) == 2
    assert "whom this training tests on" in capsys.readouterr().err
    assert not (recipe.runs / "distill/leak").exists()


@pytest.mark.slow
def test_pairs_of_the_recipe_show_one_field(recipe):
    data = read_configuration(recipe.arguments("distill")).data
    data.setup("fit")
    for batch in data.train_dataloader():
        student, teacher = batch["student"], batch["teacher"]
        assert student["name"] == teacher["name"]
        assert torch.equal(student["mask"], teacher["mask"])
        assert torch.equal(student["instances"], teacher["instances"])
        assert torch.equal(student["image"][:, 0], student["image"][:, 2])
        assert not torch.equal(teacher["image"][:, 0], teacher["image"][:, 2])


@pytest.mark.slow
def test_mutual_learning_on_true_pairs_does_not_warn(prepared, tmp_path):
    arguments = [*layers("distill", "deepliif/distill", "baselines/maml"), "--run", "tiny", *TINY]
    arguments += ["--runs", str(tmp_path), *small(prepared / "manifest.csv", STUDENT, TEACHER)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert main(["fit", *arguments]) == 0
    assert not [warning for warning in said if "pseudo-paired" in str(warning.message)]
    assert json.loads((tmp_path / "maml/tiny/data.json").read_text())["paired"] is True


@pytest.fixture
def nuinsseg(tmp_path):
    """Ten organs of one image in the layout of the release, prepared."""
    rng = np.random.default_rng(0)
    for number in range(10):
        organ = tmp_path / f"release/human organ {number}"
        labels = np.zeros((32, 32), np.uint8)
        labels[4:12, 4:12], labels[18:28, 14:24] = 1, 2
        pixels = rng.integers(0, 60, (32, 32, 3)) + np.where(labels[..., None], 60, 180)
        name = f"human_organ_{number}"
        write_image(organ / f"tissue images/{name}.png", pixels.astype(np.uint8))
        write_label_map(organ / f"label masks modify/{name}.tif", labels)
    output = tmp_path / "data"
    assert main(["prepare", "nuinsseg", str(tmp_path / "release"), "--output", str(output)]) == 0
    return output / "manifest.csv"


@pytest.mark.slow
def test_a_teacher_starts_from_weights_pretrained_on_nuinsseg(nuinsseg, tiny_manifest, tmp_path):
    common = ("--runs", str(tmp_path / "runs"), "--run", "tiny", *TINY)
    data = "--data.init_args"
    pretraining = ["fit", *layers("teacher", "pretraining/nuinsseg"), *common]
    assert main([*pretraining, *small(nuinsseg, data)]) == 0
    best = tmp_path / "runs/pretraining/tiny/checkpoints/best.ckpt"

    # Nothing is learnt at a rate of 0, so what is saved is what the training started from;
    # running statistics of BatchNorm move all the same.
    teacher = [
        *("fit", *layers("teacher"), *common, *small(tiny_manifest, data)),
        *("--model.init_args.initial_weights", str(best)),
        *("--model.init_args.optimizer", "torch.optim.SGD"),
        *("--model.init_args.optimizer.init_args.lr", "0.0"),
    ]
    assert main(teacher) == 0
    started = network_weights(tmp_path / "runs/teacher/tiny/checkpoints/last.ckpt")
    pretrained = network_weights(best)
    assert started.keys() == pretrained.keys()
    for name, weight in pretrained.items():
        assert torch.equal(started[name], weight)
    assert main(["test", "--config", str(tmp_path / "runs/teacher/tiny/config.yaml")]) == 0
    # Organs and bone patients are different people, whatever they are called.
    last = tmp_path / "runs/teacher/tiny/checkpoints/last.ckpt"
    cohorts = [torch.load(path, weights_only=True)["patients"]["cohorts"] for path in (best, last)]
    assert [{*found} for found in cohorts] == [{"nuinsseg"}, {"nuinsseg", "default"}]


def network_weights(checkpoint):
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    return {
        name: value
        for name, value in state.items()
        if name.startswith("network.") and "running_" not in name and "num_batches" not in name
    }
