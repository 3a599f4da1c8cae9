"""Scores of classes from counts of voxels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import classification as reference

from lotus.metrics.functional import class_dice, confusion_matrix, confusion_scores
from lotus.metrics.voxels import VoxelScores

NAMES = ["lcn", "shade_off", "bone"]


def maps(seed, shape=(5, 6, 7)):
    random = np.random.default_rng(seed)
    return random.integers(0, 4, shape), random.integers(0, 4, shape)


@pytest.mark.parametrize("seed", range(3))
def test_counts_and_scores_are_those_of_torchmetrics(seed):
    given_classes, true = maps(seed)
    counts = confusion_matrix(given_classes, true, 3)
    both = torch.from_numpy(given_classes), torch.from_numpy(true)
    assert counts.tolist() == reference.multiclass_confusion_matrix(*both, 4).tolist()
    scores = confusion_scores(counts, NAMES)
    dice = reference.multiclass_f1_score(*both, 4, average=None)[1:].tolist()
    assert [scores[f"dice_{name}"] for name in NAMES] == pytest.approx(dice)
    assert scores["dice"] == pytest.approx(np.mean(dice))
    accuracy = reference.multiclass_accuracy(*both, 4, average="micro").item()
    assert scores["accuracy"] == pytest.approx(accuracy)
    assert class_dice(given_classes, true, 3) == pytest.approx(dice)


def test_ignored_voxels_count_nowhere():
    given_classes, true = maps(0)
    ignored = np.random.default_rng(1).random(true.shape) < 0.4
    counts = confusion_matrix(given_classes, true, 3, ignored)
    assert counts.sum() == (~ignored).sum()
    np.testing.assert_array_equal(
        counts, confusion_matrix(given_classes[~ignored], true[~ignored], 3)
    )


def test_a_class_that_is_nowhere_is_undefined_and_left_out_of_the_mean():
    scores = confusion_scores(confusion_matrix([0, 1, 1, 3], [0, 1, 3, 3], 3), NAMES)
    assert math.isnan(scores["dice_shade_off"])
    assert scores["dice"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert all(math.isnan(value) for value in confusion_scores(np.zeros((4, 4)), NAMES).values())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_volumes_in_parts_score_as_wholes(seed, parts):
    given_classes, true = maps(seed)
    whole, in_parts = VoxelScores(NAMES), VoxelScores(NAMES)
    whole.update(given_classes, true)
    for one, other in zip(
        np.array_split(given_classes, parts), np.array_split(true, parts), strict=True
    ):
        in_parts.update(one, other)
    assert whole.compute() == in_parts.compute()


def test_a_rare_class_counts_by_its_voxels():
    """In one of two slices all is found, in the other nothing of much more."""
    true = np.zeros((2, 4, 4), int)
    true[0, 0, 0], true[1] = 1, 1
    given_classes = true.copy()
    given_classes[1] = 0
    scores = VoxelScores(["lcn"])
    scores.update(given_classes, true)
    assert scores.compute()["dice"].item() == pytest.approx(2 / 18)


@pytest.mark.parametrize(
    ("given_classes", "true", "wrong"),
    [
        ([0, 1], [0, 1, 1], r"prediction has shape \(2,\), target \(3,\)"),
        ([0, 4], [0, 1], "prediction has the classes 0 to 4; expected 0 to 3"),
        ([0, 1], [-1, 1], "target has the classes -1 to 1"),
    ],
)
def test_maps_that_do_not_fit_are_refused(given_classes, true, wrong):
    with pytest.raises(ValueError, match=wrong):
        confusion_matrix(given_classes, true, 3)
