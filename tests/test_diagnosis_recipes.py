"""From slices to diagnoses by the shipped study, with networks that are small."""

from pathlib import Path

import pandas as pd
import pytest

from data_modules.manifest import read_manifest
from data_modules.splits import read_splits
from lotus.cli import main
from lotus.runs.classified import read_classified
from lotus.studies.stages import Training
from lotus.studies.study import read_study
from lotus.training.configuration import read_configuration
from tests.conftest import TINY
from tests.engines.in_process import IN_PROCESS

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
STUDY = EXPERIMENTS / "studies/mga.yaml"
RECIPES = ("mga/classifier.yaml", "mga/guided.yaml", "mga/joint.yaml", "mga/baselines/alexnet.yaml")
PRESETS = {"quick": "mga/quick/classifier.yaml", "paper": "mga/paper/classifier.yaml"}
CLASSIFIERS = ("resnet", "alexnet", "vgg", "mga", "joint")


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_key_of_the_study_is_taken(preset, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    study = read_study(STUDY, {"preset": preset})
    trainings = [stage for stage in study.stages.values() if isinstance(stage, Training)]
    assert {stage.folder for stage in trainings} > {*CLASSIFIERS}
    files = set()
    for stage in trainings:
        arguments = study.command_line(stage, Path("runs"))
        files |= {text for text in arguments if text.startswith("--config=")}
        data = read_configuration([text.replace("{fold}", "0") for text in arguments]).data
        assert data.needs.every_group, stage.name
    assert files > {f"--config=experiments/{name}" for name in (*RECIPES, PRESETS[preset])}


def test_what_builds_on_what():
    study = read_study(STUDY, {})
    levels = [{stage.name for stage in level} for level in study.levels()]
    order = {name: number for number, level in enumerate(levels) for name in level}
    assert order["Enhanced"] < order["Patches"] < order["U-Net-1"] < order["Pseudo-labels"]
    assert order["Pseudo-labels"] < order["U-Net-2"] < order["MGA"] < order["Explained"]
    assert order["Pseudo-labels"] < order["Joint"]


@pytest.mark.slow
def test_from_slices_to_diagnoses(tmp_path, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    data, runs = tmp_path / "slices", tmp_path / "runs"
    phantom = ["phantom", "sr_microct", "--output", str(data), "--differ", "lacunae"]
    numbers = ["--patients", "6", "--slices", "2", "--size", "160", "--labelled-slices", "1"]
    assert main([*phantom, *numbers, "--groups", "healthy", "osteoporotic"]) == 0
    small = [
        *(f"data={data}/manifest.csv", "vgg=test_resnet", "vgg_options={}", "resnet=test_resnet"),
        *(
            "joint_decoder=[8, 8, 8, 8, 8]",
            "encoder_decoder=[8, 8, 8, 8, 8]",
            "pseudo_labelled=1",
            "encoder=mobilenet_v2",
        ),
    ]
    study = ["study", str(STUDY), "--run", "tiny", "--runs", str(runs), "--seeds", "3"]
    assert (
        main(
            [
                *study,
                *IN_PROCESS,
                "--set",
                *small,
                *TINY,
                "--trainer.limit_train_batches",
                "1",
                "--trainer.max_epochs",
                "1",
                "--trainer.check_val_every_n_epoch",
                "1",
            ]
        )
        == 0
    )

    folder = runs / "mga/tiny"
    split = read_splits(folder / "mga/seed3/splits.json")
    known = {*split.train, *split.val}
    drawn = [r for r in read_manifest(folder / "pseudo-labels/seed3/manifest.csv") if r.origin]
    assert len(drawn) == 1
    assert {record.patient for record in drawn} <= {*split.train}
    tables = {name: read_classified(folder / name / "seed3/classified.csv") for name in CLASSIFIERS}
    for table in tables.values():
        assert {*table["patient"]} == {*split.test}
        assert not {*table["patient"]} & known
        assert table.index.equals(tables["mga"].index)
    for name in ("segmentation", "classification"):
        assert (folder / "tables" / name / "comparison.md").is_file()
    scores = pd.read_csv(folder / "tables/segmentation/comparison.csv")
    assert {*scores["method"]} == {"vgg16-1", "U-Net-1", "vgg16-2", "U-Net-2"}
    explained = pd.read_csv(folder / "explained/summary.csv")
    assert len(explained)
