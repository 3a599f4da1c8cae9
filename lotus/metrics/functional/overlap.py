"""Overlap of foregrounds and of semantic classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lotus.metrics.functional.contingency import ContingencyTable, contingency_table, label_maps


def dice(prediction: ArrayLike | ContingencyTable, target: ArrayLike | None = None) -> float:
    """Dice coefficient of the foregrounds, 2·|P∩T| / (|P| + |T|).

    Args:
        prediction: Mask or label map, anything non-zero is foreground; or a contingency table.
        target: The true mask or label map; left out with a table.

    Returns:
        Score in [0, 1]; 0 when exactly one of the two is empty, NaN when both are.

    Raises:
        ValueError: If the maps do not fit together (see `contingency_table`).

    Example:
        >>> from lotus.metrics.functional import dice
        >>> dice([[1, 1, 0]], [[0, 1, 1]])
        0.5
    """
    shared, predicted, true = _foreground_pixels(prediction, target)
    return 2 * shared / (predicted + true) if predicted + true else float("nan")


def intersection_over_union(
    prediction: ArrayLike | ContingencyTable, target: ArrayLike | None = None
) -> float:
    """Intersection over union (Jaccard index) of the foregrounds, |P∩T| / |P∪T|.

    Args, returns and raises are those of `dice`.

    Example:
        >>> from lotus.metrics.functional import intersection_over_union
        >>> intersection_over_union([[1, 1, 1, 0]], [[0, 1, 1, 1]])
        0.5
    """
    shared, predicted, true = _foreground_pixels(prediction, target)
    union = predicted + true - shared
    return shared / union if union else float("nan")


def class_dice(prediction: ArrayLike, target: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Dice coefficient of each semantic class; `macro_average` gives their mean.

    Args:
        prediction: Predicted class of each pixel, 0 = background, 1 to `n_classes`.
        target: True class of each pixel, same shape.
        n_classes: Number of classes besides background.

    Returns:
        Scores of classes 1 to `n_classes`, float64 (n_classes,), in [0, 1]; 0 where a class is in
        one of the maps only, NaN where it is in neither.

    Raises:
        ValueError: If a label lies above `n_classes` or the maps do not fit together.

    Example:
        >>> from lotus.metrics.functional import class_dice
        >>> class_dice([[1, 1, 2]], [[1, 2, 2]], n_classes=3).round(2).tolist()
        [0.67, 0.67, nan]
    """
    shared, predicted, true = _class_pixels(prediction, target, n_classes)
    return _ratio(2 * shared, predicted + true)


def class_intersection_over_union(
    prediction: ArrayLike, target: ArrayLike, n_classes: int
) -> NDArray[np.float64]:
    """Intersection over union of each semantic class.

    Args, returns and raises are those of `class_dice`.

    Example:
        >>> from lotus.metrics.functional import class_intersection_over_union
        >>> class_intersection_over_union([[1, 1, 2]], [[1, 2, 2]], n_classes=3).tolist()
        [0.5, 0.5, nan]
    """
    shared, predicted, true = _class_pixels(prediction, target, n_classes)
    return _ratio(shared, predicted + true - shared)


def macro_average(scores: NDArray[np.float64]) -> float:
    """Mean of the defined (not NaN) scores; NaN where none is defined.

    Example:
        >>> import numpy as np
        >>> from lotus.metrics.functional import macro_average
        >>> macro_average(np.array([0.5, 1.0, np.nan]))
        0.75
    """
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if defined.size else float("nan")


def _foreground_pixels(
    prediction: ArrayLike | ContingencyTable, target: ArrayLike | None
) -> tuple[int, int, int]:
    """Pixels in both foregrounds, in the predicted and in the true one."""
    if isinstance(prediction, ContingencyTable):
        return (
            int(prediction.intersections.sum()),
            int(prediction.prediction_areas.sum()),
            int(prediction.target_areas.sum()),
        )
    if target is None:
        raise ValueError("a predicted mask needs the true one beside it")
    predicted, true = label_maps(prediction, target)
    predicted_mask, true_mask = predicted != 0, true != 0
    return (
        int(np.count_nonzero(predicted_mask & true_mask)),
        int(np.count_nonzero(predicted_mask)),
        int(np.count_nonzero(true_mask)),
    )


def _class_pixels(
    prediction: ArrayLike, target: ArrayLike, n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pixels shared, predicted and true of classes 1 to n_classes."""
    table = contingency_table(prediction, target)
    predicted = _by_class(table.prediction_ids, table.prediction_areas, n_classes)
    true = _by_class(table.target_ids, table.target_areas, n_classes)
    pair_class = table.prediction_ids[table.pair_prediction]
    agree = pair_class == table.target_ids[table.pair_target]
    shared = _by_class(pair_class[agree], table.intersections[agree], n_classes)
    return shared, predicted, true


def _by_class(
    classes: NDArray[np.integer], pixels: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    """Scatter pixel counts to their class."""
    if classes.size and classes.max() > n_classes:
        raise ValueError(f"found class {classes.max()}; classes must lie in 0 to {n_classes}")
    counts = np.zeros(n_classes + 1, dtype=np.int64)
    counts[classes] = pixels
    return counts[1:]


def _ratio(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    """Quotient, NaN where the denominator is zero."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
