"""The 2024 evaluation, and where it differs from the scores of the same everyday name."""

import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt
from skimage.transform import resize

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


def test_specks_are_removed_by_their_size_in_the_enlarged_patch(patches):
    prediction, target = patches
    prediction[200:204, 200:204] = 1  # 16 px are 64 of the enlarged patch: they stay
    assert lotus2024_foreground_iou(prediction, target) == pytest.approx(1600 / 1616)


def test_true_specks_stay(patches):
    prediction, target = patches
    target[120:123, 120:124] = 3  # 48 px of the enlarged patch, missed
    scores = lotus2024_scores(prediction, target)
    assert scores["lotus2024_foreground_iou"] == pytest.approx(1600 / 1612)
    assert scores["lotus2024_dice"] == pytest.approx(3200 / 3212)
    # One of two true objects is found, exactly: SQ 1, DQ 1 / 1.5.
    assert scores["lotus2024_pq"] == pytest.approx(2 / 3)


def test_their_hd_pools_the_distances_of_the_enlarged_patch_specks_included(patches):
    # Six specks of 36 px of the enlarged patch, some 150 px away, are 19 % of all edges.
    for x in range(100, 160, 10):
        patches[0][200:203, x : x + 3] = 1
    enlarged = [np.kron(mask > 0, np.ones((2, 2), bool)) for mask in patches]
    edges = [mask & ~binary_erosion(mask) for mask in enlarged]
    pooled = [distance_transform_edt(~edges[1 - k])[edges[k]] for k in (0, 1)]
    reference = np.percentile(np.concatenate(pooled), 95)
    assert lotus2024_hd95(*patches) == pytest.approx(reference)
    assert lotus2024_hd95(*patches[::-1]) == pytest.approx(reference)
    assert 100 < reference < hausdorff_distance(*enlarged, percentile=95)


def test_patches_are_enlarged_as_scikit_image_does_it():
    masks = np.random.default_rng(0).random((2, 300, 410)) > 0.5
    enlarged = [resize(mask.astype(float), (512, 512), order=0) > 0 for mask in masks]
    assert lotus2024_scores(*masks) == lotus2024_scores(*enlarged)


def test_their_empty_masks(patches):
    _, target = patches
    empty = np.zeros_like(target)
    assert lotus2024_hd95(empty, target) == lotus2024_hd95(target, empty) == 0
    assert hausdorff_distance(empty, target) == pytest.approx(256 * math.sqrt(2))
    for missed_or_invented in ((empty, target), (target, empty)):
        assert set(lotus2024_scores(*missed_or_invented).values()) == {0}
    assert lotus2024_scores(empty, empty) == {
        "lotus2024_dice": 1,
        "lotus2024_foreground_iou": 0,
        "lotus2024_hd95": 0,
        "lotus2024_pq": 0,
    }


def test_a_volume_is_no_patch():
    with pytest.raises(ValueError, match=r"a patch must be \(Y, X\)"):
        lotus2024_hd95(np.ones((2, 3, 4), int), np.ones((2, 3, 4), int))
