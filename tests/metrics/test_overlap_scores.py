"""Dice and IoU of foregrounds and classes, and all scores of one image."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lotus.metrics import score_image
from lotus.metrics.functional import (
    aggregated_jaccard_index,
    class_dice,
    class_intersection_over_union,
    contingency_table,
    detection_scores,
    dice,
    hausdorff_distance,
    intersection_over_union,
    macro_average,
    panoptic_quality,
)

PAIRS = hnp.arrays(np.uint8, (2, 5, 6), elements=st.integers(0, 3))


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_map_and_table_give_what_sets_of_pixels_give(pair):
    predicted, true = ({*zip(*np.nonzero(labels), strict=True)} for labels in pair)
    assume(predicted or true)
    table = contingency_table(*pair)
    expected = 2 * len(predicted & true) / (len(predicted) + len(true))
    assert dice(*pair) == dice(table) == dice(*pair[::-1]) == pytest.approx(expected)
    expected = len(predicted & true) / len(predicted | true)
    assert intersection_over_union(*pair) == pytest.approx(expected)
    assert intersection_over_union(table) == intersection_over_union(*pair)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_each_class_is_scored_like_its_own_mask(pair):
    masks = [(pair[0] == c, pair[1] == c) for c in (1, 2, 3)]
    np.testing.assert_equal(class_dice(*pair, 3), [dice(*mask) for mask in masks])
    np.testing.assert_equal(
        class_intersection_over_union(*pair, 3), [intersection_over_union(*mask) for mask in masks]
    )


def test_empty_masks_and_absent_classes():
    empty, full = np.zeros((2, 2), int), np.ones((2, 2), int)
    assert math.isnan(dice(empty, empty))
    assert math.isnan(intersection_over_union(empty, empty))
    assert dice(empty, full) == dice(full, empty) == 0
    assert intersection_over_union(empty, full) == 0
    with np.errstate(all="raise"):
        scores = class_dice(full, empty, 2)
    np.testing.assert_equal(scores, [0, np.nan])
    assert macro_average(scores) == 0
    assert math.isnan(macro_average(np.array([np.nan])))


def test_a_class_without_a_name_is_refused():
    with pytest.raises(ValueError, match="found class 3; classes must lie in 0 to 2"):
        class_dice(np.array([[3, 0]]), np.array([[1, 1]]), 2)


def test_scores_of_an_image_are_those_of_the_functions():
    target = np.zeros((20, 30), np.uint16)
    target[2:8, 3:9], target[12:18, 20:28] = 300, 7
    prediction = np.roll(target, 1, axis=0)
    scores = score_image(prediction, target, spacing_um=(0.5, 2.0))
    quality = panoptic_quality(prediction, target)
    detection = detection_scores(prediction, target)
    assert scores == {
        "n_true": 2,
        "n_pred": 2,
        "dice": dice(prediction, target),
        "iou": intersection_over_union(prediction, target),
        "hd": hausdorff_distance(prediction, target),
        "hd95": hausdorff_distance(prediction, target, percentile=95),
        "aji": aggregated_jaccard_index(prediction, target),
        "aji_plus": aggregated_jaccard_index(prediction, target, one_to_one=True),
        "pq": quality.pq,
        "sq": quality.sq,
        "dq": quality.dq,
        "precision": detection.precision,
        "recall": detection.recall,
        "f1": detection.f1,
        "undefined": 0,
        "hd_um": hausdorff_distance(prediction, target, spacing=(0.5, 2.0)),
        "hd95_um": hausdorff_distance(prediction, target, 95, (0.5, 2.0)),
    }
    assert list(score_image(prediction, target)) == list(scores)[:-2]
    assert scores["hd_um"] == 0.5


def test_undefined_scores_of_an_image_are_counted():
    empty, mask = np.zeros((3, 4), int), np.eye(3, 4, dtype=int)
    both_empty = score_image(empty, empty)
    assert both_empty["undefined"] == 12
    assert sum(math.isnan(value) for value in both_empty.values()) == 12
    for missed in (score_image(empty, mask), score_image(mask, empty)):
        assert missed["undefined"] == 2
        assert missed["hd"] == missed["hd95"] == 5
        assert missed["dice"] == missed["iou"] == missed["aji"] == missed["aji_plus"] == 0
        assert missed["pq"] == missed["sq"] == missed["dq"] == 0
        assert missed["precision"] == missed["recall"] == missed["f1"] == 0
