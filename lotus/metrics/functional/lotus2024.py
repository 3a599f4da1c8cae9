"""Scores as the released evaluation of LOTUS (Poles et al., MICCAI 2024) computed them.

For comparison with the published table only. They differ from the scores of the same everyday
name: "AJI" there is the IoU of the binarised masks, and "HD" is HD95 in pixels of the patch
enlarged to 512×512, 0 when either mask is empty, so that a missed image counts as perfect.
Components below 50 pixels are removed from both masks after HD and before all other scores.

Not known of the original, and chosen here: components are 8-connected, masks are enlarged to the
nearest neighbour, HD95 is the larger of the two directed percentiles, and overlap scores of two
empty masks are NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lotus.metrics.functional.components import connected_components
from lotus.metrics.functional.contingency import label_maps
from lotus.metrics.functional.hausdorff import hausdorff_distance
from lotus.metrics.functional.instances import panoptic_quality
from lotus.metrics.functional.overlap import dice, intersection_over_union

PATCH_SIZE = 512
MINIMUM_SIZE = 50


def lotus2024_scores(prediction: ArrayLike, target: ArrayLike) -> dict[str, float]:
    """All scores of the 2024 evaluation for one patch, named `lotus2024_…`.

    Args:
        prediction: Mask or label map (Y, X), anything non-zero is foreground.
        target: The true one, same shape.

    Returns:
        `lotus2024_dice`, `lotus2024_foreground_iou` (published as AJI), `lotus2024_hd95` (published
        as HD) and `lotus2024_pq` (of the connected components).

    Raises:
        ValueError: If the maps are not two-dimensional or do not fit together.
    """
    predicted, true = _patches(prediction, target)
    predicted_objects, true_objects = _large_components(predicted), _large_components(true)
    return {
        "lotus2024_dice": dice(predicted_objects, true_objects),
        "lotus2024_foreground_iou": intersection_over_union(predicted_objects, true_objects),
        "lotus2024_hd95": _hd95_or_zero(predicted, true),
        "lotus2024_pq": panoptic_quality(predicted_objects, true_objects).pq,
    }


def lotus2024_hd95(prediction: ArrayLike, target: ArrayLike) -> float:
    """What the 2024 table calls HD: HD95 in pixels of the 512×512 patch, 0 if a mask is empty.

    Args and raises are those of `lotus2024_scores`.
    """
    return _hd95_or_zero(*_patches(prediction, target))


def lotus2024_foreground_iou(prediction: ArrayLike, target: ArrayLike) -> float:
    """What the 2024 table calls AJI: IoU of the masks without components below 50 pixels.

    Args and raises are those of `lotus2024_scores`; NaN when both masks are empty.
    """
    predicted, true = _patches(prediction, target)
    return intersection_over_union(_large_components(predicted), _large_components(true))


def _hd95_or_zero(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    if not predicted.any() or not true.any():
        return 0.0
    return hausdorff_distance(predicted, true, percentile=95)


def _large_components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    return connected_components(mask, minimum_size=MINIMUM_SIZE)


def _patches(
    prediction: ArrayLike, target: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    predicted, true = label_maps(prediction, target)
    if predicted.ndim != 2:
        raise ValueError(f"a patch must be (Y, X), got shape {predicted.shape}")
    nearest = np.ix_(*(np.arange(PATCH_SIZE) * size // PATCH_SIZE for size in predicted.shape))
    return predicted[nearest] != 0, true[nearest] != 0
