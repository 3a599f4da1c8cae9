"""A cross-validation through the command line."""

import json
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from data_modules.manifest import read_manifest, write_manifest
from data_modules.splits import load_splits, read_splits
from lotus.cli import main
from lotus.evaluation.folders import evaluate_folders
from lotus.studies.cross_validation import CrossValidation
from tests.conftest import tiny_arguments
from tests.engines.in_process import IN_PROCESS
from tests.test_bad_input import contents, full_disk, truncate
from tests.test_interruption import PATIENCE_S, same_weights, start, statuses, wait_for

FOLDS = 2


def crossval_arguments(experiment, manifest, runs, run="cv"):
    """Two folds of a tiny experiment: its arguments of `fit` without the name of the run."""
    arguments = tiny_arguments(experiment, manifest, runs)
    assert arguments[0] == "fit"
    for option in ("--run", "--experiment"):
        if option in arguments:
            index = arguments.index(option)
            del arguments[index : index + 2]
    return ["crossval", "--folds", str(FOLDS), "--run", run, *arguments[1:]]


@pytest.fixture(scope="module")
def finished(tiny_manifest, tmp_path_factory):
    runs = tmp_path_factory.mktemp("crossval")
    arguments = [*crossval_arguments("student", tiny_manifest, runs), *IN_PROCESS]
    assert main(arguments) == 0
    return arguments, runs / "student/cv"


@pytest.mark.slow
def test_every_image_is_predicted_out_of_fold(finished, tiny_manifest):
    _, folder = finished
    records = [r for r in read_manifest(tiny_manifest) if r.modality == "sr_microct"]
    scores = pd.read_csv(folder / "scores.csv")
    images = scores[scores["name"] != "mean"].set_index("name")
    assert set(images.index) == {record.name for record in records}
    for record in records:
        fold = folder / f"fold{images['fold'][record.name]:.0f}"
        split = load_splits(fold / "splits.json", read_manifest(tiny_manifest))
        assert record.patient in split.test
        assert images["patient"][record.name] == record.patient
        assert (fold / "predictions" / f"{record.name}.tif").is_file()


@pytest.mark.slow
def test_scores_are_those_of_the_files(finished):
    _, folder = finished
    scores = pd.read_csv(folder / "scores.csv")
    again = evaluate_folders(folder / "predictions", folder / "targets", kind="instances")
    pd.testing.assert_frame_equal(scores[again.columns], again, rtol=1e-6, check_dtype=False)
    folds = pd.read_csv(folder / "fold_scores.csv").set_index("fold")
    assert list(folds.index) == ["0", "1", "mean", "sd"]
    for number in range(FOLDS):
        own = pd.read_csv(folder / f"fold{number}/scores.csv").set_index("name")
        assert folds["dice"][str(number)] == pytest.approx(own["dice"]["mean"])
        assert folds["images"][str(number)] == len(own) - 1
    pair = folds["dice"][["0", "1"]]
    assert folds["dice"]["mean"] == pytest.approx(pair.mean())
    assert folds["dice"]["sd"] == pytest.approx(pair.std())


@pytest.mark.slow
def test_finished_folds_are_left_alone_and_a_lost_one_is_run_again(finished, capsys):
    arguments, folder = finished
    before = {path: path.stat().st_mtime_ns for path in folder.glob("fold*/checkpoints/*")}
    scores = pd.read_csv(folder / "scores.csv")
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("finished earlier") == FOLDS
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("fold*/checkpoints/*")}

    shutil.rmtree(folder / "fold1")
    assert main(arguments) == 0
    pd.testing.assert_frame_equal(pd.read_csv(folder / "scores.csv"), scores)
    kept = {path: time for path, time in before.items() if "fold0" in str(path)}
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


