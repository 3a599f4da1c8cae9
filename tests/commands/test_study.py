"""A study through the command line: teacher, student and distilled student on two folds."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from data_modules.splits import read_splits
from lotus.cli import main
from lotus.studies.study import read_study
from lotus.training.configuration import read_configuration
from tests.conftest import STUDENT, TINY, TINY_UNET

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
STUDIES = sorted((EXPERIMENTS / "studies").glob("*.yaml"))


def tiny_data(prefix, modality):
    sizes = {"patch_size": 32, "batch_size": 2, "samples_per_epoch": 4}
    return {f"{prefix}.{key}": value for key, value in sizes.items()} | {
        f"{prefix}.manifest": "{data}",
        f"{prefix}.modality": modality,
    }


def study_of(manifest):
    own = "data.init_args"
    student = STUDENT.removeprefix("--")
    return {
        "reference": "Distilled",
        "variables": {"data": str(manifest), "rate": 0.001},
        "methods": {
            "Distilled": {
                "configs": [str(EXPERIMENTS / "lotus/distill.yaml")],
                "arguments": {
                    **tiny_data(student, "sr_microct"),
                    **tiny_data(student.replace("student", "teacher"), "histology"),
                    "model.init_args.teacher": "{Teacher}",
                    "model.init_args.max_phase_one_epochs": 1,
                },
                "note": "small",
            },
            "Student": {
                "configs": [str(EXPERIMENTS / "lotus/student.yaml")],
                "arguments": tiny_data(own, "sr_microct"),
            },
            "Teacher": {
                "configs": [str(EXPERIMENTS / "lotus/teacher.yaml")],
                "arguments": tiny_data(own, "histology"),
                "compared": False,
            },
        },
    }


@pytest.mark.slow
def test_methods_share_folds_and_come_into_one_table(tiny_manifest, tmp_path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(study_of(tiny_manifest), sort_keys=False))
    arguments = ["study", str(path), "--runs", str(tmp_path), "--run", "a", *TINY]
    arguments += ["--folds", "2", "--processes", "2"]
    arguments += ["--model.init_args.network.init_args.filters", TINY_UNET["filters"]]
    assert main([*arguments, "--model.init_args.no_such_key", "1"]) == 2
    assert "no_such_key" in capsys.readouterr().err
    assert main([*arguments, "--set", "rate={0.1"]) == 2
    assert "--set has 'rate={0.1', whose value is not YAML" in capsys.readouterr().err
    assert not list(tmp_path.glob("small/a/*/fold*"))

    assert main(arguments) == 0
    shown = capsys.readouterr().out
    folder = tmp_path / "small/a"
    assert (folder / "comparison.md").read_text() in shown
    assert "Distilled: small" in shown
    table = pd.read_csv(folder / "comparison.csv")
    assert list(table["method"].unique()) == ["Teacher", "Distilled", "Student"]
    assert "Teacher: other images, n = " in shown
    for fold in range(2):
        splits = [
            read_splits(folder / method / f"fold{fold}/splits.json")
            for method in ("teacher", "student", "distilled")
        ]
        assert splits[0] == splits[1] == splits[2]

    trained = {file: file.stat().st_mtime_ns for file in folder.glob("*/fold*/checkpoints/*")}
    assert len(trained) == 14  # best and last of six runs, and two exported students
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("finished earlier") == 6
    assert trained == {file: file.stat().st_mtime_ns for file in trained}


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_command_takes_every_key_of_a_shipped_study(path, tiny_manifest, monkeypatch):
    """Every method is parsed as for its first fold, and its data are split; nothing is trained."""
    monkeypatch.chdir(EXPERIMENTS.parent)
    variables = {"data": str(tiny_manifest), "student": "sr_microct", "preset": "quick"}
    study = read_study(path, variables)
    for method in study.methods.values():
        arguments = study.fit_arguments(method, Path("runs"))
        data = read_configuration([text.replace("{fold}", "0") for text in arguments]).data
        own = "sr_microct" if method.compared else "histology"
        tested = data.select("test", data.splits)
        assert {record.modality for record in tested} == {own}, method.name
    with pytest.raises(ValueError, match="no_such_key"):
        read_configuration([*arguments, "--model.init_args.no_such_key=1"])
