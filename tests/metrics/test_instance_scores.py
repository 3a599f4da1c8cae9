"""AJI, AJI+, PQ and detection against their definitions, one mask per instance."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_panoptic_quality
from scipy.optimize import linear_sum_assignment
from skimage.segmentation import relabel_sequential
from torchmetrics.functional.detection import panoptic_quality as torchmetrics_panoptic_quality

from lotus.imaging.raster import read_label_map
from lotus.masks import connected_components
from lotus.metrics.functional import (
    PanopticQuality,
    aggregated_jaccard_index,
    contingency_table,
    detection_scores,
    dice,
    intersection_over_union,
    panoptic_quality,
    pool_panoptic_quality,
)
from lotus.metrics.functional.matching import one_to_one_pairs

SMALL_MAPS = hnp.arrays(np.uint8, (5, 6), elements=st.integers(0, 4))
EMPTY = np.zeros((4, 5), np.int32)
ONE_OBJECT = np.pad(np.ones((2, 2), np.int32), ((1, 1), (1, 2)))


def masks_of(labels):
    """One mask per instance, in order of the first pixel."""
    ids, first = np.unique(labels, return_index=True)
    return [labels == i for i in ids[np.argsort(first)] if i]


def iou(a, b):
    return Fraction(int((a & b).sum()), int((a | b).sum()))


def kumar_aji(prediction, target):
    """Algorithm 1 of Kumar 2017, literally."""
    predicted, true = masks_of(prediction), masks_of(target)
    shared = union = 0
    used = set()
    for mask in true:
        best = max(range(len(predicted)), key=lambda j: iou(mask, predicted[j]), default=None)
        if best is None or not (mask & predicted[best]).any():
            union += mask.sum()
            continue
        shared += (mask & predicted[best]).sum()
        union += (mask | predicted[best]).sum()
        used.add(best)
    union += sum(p.sum() for j, p in enumerate(predicted) if j not in used)
    return shared / union


def every_best_aji_plus(prediction, target):
    """AJI+ of every one-to-one assignment with the largest total IoU, by trying all."""
    predicted, true = masks_of(prediction), masks_of(target)
    best, values = Fraction(-1), []
    for chosen in itertools.permutations([*range(len(predicted)), *[None] * len(true)], len(true)):
        pairs = [
            (t, predicted[j])
            for t, j in zip(true, chosen, strict=True)
            if j is not None and (t & predicted[j]).any()
        ]
        total = sum((iou(t, p) for t, p in pairs), Fraction(0))
        if total < best:
            continue
        shared = sum(int((t & p).sum()) for t, p in pairs)
        areas = sum(int(m.sum()) for m in (*predicted, *true))
        values = [*([] if total > best else values), shared / (areas - shared)]
        best = total
    return values


def kirillov_pq(prediction, target):
    predicted, true = masks_of(prediction), masks_of(target)
    matched = [v for t in true for p in predicted if (v := iou(t, p)) > Fraction(1, 2)]
    tp, fp, fn = len(matched), len(predicted) - len(matched), len(true) - len(matched)
    return float(sum(matched)) / (tp + fp / 2 + fn / 2), tp, fp, fn


def blobs(seed, size=64, count=40):
    """A label map of overlapping discs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.int32)
    for label in range(1, count + 1):
        cy, cx, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(3, 7)
        labels[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = label
    return labels


@given(SMALL_MAPS, SMALL_MAPS)
@settings(max_examples=80, deadline=None)
def test_scores_are_those_of_the_definitions(prediction, target):
    assume(prediction.any() or target.any())
    table = contingency_table(prediction, target)
    assert aggregated_jaccard_index(table) == pytest.approx(kumar_aji(prediction, target))
    quality = panoptic_quality(table)
    expected_pq, *counts = kirillov_pq(prediction, target)
    assert quality.pq == pytest.approx(expected_pq)
    assert quality.pq == pytest.approx(quality.sq * quality.dq)
    assert [quality.tp, quality.fp, quality.fn] == counts


@given(
    hnp.arrays(np.uint8, (4, 4), elements=st.integers(0, 3)),
    hnp.arrays(np.uint8, (4, 4), elements=st.integers(0, 3)),
)
@settings(max_examples=60, deadline=None)
def test_aji_plus_is_that_of_a_best_assignment(prediction, target):
    assume(prediction.any() or target.any())
    ours = aggregated_jaccard_index(prediction, target, one_to_one=True)
    assert any(ours == pytest.approx(v) for v in every_best_aji_plus(prediction, target))


@pytest.mark.parametrize("seed", range(3))
def test_groups_give_the_assignment_of_the_whole_matrix(seed):
    table = contingency_table(blobs(seed), blobs(seed + 100))
    matrix = np.zeros((table.n_true, table.n_pred))
    matrix[table.pair_target, table.pair_prediction] = table.iou
    pairs = one_to_one_pairs(table)
    assert (
        len(set(table.pair_target[pairs])) == len(set(table.pair_prediction[pairs])) == len(pairs)
    )
    best = matrix[linear_sum_assignment(matrix, maximize=True)].sum()
    assert table.iou[pairs].sum() == pytest.approx(best)


@given(SMALL_MAPS, SMALL_MAPS, st.permutations(range(1, 70000, 14321)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_ids_do_not_matter(prediction, target, ids, relabel_target):
    new_ids = np.array([0, *ids[:4]], dtype=np.int32)
    before = contingency_table(prediction, target)
    after = contingency_table(
        prediction if relabel_target else new_ids[prediction],
        new_ids[target] if relabel_target else target,
    )
    for score in (
        aggregated_jaccard_index,
        lambda table: aggregated_jaccard_index(table, one_to_one=True),
        panoptic_quality,
        detection_scores,
        lambda table: detection_scores(table, threshold=0.2),
    ):
        np.testing.assert_equal(score(after), score(before))


@given(SMALL_MAPS, SMALL_MAPS)
@settings(max_examples=60, deadline=None)
def test_bounds_and_symmetry(prediction, target):
    assume(prediction.any() or target.any())
    there, back = contingency_table(prediction, target), contingency_table(target, prediction)
    quality, reverse = panoptic_quality(there), panoptic_quality(back)
    assert quality.pq == pytest.approx(reverse.pq)
    assert (quality.tp, quality.fp, quality.fn) == (reverse.tp, reverse.fn, reverse.fp)
    found, mirrored = detection_scores(there), detection_scores(back)
    assert (found.precision, found.recall) == (mirrored.recall, mirrored.precision)
    assert quality.dq == pytest.approx(found.f1)
    foreground = intersection_over_union(there)
    for one_to_one in (False, True):
        score = aggregated_jaccard_index(there, one_to_one=one_to_one)
        assert 0 <= score <= foreground + 1e-12
    assert foreground <= dice(there)
    assert 0 <= quality.pq <= min(quality.sq, quality.dq) + 1e-12


@given(SMALL_MAPS.filter(lambda labels: labels.any()))
@settings(max_examples=20, deadline=None)
def test_a_perfect_prediction_scores_one(labels):
    table = contingency_table(labels, labels)
    assert aggregated_jaccard_index(table) == 1
    assert aggregated_jaccard_index(table, one_to_one=True) == 1
    assert panoptic_quality(table)[:3] == (1, 1, 1)
    assert detection_scores(table) == (1, 1, 1)


def test_two_nuclei_found_as_one_by_hand():
    # True: 4 and 2 pixels; predicted: one instance over both, and a false one of 3 pixels.
    target = np.array([[1, 1, 1, 1, 2, 2, 0, 0, 0, 0]])
    prediction = np.array([[1, 1, 1, 1, 1, 1, 0, 5, 5, 5]])
    # AJI: both true ones take the merged one: (4 + 2) / (6 + 6 + 3).
    assert aggregated_jaccard_index(prediction, target) == pytest.approx(6 / 15)
    # AJI+: the larger takes it, the smaller is left over: 4 / (6 + 2 + 3).
    assert aggregated_jaccard_index(prediction, target, one_to_one=True) == pytest.approx(4 / 11)
    # IoU 4/6 matches; one false positive, one false negative.
    assert panoptic_quality(prediction, target) == pytest.approx((1 / 3, 2 / 3, 1 / 2, 1, 1, 1))
    assert detection_scores(prediction, target) == (1 / 2, 1 / 2, 1 / 2)
    assert detection_scores(prediction, target, threshold=0.7) == (0, 0, 0)


def test_an_iou_of_one_half_is_no_match():
    target, prediction = np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]])
    assert intersection_over_union(prediction, target) == 0.5
    assert panoptic_quality(prediction, target) == (0, 0, 0, 0, 1, 1)
    assert detection_scores(prediction, target, threshold=0.49).f1 == 1