@pytest.mark.slow
def test_what_cannot_be_a_cross_validation_is_refused(finished, tmp_path, capsys):
    arguments, folder = finished
    copy = tmp_path / "student/cv"
    shutil.copytree(folder, copy)
    at = arguments.index("--runs") + 1
    moved = [*arguments[:at], str(tmp_path), *arguments[at + 1 :]]

    def refusal(*more):
        assert main([*moved, *more]) == 2
        return capsys.readouterr().err

    assert "has 2 folds of seed 0" in refusal("--folds", "5")
    (lost, *_) = (copy / "fold1/predictions").iterdir()
    kept = lost.read_bytes()
    lost.unlink()
    assert f"fold1: {lost.stem} was not predicted" in refusal()
    lost.write_bytes(kept)
    (lost.parent / "stranger.tif").write_bytes(kept)
    assert "fold1: stranger is not one of its test images" in refusal()
    splits = json.loads((copy / "splits.json").read_text())
    splits["splits"].pop()
    (copy / "splits.json").write_text(json.dumps(splits))
    assert "is tested by 0 folds" in refusal()


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished cross-validation, to be damaged, and what runs it again."""
    arguments, folder = finished
    shutil.copytree(folder, tmp_path / "student/cv")
    at = arguments.index("--runs") + 1
    return [*arguments[:at], str(tmp_path), *arguments[at + 1 :]], tmp_path / "student/cv"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["predictions", "targets"])
def test_a_damaged_file_of_a_fold_is_named_with_the_remedy(kind, copied, capsys):
    arguments, folder = copied
    scores = (folder / "scores.csv").read_bytes()
    damaged = sorted((folder / "fold1" / kind).iterdir())[0]
    content = damaged.read_bytes()
    damaged.unlink()  # the gathered file is the same one
    damaged.write_bytes(content)
    truncate(damaged)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"lotus crossval: {folder / 'fold1'}: {damaged}")
    assert "truncated" in said
    assert said.endswith("; remove the folder to run the fold again\n")
    assert said.count("\n") == 1
    assert (folder / "scores.csv").read_bytes() == scores


def lose_images(fold):
    shutil.rmtree(fold / "images")


def cut(name):
    def damage(fold):
        content = (fold / name).read_bytes()
        (fold / name).write_bytes(content[: content.rindex(b":")] + b": [")

    return damage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lose_images, "sr_microct_[0-9] is not in images"),
        (cut("config.yaml"), "config.yaml is damaged"),
        (cut("splits.json"), "splits.json is damaged"),
    ],
    ids=["images", "config", "splits"],
)
def test_a_finished_fold_that_lost_a_part_is_named_with_the_remedy(damage, said, copied, capsys):
    arguments, folder = copied
    damage(folder / "fold1")
    before = contents(folder)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    remedy = "remove the folder to run the fold again"
    assert re.fullmatch(f"lotus crossval: {folder / 'fold1'}: {said}; {remedy}", line), line
    assert contents(folder) == before


@pytest.mark.slow
def test_damaged_folds_are_named(copied, capsys):
    arguments, folder = copied
    cut("splits.json")(folder)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lotus crossval: {folder / 'splits.json'}: not a file of folds (")


class HoldInSecondEpoch(pl.Callback):
    """Hold the first fold in its second epoch, so that a signal comes in the midst of it."""

    file = "holding"

    def on_train_batch_start(self, trainer, *_):
        mark = Path(trainer.default_root_dir).parent / self.file
        if trainer.current_epoch == 1 and not mark.exists():
            mark.touch()
            time.sleep(PATIENCE_S)


@pytest.mark.slow
def test_a_fold_stopped_in_its_midst_ends_as_if_it_had_not_been(finished, tiny_manifest, tmp_path):
    _, undisturbed = finished
    arguments = crossval_arguments("student", tiny_manifest, tmp_path)
    arguments += ["--trainer.callbacks+", "tests.commands.test_crossval.HoldInSecondEpoch"]
    folder = tmp_path / "student/cv"
    process = start(arguments)
    wait_for(folder / HoldInSecondEpoch.file, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output + errors
    last = folder / "fold0/checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["epoch"] == 0
    assert not (folder / "fold0/scores.csv").exists()
    assert not (folder / "fold1").exists()

    shutil.copytree(undisturbed / "fold1", folder / "fold1")  # It was not begun: nothing to test.
    assert main(arguments) == 0
    assert statuses(folder / "fold0") == ["interrupted", "finished", "finished"]  # fit, fit, test
    for name in ("best", "last"):
        file = f"fold0/checkpoints/{name}.ckpt"
        same_weights(folder / file, undisturbed / file)
    for name in ("scores.csv", "fold_scores.csv"):
        found, expected = pd.read_csv(folder / name), pd.read_csv(undisturbed / name)
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.slow
def test_a_teacher_of_another_fold_is_refused(tiny_manifest, tmp_path, capsys):
    """It was trained with the patients that the other folds test."""
    arguments = crossval_arguments("distill", tiny_manifest, tmp_path)
    arguments += ["--model.init_args.teacher", str(tmp_path / "fold0.ckpt"), *IN_PROCESS]
    of_fit = arguments[arguments.index("--config") : -len(IN_PROCESS)]
    CrossValidation.plan(tmp_path / "distill/cv", of_fit, FOLDS, 0)
    split = tmp_path / "distill/cv/splits/fold0.json"
    teacher = tiny_arguments("teacher", tiny_manifest, tmp_path / "teacher")
    assert main([*teacher, "--splits", str(split)]) == 0
    shutil.copy(tmp_path / "teacher/teacher/tiny/checkpoints/best.ckpt", tmp_path / "fold0.ckpt")
    capsys.readouterr()

    # The teacher's own fold is left out: it would only train.
    (tmp_path / "distill/cv/fold0").mkdir()
    (tmp_path / "distill/cv/fold0/scores.csv").touch()
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    fold1 = tmp_path / "distill/cv/fold1"
    assert line.startswith(f"lotus crossval: 1 of 2 jobs failed: {fold1}: lotus fit: {tmp_path}")
    tested = "|".join(read_splits(split.with_name("fold1.json")).test)
    assert re.search(rf"fold0.ckpt was trained with patient ({tested}) and \d more, whom", line)
    assert not (fold1 / "checkpoints").exists()
    assert not (tmp_path / "distill/cv/scores.csv").exists()


@pytest.mark.slow
def test_the_scores_of_a_fold_are_not_believed(copied):
    """They come from the predictions, so that it does not matter that a fold's table was cut."""
    arguments, folder = copied
    scores = pd.read_csv(folder / "scores.csv")
    table = folder / "fold1/scores.csv"
    table.write_bytes(table.read_bytes()[:100])
    (folder / "scores.csv").unlink()
    assert main(arguments) == 0
    pd.testing.assert_frame_equal(pd.read_csv(folder / "scores.csv"), scores)
    assert main(["compare", f"a={folder / 'fold0'}", f"b={folder / 'fold1'}"]) == 2


