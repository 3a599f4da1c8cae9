"""Segmented volumes against true ones, a block of slices in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lotus.metrics.functional import confusion_matrix, confusion_scores

Read = Callable[[int, int], NDArray[Any]]
"""Gives the labels (Z, Y, X) of the slices from one number to before another."""
BLOCK_DEPTH = 16


def as_classes(labels: NDArray[Any], values: Sequence[Sequence[int]]) -> NDArray[np.uint8]:
    """Labels as classes 1, 2, ... by the values that stand for each.

    Args:
        labels: Of any shape.
        values: Of every class, those that stand for it; all others are background.

    Returns:
        uint8 of the same shape.

    Example:
        >>> import numpy as np
        >>> from lotus.evaluation.volumes import as_classes
        >>> as_classes(np.array([0, 1, 2, 3, 9]), [[1], [2, 3]]).tolist()
        [0, 1, 2, 2, 0]
    """
    classes = np.zeros(labels.shape, np.uint8)
    for number, own in enumerate(values, start=1):
        for value in own:
            classes[labels == value] = number
    return classes


def score_volumes(
    predicted: Read,
    true: Read,
    slices: range,
    *,
    predicted_values: Mapping[str, Sequence[int]],
    true_values: Mapping[str, Sequence[int]],
) -> pd.DataFrame:
    """Dice of every class in every slice, and over all voxels together.

    Args:
        predicted: The segmented volume.
        true: The true one.
        slices: Numbers of the slices that count, ascending without gaps.
        predicted_values: Of every class, the values that stand for it in the segmented volume.
        true_values: Likewise in the true one; the same classes.

    Returns:
        A row per slice, named by its number, and last the row ``all``, which is no mean of them:
        ``dice``, ``dice_<class>`` and ``accuracy`` of
        :func:`~lotus.metrics.functional.confusion_scores`.

    Raises:
        ValueError: Other classes in one of the two, no slice, or slices of another size.

    Example:
        >>> import numpy as np
        >>> from lotus.evaluation.volumes import score_volumes
        >>> true, found = np.array([[[1, 0]], [[1, 1]]]), np.array([[[1, 0]], [[1, 0]]])
        >>> pore = {"pore": [1]}
        >>> scores = score_volumes(
        ...     lambda a, b: found[a:b],
        ...     lambda a, b: true[a:b],
        ...     range(2),
        ...     predicted_values=pore,
        ...     true_values=pore,
        ... )
        >>> scores["dice_pore"].round(3).to_dict()
        {'0': 1.0, '1': 0.667, 'all': 0.8}
    """
    names = list(true_values)
    if set(names) != set(predicted_values):
        raise ValueError(
            f"the true volume has the classes {', '.join(names)}, the segmented one "
            f"{', '.join(predicted_values)}; the same are expected"
        )
    if not slices:
        raise ValueError("no slice is left to score")
    total = np.zeros((len(names) + 1,) * 2, np.int64)
    rows: dict[str, dict[str, float]] = {}
    given, wanted = ([values[name] for name in names] for values in (predicted_values, true_values))
    for z, one, other in _planes(predicted, true, slices):
        if one.shape != other.shape:
            raise ValueError(
                f"slice {z} is {one.shape[0]} x {one.shape[1]} in the segmented volume and "
                f"{other.shape[0]} x {other.shape[1]} in the true one; was it cropped?"
            )
        counts = confusion_matrix(as_classes(one, given), as_classes(other, wanted), len(names))
        rows[str(z)] = confusion_scores(counts, names)
        total += counts
    rows["all"] = confusion_scores(total, names)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("slice")


def _planes(
    predicted: Read, true: Read, slices: range
) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    for start in range(slices.start, slices.stop, BLOCK_DEPTH):
        stop = min(start + BLOCK_DEPTH, slices.stop)
        yield from zip(range(start, stop), predicted(start, stop), true(start, stop), strict=True)
