"""Scores of classes from counts of pixels, which add up over images and processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def confusion_matrix(
    prediction: ArrayLike, target: ArrayLike, n_classes: int, ignored: ArrayLike | None = None
) -> NDArray[np.int64]:
    """How many pixels or voxels of each true class were given each class.

    Args:
        prediction: Predicted classes, 0 = background, 1 to ``n_classes``; any number of axes.
        target: True classes, same shape.
        n_classes: Number of classes besides background.
        ignored: Bool, where nothing is known; same shape. None if everything is.

    Returns:
        int64 (n_classes + 1, n_classes + 1), true class by predicted class.

    Raises:
        ValueError: Shapes differ, or a class is out of range.

    Example:
        >>> from lotus.metrics.functional import confusion_matrix
        >>> confusion_matrix([0, 1, 1, 1], [0, 0, 1, 1], n_classes=1)
        array([[1, 1],
               [0, 2]])
    """
    given, true = np.asarray(prediction), np.asarray(target)
    if given.shape != true.shape:
        raise ValueError(f"prediction has shape {given.shape}, target {true.shape}")
    if ignored is not None:
        known = ~np.asarray(ignored, np.bool_)
        given, true = given[known], true[known]
    for name, classes in (("prediction", given), ("target", true)):
        if classes.size and not 0 <= classes.min() <= classes.max() <= n_classes:
            found = f"{classes.min()} to {classes.max()}"
            raise ValueError(f"{name} has the classes {found}; expected 0 to {n_classes}")
    side = n_classes + 1
    pairs = true.astype(np.int64).ravel() * side + given.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=side**2).reshape(side, side).astype(np.int64)


def confusion_scores(confusion: ArrayLike, class_names: Sequence[str]) -> dict[str, float]:
    """Dice of each class, their mean, and the accuracy.

    Args:
        confusion: Counts (K + 1, K + 1) of :func:`confusion_matrix`, or a sum of some.
        class_names: Of the K classes besides background.

    Returns:
        ``dice``, the mean over the classes that are there or were given; ``dice_<class>`` of each,
        2·|P∩T| / (|P| + |T|), NaN where a class neither is there nor was given; ``accuracy``, the
        share of pixels with the right class, background included, NaN without a pixel.

    Example:
        >>> from lotus.metrics.functional import confusion_scores
        >>> confusion_scores([[4, 0, 0], [0, 1, 2], [0, 0, 3]], ["lcn", "bone"])
        {'dice': 0.625, 'dice_lcn': 0.5, 'dice_bone': 0.75, 'accuracy': 0.8}
    """
    counts = np.asarray(confusion, np.float64)
    shared, both = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
    dice = np.full(len(both), np.nan)
    np.divide(2 * shared, both, out=dice, where=both > 0)
    classes = dice[1:]
    known = classes[~np.isnan(classes)]
    total = counts.sum()
    return {
        "dice": float(known.mean()) if known.size else float("nan"),
        **{f"dice_{n}": float(value) for n, value in zip(class_names, classes, strict=True)},
        "accuracy": float(shared.sum() / total) if total else float("nan"),
    }