def test_below_one_half_each_instance_counts_once():
    target = np.array([[1, 1, 1, 1, 1, 1]])
    prediction = np.array([[1, 1, 2, 2, 3, 3]])
    assert detection_scores(prediction, target, threshold=0.1) == (1 / 3, 1, 1 / 2)


def test_both_empty_is_undefined():
    assert math.isnan(aggregated_jaccard_index(EMPTY, EMPTY))
    assert math.isnan(aggregated_jaccard_index(EMPTY, EMPTY, one_to_one=True))
    assert all(math.isnan(value) for value in detection_scores(EMPTY, EMPTY))
    quality = panoptic_quality(EMPTY, EMPTY)
    assert all(math.isnan(value) for value in quality[:3])
    assert quality[3:] == (0, 0, 0)


@pytest.mark.parametrize("pair", [(EMPTY, ONE_OBJECT), (ONE_OBJECT, EMPTY)])
def test_exactly_one_empty_is_zero(pair):
    assert aggregated_jaccard_index(*pair) == 0
    assert aggregated_jaccard_index(*pair, one_to_one=True) == 0
    assert panoptic_quality(*pair)[:3] == (0, 0, 0)
    assert detection_scores(*pair) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_pq_is_that_of_monai_and_of_torchmetrics_for_the_things(seed):
    target, prediction = blobs(seed), np.roll(blobs(seed), 2, axis=1)
    ours = panoptic_quality(prediction, target)
    assert ours.tp > 5
    monai = compute_panoptic_quality(torch.tensor(prediction), torch.tensor(target))
    assert ours.pq == pytest.approx(float(monai), abs=1e-6)

    def panoptic(labels):
        return torch.tensor(np.stack([labels > 0, labels], axis=-1).astype(np.int64))[None]

    per_class = torchmetrics_panoptic_quality(
        panoptic(prediction), panoptic(target), things={1}, stuffs={0}, return_per_class=True
    )
    assert ours.pq == pytest.approx(float(per_class[0, 0]), abs=1e-6)


