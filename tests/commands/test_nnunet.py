"""The way to nnU-Net and back: layouts by hand, and predictions that the test writes."""

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage import io as skimage_io

from data_modules.folds import make_folds, write_folds
from data_modules.manifest import read_manifest, write_manifest
from data_modules.nnunet import export_dataset
from data_modules.segmentation import SegmentationDataModule
from lotus.cli import main
from lotus.imaging import read_image, read_label_map, write_label_map
from lotus.masks import MaskValues
from tests.conftest import tiny_arguments

NAME = "Dataset012_Tiny"
TRAINER = "nnUNetTrainer__nnUNetPlans__2d"


def export_arguments(experiment, manifest, folder, *more):
    arguments = tiny_arguments(experiment, manifest, folder / "runs")
    options = ("--folds", folder / "splits.json", "--output", folder / "nnunet", "--number", 12)
    return ["nnunet", "export", *map(str, options), "--name", "Tiny", *arguments[1:], *more]


@pytest.fixture(scope="module")
def folds(tiny_manifest):
    return make_folds(read_manifest(tiny_manifest), 2, seed=0)


@pytest.fixture(scope="module")
def exported(tiny_manifest, folds, tmp_path_factory):
    """The folder of an export of the microCT images in two folds."""
    folder = tmp_path_factory.mktemp("nnunet")
    write_folds(folder / "splits.json", folds)
    assert main(export_arguments("student", tiny_manifest, folder)) == 0
    return folder


@pytest.fixture
def predicted(exported, tmp_path):
    """A copy of the export with predictions of all folds that equal the masks."""
    shutil.copytree(exported / "nnunet", tmp_path, dirs_exist_ok=True)
    dataset, results = tmp_path / "nnUNet_raw" / NAME, tmp_path / "results" / TRAINER
    for fold, names in cases_of(dataset).groupby("fold")["name"]:
        for name in names:
            target = results / f"fold_{fold}/validation/{name}.tif"
            target.parent.mkdir(parents=True, exist_ok=True)
            # As nnU-Net's NaturalImage2DIO writes them.
            mask = read_label_map(dataset / f"labelsTr/{name}.tif").astype(np.uint8)
            skimage_io.imsave(target, mask, check_contrast=False)
    (results / "plans.json").write_text("{}")
    return dataset, results


def cases_of(dataset):
    return pd.read_csv(dataset / "lotus/cases.csv")


def import_arguments(predicted, folder, *more):
    dataset, results = map(str, predicted)
    options = ("--dataset", dataset, "--results", results, "--runs", str(folder), "--run", "cv")
    return ["nnunet", "import", *options, *map(str, more)]


def test_the_layout_of_nnunet(exported, tiny_manifest):
    dataset = exported / "nnunet/nnUNet_raw" / NAME
    records = [r for r in read_manifest(tiny_manifest) if r.modality == "sr_microct"]
    names = sorted(record.name for record in records)
    assert sorted(p.name for p in (dataset / "imagesTr").iterdir()) == [
        f"{name}_0000.tif" for name in names
    ]
    assert sorted(p.stem for p in (dataset / "labelsTr").iterdir()) == names
    assert json.loads((dataset / "dataset.json").read_text()) == {
        "channel_names": {"0": "grey"},
        "labels": {"background": 0, "lacuna": 1},
        "numTraining": 10,
        "file_ending": ".tif",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }
    for record in records:
        labels = read_label_map(record.mask)
        # nnU-Net's reader of flat images takes them with scikit-image.
        mask = skimage_io.imread(dataset / f"labelsTr/{record.name}.tif")
        assert np.array_equal(mask, labels > 0)
        targets = read_label_map(dataset / f"lotus/targets/{record.name}.tif")
        assert np.array_equal(targets, labels)


