"""Scores of classified cases against counts by hand and sums over pairs."""

import math

import pytest
import torch

from lotus.metrics.classification import ClassificationScores, score_classes

PROBABILITIES = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.35, 0.65], [0.2, 0.8]])
LABELS = torch.tensor([0, 0, 1, 1, 1])


def test_scores_of_five_cases_by_hand():
    found = score_classes(PROBABILITIES, LABELS)
    # Predicted 0, 0, 0, 1, 1: of class 0 two of three are right, of class 1 both of two.
    assert float(found["accuracy"]) == pytest.approx(4 / 5)
    assert float(found["balanced_accuracy"]) == pytest.approx((1 + 2 / 3) / 2)
    assert float(found["precision"]) == pytest.approx((2 / 3 + 1) / 2)
    assert float(found["recall"]) == pytest.approx((1 + 2 / 3) / 2)
    assert float(found["f1"]) == pytest.approx(
        (2 * 2 / 3 / (2 / 3 + 1) + 2 * 2 / 3 / (1 + 2 / 3)) / 2
    )
    # Pairs of a case of each class: how often that of class 1 has the larger probability of it.
    pairs = [(a, b) for a in (0.1, 0.4) for b in (0.3, 0.65, 0.8)]
    assert float(found["auroc"]) == pytest.approx(sum(b > a for a, b in pairs) / len(pairs))


def test_calibration_is_the_gap_in_bins_of_a_fifteenth():
    found = score_classes(PROBABILITIES, LABELS)
    # Confidences 0.9 / 0.6 / 0.7 / 0.65 / 0.8; 0.6 and 0.65 share the bin from 9 to 10 fifteenths.
    bins = {}
    for confidence, right in ((0.9, 1), (0.6, 1), (0.7, 0), (0.65, 1), (0.8, 1)):
        bins.setdefault(min(int(confidence * 15 + 1e-6), 14), []).append((confidence, right))
    gaps = [abs(sum(r for _, r in own) - sum(c for c, _ in own)) for own in bins.values()]
    assert float(found["ece"]) == pytest.approx(sum(gaps) / 5, abs=1e-6)


def test_what_cannot_be_said_is_not_a_number():
    one_class = score_classes(PROBABILITIES[:2], LABELS[:2])
    assert float(one_class["accuracy"]) == 1.0
    assert all(math.isnan(one_class[name]) for name in ("balanced_accuracy", "auroc", "f1"))
    nothing = score_classes(PROBABILITIES[:0], LABELS[:0])
    assert nothing.keys() == one_class.keys()
    assert all(math.isnan(value) for value in nothing.values())


def test_three_classes_count_the_same_whatever_their_size():
    probabilities = torch.eye(3)[[0, 0, 0, 0, 1, 0]] * 0.8 + 0.2 / 3
    found = score_classes(probabilities, torch.tensor([0, 0, 0, 0, 1, 2]))
    assert float(found["accuracy"]) == pytest.approx(5 / 6)
    assert float(found["balanced_accuracy"]) == pytest.approx(2 / 3)


def test_batches_are_collected():
    scores = ClassificationScores()
    scores.update(PROBABILITIES[:2], LABELS[:2])
    scores.update(PROBABILITIES[2:], LABELS[2:])
    for name, value in score_classes(PROBABILITIES, LABELS).items():
        torch.testing.assert_close(scores.compute()[name], value)
    scores.reset()
    assert scores.probabilities == []
