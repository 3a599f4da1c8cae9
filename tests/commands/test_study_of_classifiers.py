"""A study of segmenters and of classifiers that one of them guides, in a table each."""

import pandas as pd
import pytest
import yaml

from data_modules.splits import read_splits
from lotus.cli import main
from lotus.runs import RunFolder
from lotus.runs.classified import read_classified
from tests.conftest import TINY
from tests.data_modules.test_patch_classification import draw_slices, people, write_table
from tests.engines.in_process import IN_PROCESS

STORED = {"class_path": "lotus.transforms.DtypeRange"}
BACKBONE = {"class_path": "lotus.networks.TimmClassifier", "init_args": {"name": "test_resnet"}}
GUIDED = {"class_path": "lotus.networks.GuidedClassifier", "init_args": {"backbone": BACKBONE}}


def segmenter():
    data = {"manifest": "m.csv", "modality": "ct", "class_names": ["lacuna"], "patch_size": 16}
    network = {"class_path": "lotus.networks.UNet", "init_args": {"filters": [4, 8]}}
    return {
        "experiment": "lacunae",
        "model": {
            "class_path": "lotus.tasks.SegmentationTask",
            "init_args": {"network": network, "class_names": ["lacuna"]},
        },
        "data": {
            "class_path": "data_modules.SegmentationDataModule",
            "init_args": data | {"batch_size": 2, "samples_per_epoch": 4, "preprocessing": STORED},
        },
    }


def classifier(task, network):
    data = {"manifest": "m.csv", "modality": "ct", "patches": "p.csv", "resize": 32}
    return {
        "experiment": "diagnosis",
        "model": {"class_path": f"lotus.tasks.{task}", "init_args": {"network": network}},
        "data": {
            "class_path": "data_modules.PatchClassificationDataModule",
            "init_args": data | {"batch_size": 8, "samples_per_epoch": 8, "preprocessing": STORED},
        },
    }


def method(folder, name, config, table, **arguments):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    given = {"data.init_args.manifest": "{data}/manifest.csv", **arguments}
    return {"configs": [str(path)], "arguments": given, "table": table}


@pytest.fixture
def study(tmp_path):
    """Six patients, of whom each has one slice."""
    write_table(tmp_path, draw_slices(tmp_path, people(*["healthy", "osteoporotic"] * 3)))
    patches = {"data.init_args.patches": "{data}/patches.csv"}
    guide = {"model.init_args.guide": "{U-Net}"}
    content = {
        "variables": {"data": str(tmp_path)},
        "tables": {
            "segmentation": {"reference": "U-Net", "title": "(a) Lacunae", "scores": ["dice"]},
            "classification": {
                **{"reference": "MGA", "title": "(b) Diagnoses"},
                "published": "mga2023-classification",
            },
        },
        "methods": {
            "U-Net": method(tmp_path, "unet", segmenter(), "segmentation"),
            "Plain": method(
                tmp_path,
                "plain",
                classifier("ClassificationTask", BACKBONE),
                "classification",
                **patches,
            ),
            "MGA": method(
                tmp_path,
                "mga",
                classifier("GuidedClassificationTask", GUIDED),
                "classification",
                **patches,
                **guide,
            ),
        },
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.slow
def test_segmenters_and_classifiers_share_pairs_of_patients(study, tmp_path, capsys):
    arguments = ["study", str(study), "--runs", str(tmp_path / "runs"), "--run", "a", *TINY]
    arguments += ["--folds", "pairs", "--trainer.max_epochs", "1", *IN_PROCESS]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    folder = RunFolder(tmp_path / "runs/small/a")
    tested = []
    for fold in range(3):
        splits = [
            read_splits(folder.path / f"{name}/fold{fold}/splits.json")
            for name in ("u-net", "plain", "mga")
        ]
        assert splits[0] == splits[1] == splits[2]
        # p0, p2, p4 are healthy: one of each group in every set, that of the segmenter too.
        for names in (splits[0].train, splits[0].val, splits[0].test):
            assert sorted(int(name[1:]) % 2 for name in names) == [0, 1]
        tested += splits[0].test
    assert sorted(tested) == [f"p{number}" for number in range(6)]

    table = read_classified(folder.path / "mga/classified.csv")
    assert len(table) == 6 * 6
    for row in table.itertuples():
        of_fold = read_splits(folder.path / f"mga/fold{row.fold}/splits.json")
        assert row.patient in of_fold.test
    first = pd.read_csv(folder.table("segmentation").comparison(".csv"))
    second = pd.read_csv(folder.table("classification").comparison(".csv"))
    assert set(first["method"]) == {"U-Net"}
    assert second.groupby("level")["n"].first().to_dict() == {
        **{"patch": 36, "slice": 6, "patient": 6},
    }
    right = (table["group"] == table["predicted"]).mean()
    found = second.set_index(["level", "method", "score"])["value"]
    assert found["patch", "MGA", "accuracy"] == pytest.approx(right)
    assert shown.index("(a) Lacunae") < shown.index("(b) Diagnoses")
    report = folder.report.read_text(encoding="utf-8")
    for text in ("(a) Lacunae", "(b) Diagnoses", "MGA (published, other data)", "random"):
        assert text in report

    trained = {file: file.stat().st_mtime_ns for file in folder.path.glob("*/fold*/checkpoints/*")}
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("finished earlier") == 9
    assert trained == {file: file.stat().st_mtime_ns for file in trained}
