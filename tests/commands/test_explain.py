"""`lotus explain` on runs whose network was not trained."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from data_modules.manifest import read_manifest
from data_modules.patch_classification import PatchClassificationDataModule
from data_modules.splits import write_splits
from lotus.cli import main
from lotus.imaging.raster import read_label_map
from lotus.networks import GuidedClassifier, UNet
from lotus.reports.report import write_report
from lotus.runs import RunFolder
from lotus.runs.explained import read_explained
from lotus.tasks import ClassificationTask, GuidedClassificationTask, SegmentationTask
from lotus.tasks.description import describe
from lotus.transforms import DtypeRange
from tests.data_modules.test_patch_classification import TWELVE, draw_slices, write_table
from tests.tasks.patches import GROUPS, TinyClassifier

pytestmark = pytest.mark.slow

OPTIONS = ["--steps", "2", "--percentages", "50", "--device", "cpu"]


@pytest.fixture
def slices(tmp_path):
    write_table(tmp_path, draw_slices(tmp_path, TWELVE))
    return tmp_path


def make_run(folder, name, task, splits=None):
    """A run folder as `lotus fit` leaves it: the configuration, and a checkpoint."""
    run = RunFolder(folder / "runs" / name)
    run.checkpoints.mkdir(parents=True)
    data = {
        "manifest": str(folder / "manifest.csv"),
        "modality": "ct",
        "patches": str(folder / "patches.csv"),
        "preprocessing": describe(DtypeRange()),
        "resize": 16,
        "batch_size": 4,
        "split_fractions": [0.34, 0.33, 0.33],
    }
    content = {
        "model": {
            "class_path": "lotus.tasks.ClassificationTask",
            "init_args": {"network": describe(TinyClassifier())},
        },
        "data": {"class_path": "data_modules.PatchClassificationDataModule", "init_args": data},
        "splits": None if splits is None else str(splits),
        "ckpt_path": None,
    }
    run.config.write_text(yaml.safe_dump(content))
    task.class_names = GROUPS
    record = task.inference_record()
    record |= {"preprocessing": describe(DtypeRange()), "resize": 16}
    torch.save({"state_dict": task.state_dict(), "classifier": record}, run.best)
    return run


def classification(seed, positive=True):
    """A task whose maps are nowhere empty, as all weights of the network are positive."""
    torch.manual_seed(seed)
    task = ClassificationTask(TinyClassifier())
    with torch.no_grad():
        for weight in task.parameters():
            weight.abs_()
    return task


def test_tables_and_pictures_of_a_run(slices, capsys):
    run = make_run(slices, "one", classification(0))
    assert main(["explain", str(run.path), "--patches", "3", *OPTIONS]) == 0
    found = run.explanation
    table = read_explained(found.explained)
    data = PatchClassificationDataModule(
        slices / "manifest.csv", "ct", slices / "patches.csv", split_fractions=(0.34, 0.33, 0.33)
    )
    assert set(table["patient"]) == set(data.splits.test)
    assert set(table.groupby("patient").size()) == {3}
    masks = {r.name: read_label_map(r.mask) > 0 for r in read_manifest(slices / "manifest.csv")}
    for row in table.to_dict("records"):
        y, x = map(int, row["name"].partition("@")[2].split(","))
        own = masks[row["slice"]][y : y + 8, x : x + 8]
        assert row["lacunae"] == pytest.approx(own.mean())
        assert 0 < row["energy"] < 1
        assert row["pointing"] in (0.0, 1.0)
    patients = pd.read_csv(found.explained_patients)
    assert patients["with_lacunae"].tolist() == [3] * len(patients)
    means = table.groupby("patient")["energy"].mean()
    np.testing.assert_allclose(patients["energy"], means, rtol=1e-6)
    summary = pd.read_csv(found.explained_summary).set_index("score")
    assert summary.loc["energy", "mean"] == pytest.approx(means.mean())
    chance = table.groupby("patient")["lacunae"].mean().mean()
    assert summary.loc["pointing", "chance"] == pytest.approx(chance)
    for name in table["name"]:
        with Image.open(found.overlay_of(name)) as picture:
            assert picture.size == (2 * 224 + 6, 224)
    with Image.open(found.explained_sheet) as sheet:
        assert sheet.size[0] == 3 * (2 * 224 + 18)
    assert json.loads(found.explained_settings.read_text())["explained"] == "predicted"
    assert f"{len(table)} patches of {len(patients)} patients" in capsys.readouterr().out
    text = write_report(run.path).read_text()
    assert 'id="explanation"' in text
    assert "energy in lacunae" in text


def test_a_smaller_choice_is_part_of_a_larger_one_and_old_pictures_go(slices):
    run = make_run(slices, "one", classification(0))
    names = {}
    for count in ("3", "1"):
        assert main(["explain", str(run.path), "--patches", count, *OPTIONS]) == 0
        names[count] = set(read_explained(run.explanation.explained)["name"])
    assert names["1"] < names["3"]
    pictures = run.explanation.overlay_of("any").parent.glob("*.png")
    assert {picture.stem for picture in pictures} == names["1"]


def test_two_runs_are_tested_over_patients(slices, capsys):
    one, two = (make_run(slices, name, classification(n)) for n, name in enumerate(("a", "b")))
    output = RunFolder(slices / "out")
    command = ["explain", str(one.path), "--output", str(output.path), "--patches", "2", *OPTIONS]
    assert main([*command, "--against", str(two.path)]) == 0
    ours, theirs = (read_explained(f.explained) for f in (output, output.explained_other))
    assert ours["name"].tolist() == theirs["name"].tolist()
    assert not np.allclose(ours["deletion"], theirs["deletion"])
    tests = pd.read_csv(output.explained_against).set_index("score")
    means = [table.groupby("patient")["deletion"].mean() for table in (ours, theirs)]
    assert tests.loc["deletion", "difference"] == pytest.approx((means[0] - means[1]).mean())
    assert tests.loc["deletion", "patients"] == ours["patient"].nunique()
    assert "paired over patients" in capsys.readouterr().out


def test_the_folds_of_a_cross_validation_are_explained_together(slices):
    folder = RunFolder(slices / "runs/cross")
    data = PatchClassificationDataModule(
        slices / "manifest.csv", "ct", slices / "patches.csv", split_fractions=(0.34, 0.33, 0.33)
    )
    splits = data.splits
    turned = type(splits)(**{**vars(splits), "test": splits.val, "val": splits.test})
    for number, own in enumerate((splits, turned)):
        folder.split_of_fold(number).parent.mkdir(parents=True, exist_ok=True)
        write_splits(folder.split_of_fold(number), own)
        make_run(
            slices, f"cross/fold{number}", classification(number), folder.split_of_fold(number)
        )
    assert main(["explain", str(folder.path), "--patches", "1", *OPTIONS]) == 0
    table = read_explained(folder.explanation.explained)
    assert set(table["patient"]) == {*splits.test, *splits.val}


def test_a_network_that_multiplies_by_masks_is_given_them(slices):
    segmenter = SegmentationTask(UNet(filters=(4, 8)), ["lacuna"])
    record = segmenter.inference_record()
    record |= {"spacing_um": [2.0, 2.0], "preprocessing": describe(DtypeRange())}
    contents = {"state_dict": segmenter.state_dict(), "segmenter": record}
    torch.save(contents, slices / "unet.ckpt")
    task = GuidedClassificationTask(
        network=GuidedClassifier(TinyClassifier(), multiplier="mask"), guide=slices / "unet.ckpt"
    )
    run = make_run(slices, "guided", task)
    assert main(["explain", str(run.path), "--patches", "1", *OPTIONS]) == 0
    assert len(read_explained(run.explanation.explained))


def test_bad_input_gets_one_line(slices, capsys):
    run = make_run(slices, "one", classification(0))
    two = make_run(slices, "two", classification(1))
    for arguments, message in (
        ([str(run.path), "--layer", "nothing"], "no layer 'nothing' with a map; there are encoder"),
        ([str(slices / "runs")], "is neither a run nor has folds or seeds: no config.yaml in it"),
        ([str(run.path), "--patches", "0"], "0 patches per patient; at least 1 is expected"),
        ([str(run.path), "--steps", "0"], "0 steps of 32 images at once"),
    ):
        assert main(["explain", *arguments, "--device", "cpu"]) == 2
        printed = capsys.readouterr().err.strip().splitlines()
        assert len(printed) == 1
        assert message in printed[0]
    content = yaml.safe_load(two.config.read_text())
    content["data"]["init_args"]["patches_per_slice"] = 1
    two.config.write_text(yaml.safe_dump(content))
    assert main(["explain", str(run.path), "--against", str(two.path), *OPTIONS]) == 2
    assert "give a run on the same manifest" in capsys.readouterr().err
