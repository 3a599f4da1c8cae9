"""Scores of a classification as sums over patients, for resampling and exchanging patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lotus.evaluation.classification import BINS, bin_of, confidence_of
from lotus.runs.classified import groups_of, probability_columns

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PatientSums:
    """What every patient adds to the counts that scores are made of.

    Thousands of resamples of the patients are then a few products of matrices, where every score
    of every resample would be a pass over all patches.

    Attributes:
        confusion: (P, C, C) cases by patient, true group and predicted group.
        ordered: (C, P, P) pairs of a case of a group (patient in rows) and one of another group
            (patient in columns) in which the first has the higher probability of the group; equal
            ones count half. Their share of all pairs is the area under the ROC curve.
        bins: (P, B, 3) by patient and bin of the confidence: cases, sum of the confidences, cases
            in which the most probable group is the true one.
    """

    confusion: Values
    ordered: Values
    bins: Values

    @classmethod
    def of(cls, cases: pd.DataFrame, patients: Sequence[str]) -> PatientSums:
        """Count the cases of one level and one seed.

        Args:
            cases: Of :func:`~lotus.evaluation.classification.at_level`.
            patients: All patients, in the order of the sums.
        """
        groups = groups_of(cases)
        number = {group: label for label, group in enumerate(groups)}
        place = {patient: row for row, patient in enumerate(patients)}
        rows = cases["patient"].map(place).to_numpy(np.int64)
        true = cases["group"].map(number).to_numpy(np.int64)
        predicted = cases["predicted"].map(number).to_numpy(np.int64)
        confusion = np.zeros((len(patients), len(groups), len(groups)))
        np.add.at(confusion, (rows, true, predicted), 1.0)
        probabilities = cases[probability_columns(cases)].to_numpy(np.float32)
        ordered = np.stack(
            [
                _ordered_pairs(probabilities[:, label], true == label, rows, len(patients))
                for label in range(len(groups))
            ]
        )
        confidence, correct = confidence_of(cases)
        bins = np.zeros((len(patients), BINS + 1, 3))
        added = np.stack([np.ones_like(correct), confidence.astype(np.float64), correct], axis=1)
        np.add.at(bins, (rows, bin_of(confidence)), added)
        return cls(confusion, ordered, bins)

    def scores(self, weights: NDArray[Any]) -> dict[str, Values]:
        """The scores with every patient counted so many times.

        They are those of :func:`~lotus.evaluation.classification.classification_scores`.

        Args:
            weights: (R, P) how often a patient is there, in each of R samples.

        Returns:
            By name of the score, (R,) values; NaN where a group has no case.
        """
        weights = np.asarray(weights, np.float64)
        counts = np.einsum("rp,ptk->rtk", weights, self.confusion, optimize=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                **_of_counts(counts),
                "auroc": self._auroc(weights, counts.sum(axis=2)),
                "ece": self._ece(weights),
            }

    def _auroc(self, weights: Values, n_true: Values) -> Values:
        """Mean over the groups of the share of pairs in the right order (R,)."""
        right = np.stack(
            [((weights @ pairs) * weights).sum(axis=1) for pairs in self.ordered], axis=1
        )
        others = n_true.sum(axis=1, keepdims=True) - n_true
        areas: Values = (right / (n_true * others)).mean(axis=1)
        return areas

    def _ece(self, weights: Values) -> Values:
        """Mean over the cases of how far the accuracy of their bin is from its confidence (R,)."""
        cases, confidence, correct = np.moveaxis(
            np.einsum("rp,pbk->rbk", weights, self.bins, optimize=True), 2, 0
        )
        error: Values = np.abs(confidence - correct).sum(axis=1) / cases.sum(axis=1)
        return error


def _of_counts(counts: Values) -> dict[str, Values]:
    """Accuracy, and macro averages of precision, recall and F1, of (R, true, predicted) counts."""
    right = np.diagonal(counts, axis1=1, axis2=2)
    n_true, n_predicted = counts.sum(axis=2), counts.sum(axis=1)
    recall = right / n_true
    undefined = np.where(n_true > 0, 0.0, np.nan)
    precision = np.where(n_predicted > 0, right / n_predicted, 0.0) + undefined
    f1 = 2 * right / (n_true + n_predicted) + undefined
    return {
        "accuracy": right.sum(axis=1) / n_true.sum(axis=1),
        "precision": precision.mean(axis=1),
        "recall": recall.mean(axis=1),
        "f1": f1.mean(axis=1),
    }


def _ordered_pairs(
    probability: NDArray[np.float32],
    is_of_group: NDArray[np.bool_],
    rows: NDArray[np.integer[Any]],
    n_patients: int,
) -> Values:
    """Pairs of cases in the right order, by patient of the group's case and of the other's."""
    order = np.argsort(probability[is_of_group])  # Sorted ones are found several times as fast.
    own, own_rows = probability[is_of_group][order], rows[is_of_group][order]
    pairs = np.zeros((n_patients, n_patients))
    for patient in np.unique(rows[~is_of_group]):
        others = np.sort(probability[~is_of_group & (rows == patient)])
        below = np.searchsorted(others, own, side="left")
        not_above = np.searchsorted(others, own, side="right")
        pairs[:, patient] = np.bincount(own_rows, (below + not_above) / 2, minlength=n_patients)
    return pairs
