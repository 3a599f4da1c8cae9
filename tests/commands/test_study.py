"""A study through the command line: teacher, student and distilled student on two folds."""

from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from data_modules.splits import read_splits
from lotus.cli import main
from lotus.studies.study import read_study
from lotus.training.configuration import read_configuration
from tests.conftest import FLAT_STUDIES, STUDENT, TINY, TINY_UNET
from tests.engines.in_process import IN_PROCESS

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


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
    arguments += ["--folds", "2", *IN_PROCESS]
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


STAGED = {
    "variables": {"size": 64},
    "stages": {
        "Phantoms": {
            "command": "phantom",
            "arguments": [
                *("histology", "--output", "{folder}/data"),
                *("--patients", "9", "--slices", "1", "--size", "{size}"),
            ],
            "leaves": {"manifest": "data/manifest.csv", "images": "data/histology/images"},
            "per": "study",
        },
        "Teacher": {
            "configs": [str(EXPERIMENTS / "lotus/teacher.yaml")],
            "arguments": {
                "data.init_args.manifest": "{Phantoms.manifest}",
                "data.init_args.patch_size": 32,
                "data.init_args.batch_size": 2,
                "data.init_args.samples_per_epoch": 4,
                "data.init_args.split_fractions": [0.5, 0.25, 0.25],
            },
        },
        "Labels": {
            "command": "segment",
            "arguments": [
                *("{Phantoms.images}", "--checkpoint", "{Teacher}"),
                *("--output", "{folder}/labels", "--window", "64"),
            ],
            "leaves": {"masks": "labels"},
        },
    },
}


@pytest.mark.slow
def test_stages_go_on_where_they_were_and_are_run_again_when_what_they_need_changed(
    tmp_path, capsys
):
    """Data that a stage makes, a training per fold on them, and what its checkpoint segments."""
    path = tmp_path / "staged.yaml"
    path.write_text(yaml.safe_dump(STAGED, sort_keys=False))
    arguments = ["study", str(path), "--runs", str(tmp_path), "--run", "a", *TINY]
    arguments += ["--folds", "2", "--processes", "2", "--trainer.max_epochs", "1"]
    arguments += ["--model.init_args.network.init_args.filters", TINY_UNET["filters"]]
    assert main([*arguments, "--model.init_args.no_such_key", "1"]) == 2
    assert "no_such_key" in capsys.readouterr().err
    folder = tmp_path / "staged/a"
    assert not folder.exists()

    assert main(arguments) == 0
    ran = capsys.readouterr().out
    assert ran.index("phantoms: lotus phantom") < ran.index("teacher/fold0: lotus fit")
    assert ran.index("teacher/fold1: finished") < ran.index("labels/fold0: lotus segment")
    assert "lotus test" not in ran
    tested = set()
    for fold in range(2):
        made = folder / f"labels/fold{fold}/labels"
        assert len(list(made.glob("*_labels.tif"))) == 9
        split = read_splits(folder / f"teacher/fold{fold}/splits.json")
        assert not tested & {*split.test}
        tested |= {*split.test}
    assert len(tested) == 9

    assert main(arguments) == 0
    assert capsys.readouterr().out.count("finished earlier") == 5
    # Another checkpoint makes other labels; those of the other fold stay.
    best = folder / "teacher/fold1/checkpoints/best.ckpt"
    content = torch.load(best, weights_only=True)
    content["state_dict"]["network.head.bias"] += 1
    torch.save(content, best)
    assert main(arguments) == 0
    again = capsys.readouterr().out
    assert again.count("finished earlier") == 4
    assert "labels/fold1: lotus segment" in again
    # A stage of another configuration is refused, and nothing is run.
    assert main([*arguments, "--set", "size=96"]) == 2
    line = capsys.readouterr().err
    assert "phantoms was begun with `phantom histology" in line
    assert line.count("\n") == 1


@pytest.mark.slow
def test_methods_are_compared_over_seeds(tiny_manifest, tmp_path, capsys):
    """A student and one that starts from the teacher of its own seed, on one split."""
    own = "data.init_args"
    student = {
        "configs": [str(EXPERIMENTS / "lotus/student.yaml")],
        "arguments": tiny_data(own, "sr_microct"),
    }
    started = {**student["arguments"], "model.init_args.initial_weights": "{Student}"}
    content = {
        "reference": "Student",
        "variables": {"data": str(tiny_manifest), "seed": 0},
        "methods": {"Student": student, "Started": {**student, "arguments": started}},
    }
    path = tmp_path / "seeds.yaml"
    path.write_text(yaml.safe_dump(content))
    arguments = ["study", str(path), "--runs", str(tmp_path), "--run", "a", *TINY]
    arguments += ["--seeds", "1", "2", *IN_PROCESS]
    arguments += ["--model.init_args.network.init_args.filters", TINY_UNET["filters"]]
    assert main(arguments) == 0
    assert "over 2 seeds" in capsys.readouterr().out
    folder = tmp_path / "seeds/a"
    splits, weights = [], []
    for seed in (1, 2):
        run = folder / f"started/seed{seed}"
        splits.append(read_splits(run / "splits.json"))
        config = yaml.safe_load((run / "config.yaml").read_text())
        assert config["seed_everything"] == seed
        start = config["model"]["init_args"]["initial_weights"]
        assert start == str(folder / f"student/seed{seed}/checkpoints/best.ckpt")
        weights.append(torch.load(start, weights_only=True)["state_dict"]["network.head.weight"])
    assert splits[0] == splits[1]
    assert not torch.equal(*weights)
    table = pd.read_csv(folder / "comparison.csv").set_index(["method", "score"])
    dice = [pd.read_csv(folder / f"student/seed{s}/scores.csv")["dice"].iloc[:-1] for s in (1, 2)]
    expected = pd.Series([values.mean() for values in dice])
    assert table.loc[("Student", "dice"), "mean"] == pytest.approx(expected.mean())
    assert table.loc[("Student", "dice"), "sd"] == pytest.approx(expected.std())
    assert table.loc[("Started", "dice"), "pairs"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("path", FLAT_STUDIES, ids=lambda path: path.stem)
def test_the_command_takes_every_key_of_a_shipped_study(path, tiny_manifest, monkeypatch):
    """Every method is parsed as for its first fold, and its data are split; nothing is trained."""
    monkeypatch.chdir(EXPERIMENTS.parent)
    variables = {"data": str(tiny_manifest), "student": "sr_microct", "preset": "quick"}
    study = read_study(path, variables)
    for method in study.stages.values():
        arguments = study.command_line(method, Path("runs"))
        data = read_configuration([text.replace("{fold}", "0") for text in arguments]).data
        own = "sr_microct" if method.row == "compared" else "histology"
        tested = data.select("test", data.splits)
        assert {record.modality for record in tested} == {own}, method.name
    with pytest.raises(ValueError, match="no_such_key"):
        read_configuration([*arguments, "--model.init_args.no_such_key=1"])