def test_images_are_those_that_the_networks_see(exported, tiny_manifest):
    """The enhanced image of the configuration, to the last bit."""
    from lotus.transforms.enhancement import SRMicroCTEnhancement

    image = read_image(tiny_manifest.parent / "sr_microct_3.tif").array
    path = exported / f"nnunet/nnUNet_raw/{NAME}/imagesTr/sr_microct_3_0000.tif"
    assert np.array_equal(skimage_io.imread(path), SRMicroCTEnhancement()(image[None])[0])
    assert read_image(path).spacing_um == pytest.approx((1.6, 1.6))


def test_the_folds_are_those_of_the_file(exported, tiny_manifest, folds):
    path = exported / f"nnunet/nnUNet_preprocessed/{NAME}/splits_final.json"
    splits = json.loads(path.read_text())
    records = [r for r in read_manifest(tiny_manifest) if r.modality == "sr_microct"]
    assert len(splits) == 2
    for split, ours in zip(splits, folds.splits, strict=True):
        for theirs, patients in (("train", ours.train), ("val", ours.test)):
            expected = sorted(r.name for r in records if r.patient in patients)
            assert split[theirs] == expected
            assert expected
    with (exported / f"nnunet/nnUNet_raw/{NAME}/lotus/cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["patient"] in folds.splits[int(row["fold"])].test
    assert sorted(row["name"] for row in rows) == sorted(record.name for record in records)


@pytest.mark.slow
def test_few_labels_are_the_few_labels_of_the_others(tiny_manifest, folds, tmp_path):
    write_folds(tmp_path / "splits.json", folds)
    few = ("--data.init_args.training_images", "2")
    assert main(export_arguments("student", tiny_manifest, tmp_path, *few)) == 0
    path = tmp_path / f"nnunet/nnUNet_preprocessed/{NAME}/splits_final.json"
    data = SegmentationDataModule(tiny_manifest, "sr_microct", training_images=2)
    for split, ours in zip(json.loads(path.read_text()), folds.splits, strict=True):
        data.use_splits(ours, ["healthy", "osteoporotic"])
        assert split["train"] == sorted(record.name for record in data.select("train"))
        assert (len(split["train"]), len(split["val"])) == (2, 5)


@pytest.mark.slow
def test_colours_are_three_channels(tiny_manifest, folds, tmp_path):
    write_folds(tmp_path / "splits.json", folds)
    assert main(export_arguments("teacher", tiny_manifest, tmp_path)) == 0
    dataset = tmp_path / "nnunet/nnUNet_raw" / NAME
    content = json.loads((dataset / "dataset.json").read_text())
    assert content["channel_names"] == {"0": "red", "1": "green", "2": "blue"}
    channels = [
        tifffile.imread(dataset / f"imagesTr/histology_0_{channel:04d}.tif") for channel in range(3)
    ]
    assert all(channel.shape == (48, 48) for channel in channels)
    assert not np.array_equal(channels[0], channels[2])


def test_perfect_predictions_come_back_as_a_perfect_run(predicted, tmp_path, capsys):
    """Masks alone: touching true objects come back as one, all else is found."""
    assert main(import_arguments(predicted, tmp_path / "runs")) == 0
    run = tmp_path / "runs/nnunet/cv"
    scores = pd.read_csv(run / "scores.csv")
    assert capsys.readouterr().out == f"10 images: {run / 'scores.csv'}\n"
    images = scores[scores["name"] != "mean"].set_index("name")
    cases = cases_of(predicted[0]).set_index("name")
    assert images["dice"].tolist() == [1.0] * 10
    assert images["hd"].tolist() == [0.0] * 10
    for name in cases.index:
        assert images["fold"][name] == cases["fold"][name]
        assert images["patient"][name] == cases["patient"][name]
        fold = run / f"fold{cases['fold'][name]}"
        assert (fold / f"images/{name}.png").is_file()
        prediction = read_label_map(run / f"predictions/{name}.tif")
        assert prediction.max() == images["n_pred"][name] <= images["n_true"][name]
    assert pd.read_csv(run / "fold_scores.csv")["fold"].tolist() == ["0", "1", "mean", "sd"]
    assert (run / "nnunet/plans.json").read_text() == "{}"
    # The run can stand beside any other that was scored on these images.
    assert main(["compare", f"a={run}", f"b={run}", "--scores", "dice"]) == 0
    assert "over 10 patients" in capsys.readouterr().out


@pytest.mark.slow
def test_scores_of_altered_predictions_by_hand(predicted, tmp_path):
    dataset, results = predicted
    (missed, small, *_), fold = cases_of(dataset).query("fold == 0")["name"], "fold_0/validation"
    square = np.zeros((48, 48), np.uint8)
    square[10:20, 10:20] = 1
    write_label_map(results / fold / f"{missed}.tif", np.zeros_like(square))
    write_label_map(dataset / f"lotus/targets/{small}.tif", square)
    square[10:20, 15:20] = 0  # half of it
    square[40, 40] = 1  # and a speck
    write_label_map(results / fold / f"{small}.tif", square)
    for minimum_size, (n_pred, dice) in {0: (2, 2 * 50 / 151), 2: (1, 2 * 50 / 150)}.items():
        runs = tmp_path / f"runs{minimum_size}"
        assert main(import_arguments(predicted, runs, "--minimum-size", minimum_size)) == 0
        scores = pd.read_csv(runs / "nnunet/cv/scores.csv").set_index("name")
        assert scores.loc[missed, ["dice", "n_pred"]].tolist() == [0, 0]
        assert scores.loc[small, "n_pred"] == n_pred
        assert scores.loc[small, "dice"] == pytest.approx(dice)


def test_ignored_pixels_are_no_truth_there_and_no_mistake_here(tiny_manifest, folds, tmp_path):
    """The first disc of every image is to be ignored; nnU-Net finds something everywhere."""
    values = MaskValues(ignore=1)
    records = [replace(record, mask_values=values) for record in read_manifest(tiny_manifest)]
    write_manifest(tmp_path / "manifest.csv", records)
    data = SegmentationDataModule(tmp_path / "manifest.csv", "sr_microct")
    dataset = export_dataset(tmp_path, NAME, data, folds.splits)
    labels = json.loads((dataset / "dataset.json").read_text())["labels"]
    assert labels == {"background": 0, "foreground": 1, "ignore": 2}
    for name, fold in cases_of(dataset)[["name", "fold"]].to_numpy():
        stored = read_label_map(tiny_manifest.parent / f"{name}_mask.tif")
        expected = np.array([0, 2, 1, 1, 1])[stored]
        np.testing.assert_array_equal(read_label_map(dataset / f"labelsTr/{name}.tif"), expected)
        found = tmp_path / TRAINER / f"fold_{fold}/validation/{name}.tif"
        write_label_map(found, np.ones_like(stored))
    assert main(import_arguments((dataset, tmp_path / TRAINER), tmp_path)) == 0
    run = tmp_path / "nnunet/cv"
    assert not list(run.glob("fold*/classes")), "to be ignored is no class"
    for path in (run / "predictions").iterdir():
        mask = read_label_map(dataset / "labelsTr" / path.name)
        np.testing.assert_array_equal(read_label_map(path), mask != 2)


def test_classes_come_back_beside_the_objects(predicted, tmp_path):
    dataset, results = predicted
    assert main(import_arguments(predicted, tmp_path / "one")) == 0
    assert not list(tmp_path.glob("one/nnunet/cv/**/classes")), "there is only one class"
    content = json.loads((dataset / "dataset.json").read_text())
    content["labels"]["canal"] = 2
    (dataset / "dataset.json").write_text(json.dumps(content))
    predictions = np.zeros((48, 48), np.uint8)
    predictions[10:20, 10:15], predictions[10:20, 15:20], predictions[40, 40] = 1, 2, 2
    write_label_map(fold_1(results), predictions)
    assert main(import_arguments(predicted, tmp_path, "--minimum-size", 2)) == 0
    name, run = fold_1(results).stem, tmp_path / "nnunet/cv"
    objects = read_label_map(run / f"predictions/{name}.tif")
    classes = read_label_map(run / f"fold1/classes/{name}.tif")
    assert objects.max() == 1
    predictions[40, 40] = 0  # the speck is dropped
    np.testing.assert_array_equal(classes, predictions)
    assert len(list(run.glob("fold*/classes/*.tif"))) == 10


def fold_1(results):
    return sorted((results / "fold_1/validation").iterdir())[0]


SPOILT = {
    "a fold was not trained": (
        lambda _, results: shutil.rmtree(results / "fold_1"),
        r"fold_1/validation: no predictions here; train the fold with `nnUNetv2_train ... 1`",
    ),
    "an image is missing": (
        lambda _, results: fold_1(results).unlink(),
        r"fold_1/validation: \w+ was not predicted",
    ),
    "an image of another fold": (
        lambda _, results: shutil.copy(fold_1(results), results / "fold_0/validation"),
        r"fold_0/validation: \w+ is not one of the fold's test images; was splits_final.json",
    ),
    "a truncated prediction": (
        lambda _, results: fold_1(results).write_bytes(fold_1(results).read_bytes()[:2000]),
        r"fold_1/validation/\w+.tif.*truncated",
    ),
    "another size": (
        lambda _, results: write_label_map(fold_1(results), np.ones((48, 40), np.uint8)),
        r"fold_1/validation/\w+.tif is 48 x 40; expected 48 x 48 as its image",
    ),
    "not a data set": (
        lambda dataset, _: shutil.rmtree(dataset / "lotus"),
        r"cases.csv: no cases here; give the folder that `lotus nnunet export` wrote",
    ),
    "damaged classes": (
        lambda dataset, _: (dataset / "dataset.json").write_text("{}"),
        r"dataset.json: damaged .* export the data set again",
    ),
    "damaged cases": (
        lambda dataset, _: (dataset / "lotus/cases.csv").write_text("name,patient\na,P1\n"),
        r"cases.csv: damaged .* export the data set again",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_cannot_be_imported_leaves_no_run(case, predicted, tmp_path, capsys):
    spoil, expected = SPOILT[case]
    spoil(*predicted)
    capsys.readouterr()
    assert main(import_arguments(predicted, tmp_path / "runs")) == 2
    said = capsys.readouterr().err
    assert said.startswith("lotus nnunet: ")
    assert said.count("\n") == 1
    assert re.search(expected, said), said
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_run_is_not_overwritten(predicted, tmp_path, capsys):
    (tmp_path / "runs/nnunet/cv").mkdir(parents=True)
    assert main(import_arguments(predicted, tmp_path / "runs")) == 2
    assert "exists already; give another --run" in capsys.readouterr().err
    assert main(import_arguments(predicted, tmp_path / "new", "--fold", "1")) == 2
    assert "unrecognized arguments: --fold 1" in capsys.readouterr().err


@pytest.mark.slow
def test_what_cannot_be_exported(exported, tiny_manifest, tmp_path, capsys):
    def refusal(*more, experiment="student", folder=exported):
        assert main(export_arguments(experiment, tiny_manifest, folder, *more)) == 2
        return capsys.readouterr().err

    assert "Dataset012_Tiny exists already" in refusal()
    assert "the number of a data set is 0" in refusal("--number", "0")
    assert "expected letters, digits and _" in refusal("--name", "my set")
    assert "expected SegmentationDataModule" in refusal(
        "--model.init_args.teacher", "x.ckpt", experiment="distill"
    )
    assert "no folds here" in refusal(folder=tmp_path)
    (tmp_path / "splits.json").write_text((exported / "splits.json").read_text())
    classes = ("--data.init_args.class_names", "[lacuna, canal]")
    assert "one class" in refusal(*classes, folder=tmp_path)
    # What was begun is gone.
    assert not list(tmp_path.glob("nnunet/*/*"))
