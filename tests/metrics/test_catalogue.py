"""What is known of scores, and what is assumed of others."""

import numpy as np
import pytest

from lotus.metrics import score_image
from lotus.metrics.catalogue import SCORES, headlines, score_names, score_of


def test_every_score_of_an_image_is_in_the_catalogue():
    labels = np.eye(4, dtype=np.uint8)
    scores = score_image(labels, labels, spacing_um=(0.5, 0.5))
    assert set(scores) - {"undefined"} <= SCORES.keys()
    # A perfect prediction has the best value of each.
    for name, value in scores.items():
        if SCORES.get(name, score_of("n_true")).unit != "count":
            assert value == (0.0 if score_of(name).lower_is_better else 1.0), name


@pytest.mark.parametrize("stage", ["", "train_", "val_", "test_"])
def test_a_stage_in_front_changes_nothing(stage):
    assert score_of(f"{stage}dice") is SCORES["dice"]
    assert score_of(f"{stage}loss").lower_is_better


@pytest.mark.parametrize(
    ("name", "heading", "paper_heading", "scale"),
    [
        ("dice", "Dice", "DSC (%)", 100.0),
        ("aji_plus", "AJI+", "AJI+ (%)", 100.0),
        ("hd95_um", "HD95 [µm]", "HD95 (µm)", 1.0),
        ("n_true", "true objects", "true objects", 1.0),
        ("ece", "ECE", "ECE (%)", 100.0),
        ("val_new_score", "new_score", "new_score", 1.0),
    ],
)
def test_headings(name, heading, paper_heading, scale):
    score = score_of(name)
    assert (score.heading, score.paper_heading) == (heading, paper_heading)
    assert score.paper_scale == scale


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        *(("val_loss", True), ("val_seg_loss", True), ("train_loss_kl", True)),
        *(("val_ece", True), ("ece_macro", True), ("lotus2024_hd95", True), ("hd99", True)),
        *(("auroc", False), ("dice_lacuna", False), ("precedence", False), ("new", False)),
    ],
)
def test_which_way_is_better_where_nothing_else_is_known(name, lower):
    assert score_of(name).lower_is_better is lower


def test_columns_of_a_table_in_the_order_of_the_catalogue():
    columns = ["name", "new", "hd", "accuracy", "undefined", "dice", "n_true", "fold", "patient"]
    assert score_names(columns) == ["n_true", "dice", "hd", "accuracy", "new"]


def test_what_sums_up_a_table():
    assert headlines(["name", "pq", "hd", "n_true", "dice"]) == ["dice", "pq"]
    assert headlines(["name", "loss", "auroc", "patient"]) == ["auroc"]
    assert headlines(["name", "n_true", "d", "c", "b", "a", "undefined"]) == ["d", "c", "b"]
    assert headlines(["domain_knn", "rank_me", "patch_dice"]) == ["patch_dice"]
    assert headlines(["name"]) == []