def test_pooled_pq_is_that_of_the_images_side_by_side():
    targets = [blobs(0), np.zeros_like(blobs(0)), blobs(1)]
    predictions = [np.roll(blobs(0), 1, axis=0), np.zeros_like(blobs(0)), blobs(2)]
    pooled = pool_panoptic_quality(map(panoptic_quality, predictions, targets))

    def mosaic(maps):
        return np.hstack([m + 1000 * i * (m > 0) for i, m in enumerate(maps)])

    assert pooled == pytest.approx(panoptic_quality(mosaic(predictions), mosaic(targets)))
    assert math.isnan(pool_panoptic_quality([panoptic_quality(EMPTY, EMPTY)]).pq)
    assert isinstance(pooled, PanopticQuality)


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"threshold must lie in \[0, 1\), got 1"):
        detection_scores(EMPTY, EMPTY, threshold=1.0)


def test_components_of_the_true_foreground_cap_aji_as_published(shared_data):
    """The shared real set states the caps: 0.80 for fluorescence, 0.65 for histology."""
    manifest = pd.read_csv(shared_data / "dsb2018" / "manifest.csv")
    for domain, cap in (("fluorescence", 0.80), ("histology", 0.65)):
        paths = manifest["label"][manifest["domain"] == domain]
        maps = [read_label_map(shared_data / path) for path in paths]
        scores = [aggregated_jaccard_index(connected_components(m), m) for m in maps]
        assert np.mean(scores) == pytest.approx(cap, abs=0.015)


def test_sequential_relabelling_is_not_needed():
    gaps = blobs(3) * 997
    assert panoptic_quality(gaps, blobs(4)) == panoptic_quality(
        relabel_sequential(gaps)[0], relabel_sequential(blobs(4))[0]
    )
