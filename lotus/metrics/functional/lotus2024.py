"""Scores as the released evaluation of LOTUS (Poles et al., MICCAI 2024) computed them.

For comparison with the published table only. They differ from the scores of the same everyday
name:

- "AJI" is the IoU of the binarised masks, "HD" is HD95 in pixels of the patch enlarged to 512×512,
  and 0 when either mask is empty, so that a missed image counts as perfect.
- HD95 is the 95th percentile of both sets of boundary distances pooled, as in MedPy.
- Objects are 8-connected components. Those below 50 pixels are removed from the prediction only,
  after HD and before all other scores.
- Dice of two empty masks is 1; AJI and PQ are 0 whenever the prediction is empty, even rightly so.

Read from the code at https://github.com/isabellapoles/LOTUS (test_bonesai.py, models/metrics.py),
which also loses the 256th true object of a patch; that is not repeated here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lotus.masks.components import connected_components
from lotus.metrics.functional.contingency import label_maps
from lotus.metrics.functional.instances import panoptic_quality
from lotus.metrics.functional.overlap import dice, intersection_over_union
from lotus.metrics.functional.surface_distance import boundary, nearest_distances

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

    Example:
        >>> import numpy as np
        >>> from lotus.metrics.functional import lotus2024_scores
        >>> target = np.ones((4, 4), int)
        >>> prediction = target.copy()
        >>> prediction[0] = 0
        >>> scores = lotus2024_scores(prediction, target)
        >>> scores["lotus2024_foreground_iou"], scores["lotus2024_pq"]
        (0.75, 0.75)
    """
    predicted, true = _patches(prediction, target)
    found, expected = _without_specks(predicted), connected_components(true)
    return {
        "lotus2024_dice": _dice(found, expected),
        "lotus2024_foreground_iou": _foreground_iou(found, expected),
        "lotus2024_hd95": _hd95_or_zero(predicted, true),
        "lotus2024_pq": panoptic_quality(found, expected).pq if found.any() else 0.0,
    }


def lotus2024_hd95(prediction: ArrayLike, target: ArrayLike) -> float:
    """What the 2024 table calls HD: HD95 in pixels of the 512×512 patch, 0 if a mask is empty.

    Args and raises are those of `lotus2024_scores`.

    Example:
        >>> import numpy as np
        >>> from lotus.metrics.functional import lotus2024_hd95
        >>> lotus2024_hd95(np.zeros((4, 4), int), np.ones((4, 4), int))  # all missed
        0.0
    """
    return _hd95_or_zero(*_patches(prediction, target))


def lotus2024_foreground_iou(prediction: ArrayLike, target: ArrayLike) -> float:
    """What the 2024 table calls AJI: IoU of the masks, the prediction without specks.

    Args and raises are those of `lotus2024_scores`.

    Example:
        >>> import numpy as np
        >>> from lotus.metrics.functional import lotus2024_foreground_iou
        >>> target = np.ones((4, 4), int)
        >>> lotus2024_foreground_iou(np.triu(target), target)  # 10 of 16
        0.625
    """
    predicted, true = _patches(prediction, target)
    return _foreground_iou(_without_specks(predicted), connected_components(true))


def _dice(found: NDArray[np.int32], expected: NDArray[np.int32]) -> float:
    return dice(found, expected) if found.any() or expected.any() else 1.0


def _foreground_iou(found: NDArray[np.int32], expected: NDArray[np.int32]) -> float:
    return intersection_over_union(found, expected) if found.any() else 0.0


def _hd95_or_zero(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    if not predicted.any() or not true.any():
        return 0.0
    one, other = boundary(predicted), boundary(true)
    there = nearest_distances(one, other, (1.0, 1.0))
    back = nearest_distances(other, one, (1.0, 1.0))
    return float(np.percentile(np.concatenate((there, back)), 95))


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    return connected_components(mask, minimum_size=MINIMUM_SIZE)


def _patches(
    prediction: ArrayLike, target: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    predicted, true = label_maps(prediction, target)
    if predicted.ndim != 2:
        raise ValueError(f"a patch must be (Y, X), got shape {predicted.shape}")
    steps = 2 * np.arange(PATCH_SIZE) + 1
    nearest = np.ix_(*(steps * size // (2 * PATCH_SIZE) for size in predicted.shape))
    return predicted[nearest] != 0, true[nearest] != 0