@pytest.mark.slow
def test_a_damaged_checkpoint_of_an_unfinished_fold_is_named(copied, capsys):
    arguments, folder = copied
    (folder / "fold1/scores.csv").unlink()
    environment = folder / "fold1/environment.json"
    environment.write_text(environment.read_text().replace('"finished"', '"interrupted"'))
    last = folder / "fold1/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert f"{folder / 'fold1'}: " in said
    assert f"{last} is not a readable checkpoint" in said
    assert "remove it or give another" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_scores(copied, capsys):
    arguments, folder = copied
    largest = max(path.stat().st_size for path in (folder / "splits").iterdir())
    tables = {name: (folder / name).read_bytes() for name in ("scores.csv", "fold_scores.csv")}
    assert largest < len(tables["scores.csv"])
    before = contents(folder).keys()
    with full_disk(largest):
        assert main(arguments) == 2
    assert capsys.readouterr().err == f"lotus crossval: {folder / 'scores.csv'}: File too large\n"
    assert {name: (folder / name).read_bytes() for name in tables} == tables
    assert contents(folder).keys() == before


@pytest.mark.slow
def test_fewer_patients_than_folds(tiny_manifest, tmp_path, capsys):
    arguments = crossval_arguments("student", tiny_manifest, tmp_path)
    arguments[arguments.index("--folds") + 1] = "11"
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        "lotus crossval: 11 folds need as many patients with annotated histology images; found 10: "
        "give fewer folds\n"
    )
    assert contents(tmp_path) == {}


@pytest.mark.slow
def test_folds_of_another_configuration_are_not_taken_for_those_asked_for(copied, capsys):
    arguments, folder = copied
    before = contents(folder)
    assert main([*arguments, "--model.init_args.optimizer.init_args.lr", "0.5"]) == 2
    said = capsys.readouterr().err
    assert f"{folder}/fold0 was begun with model.init_args.optimizer.init_args.lr = " in said
    assert "and now it would be 0.5; give the configuration as it was, or another --run" in said
    assert contents(folder) == before


@pytest.mark.slow
def test_a_teacher_with_one_patient_of_a_group(tiny_manifest, tmp_path):
    """The fold that tests this patient has nobody to teach the group: said before any trains."""
    rare = {("sr_microct", "P1"), ("sr_microct", "P2"), ("histology", "P6")}
    records = [
        replace(entry, group="rare" if (entry.modality, entry.patient) in rare else entry.group)
        for entry in read_manifest(tiny_manifest)
    ]
    assert {r.modality for r in records if r.group == "rare"} == {"sr_microct", "histology"}
    write_manifest(tmp_path / "manifest.csv", records)
    arguments = tiny_arguments("distill", tmp_path / "manifest.csv", tmp_path / "runs")[1:]
    arguments += ["--model.init_args.teacher", "fold{fold}.ckpt"]
    with pytest.raises(ValueError, match=r"^fold \d: no histology training image of group rare"):
        CrossValidation.plan(tmp_path / "cv", arguments, 5, 0)


def test_a_group_with_one_patient(tiny_manifest, tmp_path):
    """It is tested by one fold, which then has none of the group to learn from."""
    records = [
        replace(record, group="rare" if record.patient == "P3" else record.group)
        for record in read_manifest(tiny_manifest)
    ]
    write_manifest(tmp_path / "manifest.csv", records)
    arguments = tiny_arguments("student", tmp_path / "manifest.csv", tmp_path / "runs")[1:]
    planned = CrossValidation.plan(tmp_path / "cv", arguments, 5, 0)
    groups = [{record.group for record in fold} for fold in planned.tested]
    assert sum("rare" in found for found in groups) == 1
    assert sorted(r.name for fold in planned.tested for r in fold) == sorted(
        record.name for record in records if record.modality == "sr_microct"
    )
