"""Scores of regions, by hand."""

import numpy as np
import pytest
import torch

from lotus.metrics.regions import RegionScores, as_compared

NAMES = ["mineralised", "osteoid"]


def scored(*pairs):
    scores = RegionScores(NAMES)
    for prediction, target in pairs:
        scores.update(np.array(prediction), np.array(target))
    return {name: value.item() for name, value in scores.compute().items()}


def test_means_over_images_and_all_pixels_together_differ():
    found = scored(
        ([[1, 1, 1, 1]], [[1, 1, 1, 0]]),  # Dice 6/7
        ([[1, 0, 0, 0]], [[0, 1, 0, 0]]),  # Dice 0
    )
    assert found["dice_mineralised"] == pytest.approx(3 / 7)
    assert found["pooled_dice_mineralised"] == pytest.approx(6 / 9)
    assert found["pooled_iou_mineralised"] == pytest.approx(3 / 6)
    assert np.isnan(found["pooled_dice_osteoid"])
    assert found["pooled_dice"] == pytest.approx(6 / 9)
    assert found["pooled_iou"] == pytest.approx(3 / 6)


def test_regions_of_every_class_are_found_one_by_one():
    # Osteoid: one region of two is found. Mineralised: one is found, one is invented.
    prediction = [[2, 2, 0, 0, 0, 1, 1, 0, 1]]
    target = [[2, 2, 0, 2, 0, 1, 1, 0, 0]]
    found = scored((prediction, target))
    assert found["f1"] == pytest.approx(2 * 2 / (3 + 3))


def test_diagonal_neighbours_are_one_region():
    found = scored(([[1, 0], [0, 1]], [[1, 0], [0, 1]]))
    assert found["f1"] == 1
    scores = RegionScores(NAMES)
    scores.update(np.eye(2, dtype=int), np.eye(2, dtype=int))
    assert scores.regions.tolist() == [2, 0]


def test_classes_of_another_domain_are_told_by_their_names():
    names = {"fluorescence": ["label", "osteoid"], "trichrome": ["mineralised", "osteoid"]}
    found = {"classes": np.array([[0, 1, 2, 2]], np.uint8), "domain": "fluorescence"}
    batch = {
        "modality": ["trichrome"],
        "mask": torch.tensor([[[1, 1, 2, 2]]]),
        "ignored": torch.tensor([[[False, False, False, True]]]),
    }
    given, true = as_compared(found, batch, names)
    assert given.tolist() == [[0, 0, 2, 0]]
    assert true.tolist() == [[1, 1, 2, 0]]
