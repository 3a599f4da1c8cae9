"""The 2024 evaluation, and where it differs from the scores of the same everyday name."""

import math

import numpy as np
import pytest

from lotus.metrics.functional import (
    aggregated_jaccard_index,
    hausdorff_distance,
    lotus2024_foreground_iou,
    lotus2024_hd95,
    lotus2024_scores,
)


@pytest.fixture
def patches() -> tuple[np.ndarray, np.ndarray]:
    """A 256×256 pair: two touching true instances found as one, and a false speck of 9 px."""
    target = np.zeros((256, 256), np.uint8)
    target[40:80, 40:60], target[40:80, 60:80] = 1, 2
    prediction = (target > 0).astype(np.uint8)
    prediction[200:203, 200:203] = 1
    return prediction, target


def test_their_aji_is_the_iou_of_the_foreground_without_specks(patches):
    assert lotus2024_foreground_iou(*patches) == 1
    assert aggregated_jaccard_index(*patches) < 0.9


def test_components_are_removed_by_their_size_in_the_enlarged_patch(patches):
    prediction, target = patches
    prediction[200:204, 200:204] = 1  # 16 px are 64 of the enlarged patch: they stay
    assert lotus2024_foreground_iou(prediction, target) == pytest.approx(1600 / 1616)


def test_their_hd_is_hd95_of_the_enlarged_patch_specks_included(patches):
    prediction, target = patches
    enlarged = [np.kron(mask, np.ones((2, 2), int)) for mask in (prediction, target)]
    assert lotus2024_hd95(*patches) == hausdorff_distance(*enlarged, percentile=95) > 0


def test_their_hd_of_a_missed_image_is_zero(patches):
    _, target = patches
    empty = np.zeros_like(target)
    assert lotus2024_hd95(empty, target) == lotus2024_hd95(target, empty) == 0
    assert hausdorff_distance(empty, target) == pytest.approx(256 * math.sqrt(2))
    scores = lotus2024_scores(empty, target)
    assert scores["lotus2024_dice"] == scores["lotus2024_foreground_iou"] == 0
    assert all(name.startswith("lotus2024_") for name in scores)


def test_a_volume_is_no_patch():
    with pytest.raises(ValueError, match=r"a patch must be \(Y, X\)"):
        lotus2024_hd95(np.ones((2, 3, 4), int), np.ones((2, 3, 4), int))
