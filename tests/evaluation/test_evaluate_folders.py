"""Folders of label files against the scores of their arrays."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from lotus.evaluation.folders import (
    evaluate_folders,
    pooled_panoptic_quality,
)
from lotus.evaluation.pairs import pair_files
from lotus.masks import connected_components
from lotus.metrics import score_image
from lotus.metrics.functional import lotus2024_scores, panoptic_quality, pool_panoptic_quality

SCORES = "dice,iou,hd,hd95,aji,aji_plus,pq,sq,dq,precision,recall,f1"
COLUMNS = ["name", "n_true", "n_pred", *SCORES.split(","), "undefined"]


def discs(seed: int, scale: int = 1) -> np.ndarray:
    """A label map (50, 60) with touching instances and classes 1 to 3 when read as semantic."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:50, :60]
    labels = np.zeros((50, 60), np.uint16)
    for label in (1, 2, 3):
        cy, cx = rng.uniform(10, 40, 2)
        labels[(y - cy) ** 2 + (x - cx) ** 2 < 60] = label * scale
    return labels


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two pairs of TIFF label maps, an empty pair, and a missed image."""
    predictions, targets = tmp_path / "predictions", tmp_path / "targets"
    predictions.mkdir()
    targets.mkdir()
    for name, seed in (("b", 0), ("a", 1)):
        tifffile.imwrite(targets / f"{name}.tif", discs(seed))
        tifffile.imwrite(predictions / f"{name}.tif", np.roll(discs(seed), 2, axis=0))
    empty = np.zeros((50, 60), np.uint16)
    tifffile.imwrite(targets / "empty.tif", empty)
    tifffile.imwrite(predictions / "empty.tif", empty)
    tifffile.imwrite(targets / "missed.tif", discs(2))
    tifffile.imwrite(predictions / "missed.tif", empty)
    return predictions, targets


def rows(scores: pd.DataFrame) -> dict[str, dict]:
    return scores.set_index("name").to_dict(orient="index")


def test_instances_are_taken_as_they_are(folders):
    scores = evaluate_folders(*folders, kind="instances")
    assert list(scores.columns) == COLUMNS
    assert list(scores["name"]) == ["a", "b", "empty", "missed", "mean"]
    expected = score_image(np.roll(discs(1), 2, axis=0), discs(1))
    assert rows(scores)["a"] == expected
    assert expected["n_true"] == 3


def test_the_mean_leaves_out_the_undefined_but_not_the_missed(folders):
    scores = rows(evaluate_folders(*folders, kind="instances"))
    for score in ("dice", "aji", "pq", "hd", "n_true"):
        values = [scores[name][score] for name in ("a", "b", "empty", "missed")]
        assert scores["mean"][score] == pytest.approx(np.nanmean(values))
    assert math.isnan(scores["empty"]["dice"])
    assert scores["missed"]["dice"] == 0
    assert scores["missed"]["hd"] == math.hypot(50, 60)
    assert scores["mean"]["undefined"] == 12 + 2


def test_binary_masks_are_split_into_components(folders):
    target, prediction = discs(1), np.roll(discs(1), 2, axis=0)
    expected = score_image(connected_components(prediction), connected_components(target))
    assert rows(evaluate_folders(*folders, kind="binary"))["a"] == expected


def test_one_class_of_semantic_masks_is_scored(folders):
    target, prediction = discs(0) == 2, np.roll(discs(0), 2, axis=0) == 2
    expected = score_image(connected_components(prediction), connected_components(target))
    assert rows(evaluate_folders(*folders, kind="semantic", class_index=2))["b"] == expected


def test_a_pixel_size_adds_micrometres(folders):
    scores = evaluate_folders(*folders, kind="instances", pixel_size_um=0.25)
    assert list(scores.columns) == [*COLUMNS, "hd_um", "hd95_um"]
    defined = scores.dropna()
    np.testing.assert_allclose(defined["hd_um"], defined["hd"] * 0.25, rtol=1e-6)
    np.testing.assert_allclose(defined["hd95_um"], defined["hd95"] * 0.25, rtol=1e-6)


def test_extra_scores_come_after_the_fixed_columns(folders):
    scores = evaluate_folders(*folders, kind="binary", extra_scores=lotus2024_scores)
    assert list(scores.columns[: len(COLUMNS)]) == COLUMNS
    assert all(column.startswith("lotus2024_") for column in scores.columns[len(COLUMNS) :])
    assert rows(scores)["missed"]["lotus2024_hd95"] == 0


def test_pooled_pq_comes_out_of_the_table(folders):
    scores = evaluate_folders(*folders, kind="instances")
    pairs = [(np.roll(discs(seed), 2, axis=0), discs(seed)) for seed in (0, 1)]
    pairs.append((np.zeros_like(discs(2)), discs(2)))
    expected = pool_panoptic_quality(panoptic_quality(*pair) for pair in pairs)
    assert pooled_panoptic_quality(scores) == pytest.approx(expected)


def test_files_pair_by_stem_whatever_the_format(tmp_path):
    predictions, targets = tmp_path / "p", tmp_path / "t"
    predictions.mkdir()
    targets.mkdir()
    tifffile.imwrite(predictions / "one.x.ome.tif", discs(0))
    Image.fromarray(discs(0).astype(np.uint8)).save(targets / "one.x.PNG")
    (targets / ".DS_Store").touch()
    (targets / "notes.txt").touch()
    assert [pair.name for pair in pair_files(predictions, targets)] == ["one.x"]
    assert rows(evaluate_folders(predictions, targets, kind="instances"))["mean"]["pq"] == 1


def test_instance_256_survives_the_files(tmp_path):
    labels = np.arange(1, 301, dtype=np.uint16).reshape(15, 20)
    for name in ("p", "t"):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "many.tif", labels)
    scores = evaluate_folders(tmp_path / "p", tmp_path / "t", kind="instances")
    assert rows(scores)["many"]["n_true"] == rows(scores)["many"]["n_pred"] == 300


def test_an_unpaired_file_is_named(folders):
    predictions, targets = folders
    (predictions / "b.tif").unlink()
    with pytest.raises(ValueError, match=r"targets/b\.tif has no file of that name in .*predict"):
        evaluate_folders(predictions, targets, kind="instances")
    tifffile.imwrite(predictions / "extra.tif", discs(0))
    with pytest.raises(ValueError, match=r"predictions/extra\.tif .*\(and 1 more files"):
        evaluate_folders(predictions, targets, kind="instances")


def test_sizes_that_differ_are_named(folders):
    predictions, targets = folders
    tifffile.imwrite(predictions / "b.tif", discs(0)[:40])
    with pytest.raises(ValueError, match=r"b\.tif is 60×40 pixels and .*b\.tif 60×50"):
        evaluate_folders(predictions, targets, kind="instances")


def names(folder, *files):
    folder.mkdir(exist_ok=True)
    for file in files:
        (folder / file).touch()
    return folder


def test_what_segment_wrote_goes_by_the_names_of_the_images(tmp_path):
    of_segment = [f"{name}_{kind}.tif" for name in "ab" for kind in ("labels", "probability")]
    predictions = names(tmp_path / "p", *of_segment, "a.geojson", "a_objects.csv")
    masks = names(tmp_path / "t", "a.png", "b.ome.tif")
    expected = [("a", "a_labels.tif", "a.png"), ("b", "b_labels.tif", "b.ome.tif")]
    pairs = pair_files(predictions, masks)
    assert [(pair.name, pair.prediction.name, pair.target.name) for pair in pairs] == expected
    # Corrected label maps may be the truth, of another program or of segment itself.
    assert [pair.name for pair in pair_files(masks, predictions)] == ["a", "b"]
    assert [pair.name for pair in pair_files(predictions, predictions)] == ["a_labels", "b_labels"]


def test_a_name_that_is_its_own_is_kept(tmp_path):
    both = names(tmp_path / "both", "a.tif", "a_labels.tif", "b_probability.tif")
    other = names(tmp_path / "other", "a.png", "a_labels.png", "b_probability.png")
    assert [pair.name for pair in pair_files(both, other)] == ["a", "a_labels", "b_probability"]
    (other / "a_labels.png").unlink()
    with pytest.raises(
        ValueError, match=r"both/a_labels\.tif has no file of that name in .*other$"
    ):
        pair_files(both, other)


def test_names_pair_whatever_their_unicode_form_and_the_case_of_the_suffix(tmp_path):
    composed = names(tmp_path / "p", "Zo\u00eb.OME.TIF")
    decomposed = names(tmp_path / "t", "Zoe\u0308.ome.tif")
    (pair,) = pair_files(composed, decomposed)
    assert (pair.name, pair.target.parent) == ("Zo\u00eb", decomposed)


def test_a_class_that_is_nowhere_is_an_error(folders):
    with pytest.raises(ValueError, match=r"class 9 is in no file; .* classes 0, 1, 2, 3$"):
        evaluate_folders(*folders, kind="semantic", class_index=9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "semantic"}, "one class at a time, from 1 up: none is given"),
        ({"kind": "semantic", "class_index": 0}, "from 1 up: got 0"),
        ({"kind": "binary", "class_index": 1}, "binary ones have none"),
        ({"kind": "masks"}, "expected one of binary, semantic, instances"),
        ({"kind": "binary", "pixel_size_um": 0.0}, "above 0"),
        ({"kind": "binary", "pixel_size_um": math.nan}, "above 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(folders, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_folders(*folders, **options)


def test_folders_without_files_and_stems_twice_are_refused(folders, tmp_path):
    predictions, targets = folders
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        evaluate_folders(tmp_path / "nowhere", targets, kind="binary")
    (tmp_path / "void").mkdir()
    with pytest.raises(ValueError, match="void holds no label file"):
        evaluate_folders(predictions, tmp_path / "void", kind="binary")
    Image.fromarray(discs(0).astype(np.uint8)).save(targets / "a.png")
    with pytest.raises(ValueError, match=r"a\.png and .*a\.tif are both called a"):
        evaluate_folders(predictions, targets, kind="binary")


@pytest.mark.slow
def test_processes_give_the_same_table_in_the_same_order(tmp_path, monkeypatch):
    monkeypatch.setattr("lotus.evaluation.folders.IMAGES_PER_PROCESS", 2)
    for number in range(5):
        for folder, seed in (("predictions", number), ("targets", number + 1)):
            (tmp_path / folder).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / folder / f"{9 - number}.tif", discs(seed))
    folders = tmp_path / "predictions", tmp_path / "targets"
    options = {"kind": "instances", "pixel_size_um": 0.5, "extra_scores": lotus2024_scores}
    alone = evaluate_folders(*folders, **options)
    together = evaluate_folders(*folders, **options, processes=2)
    assert together["name"].tolist() == ["5", "6", "7", "8", "9", "mean"]
    pd.testing.assert_frame_equal(together, alone, check_exact=True)
    # What is wrong with a file is said as in one process.
    (tmp_path / "predictions/7.tif").write_bytes(b"II*\0")
    with pytest.raises(ValueError, match=r"predictions/7\.tif"):
        evaluate_folders(*folders, **options, processes=2)
