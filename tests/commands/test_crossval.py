"""A cross-validation through the command line."""

import json
import shutil

import pandas as pd
import pytest

from data_modules.manifest import read_manifest
from data_modules.splits import load_splits
from lotus.cli import main
from lotus.evaluation.folders import evaluate_folders
from tests.conftest import tiny_arguments

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
    arguments = crossval_arguments("student", tiny_manifest, runs)
    assert main(arguments) == 0
    return arguments, runs / "crossval/cv"


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
    copy = tmp_path / "crossval/cv"
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
