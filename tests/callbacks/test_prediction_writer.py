import numpy as np
import pandas as pd
import pytest
import torch

from lotus.callbacks import PredictionWriter
from lotus.callbacks.prediction_writer import preview, spacing_of, write_prediction
from lotus.evaluation.folders import evaluate_folders
from lotus.imaging.raster import read_image, read_label_map
from lotus.runs import RunFolder


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_test_writes_label_maps_previews_and_scores(make_trainer, tmp_path, make_task, make_data):
    make_trainer(PredictionWriter()).test(make_task(), make_data())
    assert names_in(tmp_path / "predictions") == ["a.tif", "b.1.tif", "c.tif"]
    assert names_in(tmp_path / "targets") == ["a.tif", "b.1.tif", "c.tif"]
    assert names_in(tmp_path / "images") == ["a.png", "b.1.png", "c.png"]

    prediction = read_label_map(tmp_path / "predictions" / "b.1.tif")
    target = read_label_map(tmp_path / "targets" / "b.1.tif")
    assert np.array_equal(prediction == 1, target == 7)
    assert (prediction == 1).sum() == 7 * 8
    assert read_image(tmp_path / "predictions" / "a.tif").spacing_um == pytest.approx((0.5, 0.5))
    grey = read_image(tmp_path / "images" / "a.png").array
    assert (grey[5, 7], grey[0, 0]) == (204, 51)

    scores = pd.read_csv(tmp_path / "scores.csv")
    expected = evaluate_folders(
        tmp_path / "predictions", tmp_path / "targets", "instances", pixel_size_um=0.5
    )
    assert list(scores) == [*expected, "patient"]
    pd.testing.assert_frame_equal(scores[list(expected)], expected, check_dtype=False)
    patients = ["patient of a", "patient of b.1", "patient of c"]
    assert scores["patient"].tolist()[:3] == patients
    assert (tmp_path / "scores.csv").read_text().splitlines()[-1].endswith(",")
    assert scores["name"].tolist() == ["a", "b.1", "c", "mean"]
    assert scores["dice"].tolist()[:2] == [1.0, 1.0]
    assert np.isnan(scores["dice"][2])


def test_files_of_an_earlier_test_are_removed_and_others_kept(
    make_trainer, tmp_path, make_task, make_data
):
    make_trainer(PredictionWriter()).test(make_task(), make_data(names=("old", "c")))
    (tmp_path / "predictions" / "notes.txt").write_text("mine")
    make_trainer(PredictionWriter()).test(make_task(), make_data(names=("new", "c")))
    assert names_in(tmp_path / "predictions") == ["c.tif", "new.tif", "notes.txt"]
    assert names_in(tmp_path / "targets") == ["c.tif", "new.tif"]
    assert names_in(tmp_path / "images") == ["c.png", "new.png"]
    assert pd.read_csv(tmp_path / "scores.csv")["name"].tolist() == ["c", "new", "mean"]


def test_a_prediction_leaves_a_test_as_it_was(make_trainer, tmp_path, make_task, make_data):
    make_trainer(PredictionWriter()).test(make_task(), make_data())
    scores = (tmp_path / "scores.csv").read_bytes()
    data = make_data(names=("x", "y"), annotated=False)
    make_trainer(PredictionWriter()).predict(make_task(), data)
    assert names_in(tmp_path / "predict") == ["images", "predictions"]
    assert names_in(tmp_path / "predict" / "predictions") == ["x.tif", "y.tif"]
    assert names_in(tmp_path / "predictions") == ["a.tif", "b.1.tif", "c.tif"]
    assert (tmp_path / "scores.csv").read_bytes() == scores


@pytest.mark.parametrize("spacing", [(float("nan"), float("nan")), (0.5, 0.7)])
def test_micrometres_need_a_common_square_pixel(
    make_trainer, tmp_path, spacing, make_task, make_data
):
    make_trainer(PredictionWriter()).test(make_task(), make_data(spacing=spacing))
    assert "hd_um" not in pd.read_csv(tmp_path / "scores.csv")


def test_the_pixel_size_is_written_as_it_is_known(make_trainer, tmp_path, make_task, make_data):
    make_trainer(PredictionWriter()).test(make_task(), make_data(spacing=(1.6, 1.6)))
    assert read_image(tmp_path / "predictions" / "a.tif").spacing_um == (1.6, 1.6)
    assert "hd_um" in pd.read_csv(tmp_path / "scores.csv")


def test_images_without_masks_are_predicted_but_not_scored(
    make_trainer, tmp_path, make_task, make_data
):
    with pytest.warns(UserWarning, match="no test image has a mask"):
        make_trainer(PredictionWriter()).test(make_task(), make_data(annotated=False))
    assert len(names_in(tmp_path / "predictions")) == 3
    assert not (tmp_path / "scores.csv").exists()


def test_two_processes_score_all_images_once(make_trainer, tmp_path, make_task, make_data):
    trainer = make_trainer(PredictionWriter(), devices=2, strategy="ddp_fork")
    trainer.test(make_task(), make_data(names=("a", "b", "c", "d", "e")))
    assert len(names_in(tmp_path / "predictions")) == 5
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["name"].tolist() == ["a", "b", "c", "d", "e", "mean"]
    assert scores["patient"].tolist()[:-1] == [f"patient of {name}" for name in "abcde"]


def test_previews_keep_colour_where_there_is_some():
    image = torch.zeros(3, 4, 5)
    assert preview(image).shape == (4, 5)
    image[0, 1, 2] = 2.0
    assert preview(image).shape == (4, 5, 3)
    assert preview(image)[1, 2].tolist() == [255, 0, 0]


def test_a_batch_of_several_images_is_refused(tmp_path):
    batch = {"name": ["a", "b"], "image": torch.zeros(2, 3, 4, 5)}
    with pytest.raises(ValueError, match="one image per batch"):
        write_prediction(RunFolder(tmp_path), np.zeros((4, 5), dtype=np.int32), batch)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spacing_um", "expected"),
    [
        ([[1.6, 0.65], [1.0, 1.0]], (1.6, 0.65)),
        ([[2.0, 0.5, 0.75]], (0.5, 0.75)),  # a slab of a volume
        ([[float("nan"), 0.5, 0.75]], (0.5, 0.75)),
        ([[float("nan"), float("nan")]], None),
    ],
)
def test_the_pixel_size_is_that_within_the_image(spacing_um, expected):
    assert spacing_of({"spacing_um": torch.tensor(spacing_um, dtype=torch.float64)}) == expected
