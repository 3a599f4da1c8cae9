"""Scores of instances: aggregated Jaccard index, panoptic quality, detection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lotus.metrics.functional.contingency import ContingencyTable, as_table
from lotus.metrics.functional.matching import best_prediction_per_target, one_to_one_pairs

NAN = float("nan")
MATCH_IOU = 0.5
"""A predicted instance is the true one if their IoU is larger (strictly), Kirillov 2019."""


class PanopticQuality(NamedTuple):
    """Panoptic quality and what it is made of; pq, sq and dq lie in [0, 1] or are NaN."""

    pq: float
    sq: float
    dq: float
    tp: int
    fp: int
    fn: int


class DetectionScores(NamedTuple):
    """Precision, recall and their harmonic mean; each in [0, 1] or NaN."""

    precision: float
    recall: float
    f1: float


def aggregated_jaccard_index(
    prediction: ArrayLike | ContingencyTable,
    target: ArrayLike | None = None,
    one_to_one: bool = False,
) -> float:
    """Aggregated Jaccard index (Kumar 2017, algorithm 1) or AJI+.

    Each true instance takes a predicted one; the intersections of these pairs over their unions
    plus the areas of all instances left over is the index. In AJI each true instance takes the
    prediction of largest IoU, even if another has taken it too. In AJI+ (Graham 2019) the pairs are
    one to one, with the largest total IoU.

    Args:
        prediction: Predicted label map, 0 = background, or a contingency table.
        target: True label map; left out with a table.
        one_to_one: AJI+ instead of AJI.

    Returns:
        Index in [0, 1]; 0 when exactly one of the maps is empty, NaN when both are.

    Raises:
        ValueError: If the maps do not fit together (see `contingency_table`).

    Example:
        >>> from lotus.metrics.functional import aggregated_jaccard_index
        >>> prediction, target = [[1, 1, 1, 1]], [[1, 1, 1, 2]]
        >>> aggregated_jaccard_index(prediction, target)  # taken twice: (3 + 1) / (4 + 4)
        0.5
        >>> aggregated_jaccard_index(prediction, target, one_to_one=True)  # 3 / (4 + 1)
        0.6
    """
    table = as_table(prediction, target)
    if table.n_pred == 0 and table.n_true == 0:
        return NAN
    pairs = one_to_one_pairs(table) if one_to_one else best_prediction_per_target(table)
    left_over = _sum_of_others(table.target_areas, table.pair_target[pairs])
    left_over += _sum_of_others(table.prediction_areas, table.pair_prediction[pairs])
    return float(table.intersections[pairs].sum() / (table.unions[pairs].sum() + left_over))


def panoptic_quality(
    prediction: ArrayLike | ContingencyTable, target: ArrayLike | None = None
) -> PanopticQuality:
    """Panoptic quality of one class of instances (Kirillov 2019), background left out.

    PQ = SQ·DQ, SQ = mean IoU of the matched pairs, DQ = tp / (tp + fp/2 + fn/2); a match needs an
    IoU above 0.5.

    Args:
        prediction: Predicted label map, 0 = background, or a contingency table.
        target: True label map; left out with a table.

    Returns:
        The three scores and the counts. All scores are 0 when nothing matches (so also when exactly
        one map is empty) and NaN when both maps are empty.

    Raises:
        ValueError: If the maps do not fit together (see `contingency_table`).

    Example:
        >>> from lotus.metrics.functional import panoptic_quality
        >>> quality = panoptic_quality([[1, 1, 1, 0, 0, 0]], [[1, 1, 1, 1, 0, 2]])
        >>> quality.sq, quality.pq  # 3 / 4, and 3 / 4 times 1 / (1 + 1 / 2)
        (0.75, 0.5)
        >>> quality.tp, quality.fp, quality.fn
        (1, 0, 1)
    """
    table = as_table(prediction, target)
    pairs = one_to_one_pairs(table, above=MATCH_IOU)
    tp = len(pairs)
    return _panoptic(float(table.iou[pairs].sum()), tp, table.n_pred - tp, table.n_true - tp)


def pool_panoptic_quality(qualities: Iterable[PanopticQuality]) -> PanopticQuality:
    """Panoptic quality of all images as if they were one.

    Args:
        qualities: One result per image; images without any instance add nothing.

    Returns:
        Scores from the summed counts; NaN if no image has an instance.

    Example:
        >>> from lotus.metrics.functional import panoptic_quality, pool_panoptic_quality
        >>> missed = panoptic_quality([[0, 0]], [[0, 1]])
        >>> found = panoptic_quality([[1, 2]], [[1, 2]])
        >>> missed.pq, found.pq, pool_panoptic_quality([missed, found]).pq  # 2 / (2 + 1 / 2)
        (0.0, 1.0, 0.8)
    """
    images = list(qualities)
    iou_sum = sum(image.sq * image.tp for image in images if image.tp)
    tp, fp, fn = (sum(image[field] for image in images) for field in (3, 4, 5))
    return _panoptic(float(iou_sum), int(tp), int(fp), int(fn))


def detection_scores(
    prediction: ArrayLike | ContingencyTable,
    target: ArrayLike | None = None,
    threshold: float = MATCH_IOU,
) -> DetectionScores:
    """Precision, recall and F1 of detected instances.

    A true instance is found if it is paired with a prediction at an IoU above `threshold`. Below
    0.5 several pairs can qualify; the one-to-one pairs with the largest total IoU are counted.

    Args:
        prediction: Predicted label map, 0 = background, or a contingency table.
        target: True label map; left out with a table.
        threshold: IoU that a match must exceed, in [0, 1).

    Returns:
        The scores; all 0 when exactly one map is empty, all NaN when both are.

    Raises:
        ValueError: If the maps do not fit together or the threshold is out of range.

    Example:
        >>> from lotus.metrics.functional import detection_scores
        >>> scores = detection_scores([[1, 1, 1, 0, 0, 0]], [[1, 1, 1, 1, 0, 2]])
        >>> scores.precision, scores.recall, round(scores.f1, 2)
        (1.0, 0.5, 0.67)
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must lie in [0, 1), got {threshold}")
    table = as_table(prediction, target)
    if table.n_pred == 0 and table.n_true == 0:
        return DetectionScores(NAN, NAN, NAN)
    if table.n_pred == 0 or table.n_true == 0:
        return DetectionScores(0.0, 0.0, 0.0)
    found = len(one_to_one_pairs(table, above=threshold))
    return DetectionScores(
        precision=found / table.n_pred,
        recall=found / table.n_true,
        f1=2 * found / (table.n_pred + table.n_true),
    )


def _panoptic(iou_sum: float, tp: int, fp: int, fn: int) -> PanopticQuality:
    if tp + fp + fn == 0:
        return PanopticQuality(NAN, NAN, NAN, 0, 0, 0)
    sq = iou_sum / tp if tp else 0.0
    dq = tp / (tp + 0.5 * fp + 0.5 * fn)
    return PanopticQuality(sq * dq, sq, dq, tp, fp, fn)


def _sum_of_others(areas: NDArray[np.int64], taken: NDArray[np.integer[Any]]) -> int:
    """Total area of the instances that are in no pair."""
    free = np.ones(len(areas), dtype=np.bool_)
    free[taken] = False
    return int(areas[free].sum())
