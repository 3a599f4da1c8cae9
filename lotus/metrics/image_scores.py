"""All scores of one image from one pass over its label maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numpy.typing import ArrayLike

from lotus.metrics.functional import (
    aggregated_jaccard_index,
    contingency_table,
    detection_scores,
    dice,
    hausdorff_distances,
    intersection_over_union,
    panoptic_quality,
)

HAUSDORFF_PERCENTILES = (100.0, 95.0)


def score_image(
    prediction_labels: ArrayLike,
    target_labels: ArrayLike,
    spacing_um: Sequence[float] | None = None,
) -> dict[str, float]:
    """Score one predicted label map against the true one.

    Args:
        prediction_labels: Predicted instances (Y, X) or (Z, Y, X), 0 = background.
        target_labels: True instances, same shape.
        spacing_um: Size of a pixel in µm along each axis; adds Hausdorff distances in µm.

    Returns:
        `n_true, n_pred` (instances), `dice, iou` (foreground), `hd, hd95` (pixels), `aji, aji_plus,
        pq, sq, dq, precision, recall, f1`, then `undefined`, and `hd_um, hd95_um` with a spacing.
        `undefined` counts the scores that are NaN since both maps are empty, and the distances in
        pixels that stand at the image diagonal since exactly one map is.

    Raises:
        ValueError: If the maps do not fit together or the spacing does not fit them.
    """
    table = contingency_table(prediction_labels, target_labels)
    hd, hd95 = hausdorff_distances(prediction_labels, target_labels, HAUSDORFF_PERCENTILES)
    quality = panoptic_quality(table)
    detection = detection_scores(table)
    scores = {
        "dice": dice(table),
        "iou": intersection_over_union(table),
        "hd": hd,
        "hd95": hd95,
        "aji": aggregated_jaccard_index(table),
        "aji_plus": aggregated_jaccard_index(table, one_to_one=True),
        "pq": quality.pq,
        "sq": quality.sq,
        "dq": quality.dq,
        "precision": detection.precision,
        "recall": detection.recall,
        "f1": detection.f1,
    }
    replaced = len(HAUSDORFF_PERCENTILES) if (table.n_true == 0) != (table.n_pred == 0) else 0
    undefined = replaced + sum(math.isnan(score) for score in scores.values())
    result = {
        "n_true": float(table.n_true),
        "n_pred": float(table.n_pred),
        **scores,
        "undefined": float(undefined),
    }
    if spacing_um is not None:
        result["hd_um"], result["hd95_um"] = hausdorff_distances(
            prediction_labels, target_labels, HAUSDORFF_PERCENTILES, spacing_um
        )
    return result
