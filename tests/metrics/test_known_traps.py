"""Mistakes of published evaluation code that must not come back."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice
from torchmetrics.functional.detection import panoptic_quality as torchmetrics_panoptic_quality

from lotus.metrics import score_image
from lotus.metrics.functional import contingency_table, dice, panoptic_quality
from lotus.metrics.segmentation import InstanceScores

SQUARE = np.pad(np.ones((4, 4), np.int32), 3)
EMPTY = np.zeros_like(SQUARE)


def test_false_positives_in_an_empty_image_score_zero():
    """MONAI's Dice is NaN there, so a mean over images never sees the false positives."""
    as_batch = [torch.tensor(mask, dtype=torch.float32)[None, None] for mask in (SQUARE, EMPTY)]
    assert math.isnan(float(compute_dice(*as_batch)))
    assert dice(SQUARE, EMPTY) == 0
    metric = InstanceScores()
    metric.update(SQUARE, EMPTY)
    metric.update(SQUARE, SQUARE)
    assert metric.compute()["dice"] == 0.5


def test_background_is_no_instance():
    """With background as a class, torchmetrics' average is far above the PQ of the instances."""
    target, prediction = SQUARE, np.roll(SQUARE, 2, axis=0)

    def panoptic(labels):
        return torch.tensor(np.stack([labels > 0, labels], axis=-1).astype(np.int64))[None]

    averaged = torchmetrics_panoptic_quality(
        panoptic(prediction), panoptic(target), things={1}, stuffs={0}
    )
    assert averaged > 0.3
    assert panoptic_quality(prediction, target).pq == 0


def test_an_empty_prediction_is_scored():
    """A common reference fails on it, so such images are skipped and the mean is too good."""
    scores = score_image(EMPTY, SQUARE)
    assert (scores["n_true"], scores["n_pred"]) == (1, 0)
    assert scores["aji"] == scores["aji_plus"] == scores["pq"] == 0


def test_ids_may_have_gaps():
    """A common reference fails on them or counts the missing ids as instances."""
    target = np.hstack([SQUARE * 3, SQUARE * 1000])
    scores = score_image(np.hstack([SQUARE * 77, EMPTY]), target)
    assert (scores["n_true"], scores["n_pred"]) == (2, 1)
    assert scores["aji"] == scores["aji_plus"] == 0.5
    assert scores["pq"] == pytest.approx(2 / 3)


def test_instance_256_is_an_instance():
    """Casting labels to uint8 turns it into background, and 257 into instance 1."""
    labels = np.zeros((18 * 4, 18 * 4), np.uint16)
    for label in range(1, 301):
        row, column = divmod(label - 1, 18)
        labels[4 * row : 4 * row + 3, 4 * column : 4 * column + 3] = label
    assert contingency_table(labels, labels.astype(np.uint8)).n_true == 255
    for given in (labels, torch.tensor(labels.astype(np.int32))):
        table = contingency_table(given, labels)
        assert table.n_true == table.n_pred == 300
        assert panoptic_quality(table).pq == 1
