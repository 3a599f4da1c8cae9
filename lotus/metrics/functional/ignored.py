"""What is left of an image for its scores where something of it is to be ignored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lotus.metrics.functional.contingency import label_maps

MOSTLY = 0.5


def without_ignored(
    prediction: ArrayLike, target: ArrayLike, ignored: ArrayLike
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Clear the pixels that are to be ignored in both label maps.

    Objects are cut there: what they have elsewhere is scored. A predicted object is dropped as a
    whole, neither right nor wrong, if more than half of it is to be ignored and it overlaps no true
    object elsewhere (so Kirillov 2019 treats unmatched segments).

    Args:
        prediction: Predicted label map, 0 = background.
        target: True label map of the same shape.
        ignored: Bool of the same shape, True where nothing is known.

    Returns:
        Predicted and true label map, 0 where pixels are to be ignored.

    Raises:
        ValueError: If the maps do not fit together.

    Example:
        >>> from lotus.metrics.functional import without_ignored
        >>> prediction, target = [[1, 1, 1, 0, 2, 2]], [[3, 3, 0, 0, 0, 4]]
        >>> ignored = [[False, False, True, True, False, True]]
        >>> cleared = without_ignored(prediction, target, ignored)
        >>> cleared[0].tolist(), cleared[1].tolist()
        ([[1, 1, 0, 0, 2, 0]], [[3, 3, 0, 0, 0, 0]])
    """
    predicted, true = label_maps(prediction, target)
    hidden = np.asarray(ignored, np.bool_)
    if hidden.shape != predicted.shape:
        raise ValueError(
            f"ignored pixels have the shape {hidden.shape} and label maps {predicted.shape}; "
            "all must be of the same image"
        )
    true = np.where(hidden, 0, true)
    ids, number = np.unique(predicted, return_inverse=True)
    number = number.reshape(predicted.shape)
    areas, covered, right = (
        np.bincount(number[pixels], minlength=len(ids))
        for pixels in (np.ones_like(hidden), hidden, true > 0)
    )
    dropped = (covered > MOSTLY * areas) & (right == 0)
    return np.where(hidden | dropped[number], 0, predicted), true
