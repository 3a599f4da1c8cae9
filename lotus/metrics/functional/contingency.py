"""One pass over a pair of label maps that every overlap and instance score is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST_PACKED_ID = 2**32 - 1
"""Two ids up to this value fit side by side into one unsigned 64-bit integer."""


@dataclass(frozen=True, eq=False)
class ContingencyTable:
    """Overlap of every predicted with every true instance of one image (any number of axes).

    Instances are numbered in the order in which their first pixel appears in the image, so nothing
    computed from the table, ties included, depends on the values of the ids.

    Attributes:
        prediction_ids: Id of each predicted instance, shape (n_pred,), background left out.
        target_ids: Id of each true instance, shape (n_true,), background left out.
        prediction_areas: Pixels of each predicted instance, int64 (n_pred,).
        target_areas: Pixels of each true instance, int64 (n_true,).
        pair_prediction: For each overlapping pair the position in `prediction_ids`, (n_pairs,).
        pair_target: For each overlapping pair the position in `target_ids`, (n_pairs,).
        intersections: Pixels shared by each overlapping pair, int64 (n_pairs,), all above zero.
    """

    prediction_ids: NDArray[np.integer[Any]]
    target_ids: NDArray[np.integer[Any]]
    prediction_areas: NDArray[np.int64]
    target_areas: NDArray[np.int64]
    pair_prediction: NDArray[np.intp]
    pair_target: NDArray[np.intp]
    intersections: NDArray[np.int64]

    @property
    def n_pred(self) -> int:
        """Number of predicted instances."""
        return len(self.prediction_ids)

    @property
    def n_true(self) -> int:
        """Number of true instances."""
        return len(self.target_ids)

    @cached_property
    def unions(self) -> NDArray[np.int64]:
        """Pixels in either member of each overlapping pair, (n_pairs,)."""
        areas = self.prediction_areas[self.pair_prediction] + self.target_areas[self.pair_target]
        return np.asarray(areas - self.intersections, dtype=np.int64)

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each overlapping pair, (n_pairs,), in (0, 1]."""
        return np.asarray(self.intersections / self.unions, dtype=np.float64)


def contingency_table(prediction: ArrayLike, target: ArrayLike) -> ContingencyTable:
    """Count the pixels of all overlapping pairs of instances in one pass.

    The image is cut into runs of pixels with the same pair of ids, and one bin count over the runs
    gives the table. Time grows with the number of runs, never with the number of instances times
    the size of the image.

    Args:
        prediction: Predicted label map, 0 = background; any integer type, any non-negative ids.
        target: True label map of the same shape.

    Returns:
        The table; its areas and intersections are exact.

    Raises:
        ValueError: If shapes differ, the maps are empty arrays, not of an integer type, or hold
            negative ids.

    Example:
        >>> from lotus.metrics.functional import contingency_table
        >>> table = contingency_table([[1, 1, 0], [0, 2, 2]], [[7, 7, 7], [0, 0, 9]])
        >>> table.target_ids.tolist(), table.target_areas.tolist()
        ([7, 9], [3, 1])
        >>> table.intersections.tolist(), table.unions.tolist(), table.iou.round(2).tolist()
        ([2, 1], [3, 2], [0.67, 0.5])
    """
    predicted, true = label_maps(prediction, target)
    flat_prediction, flat_target = predicted.ravel(), true.ravel()
    changes = (flat_prediction[1:] != flat_prediction[:-1]) | (flat_target[1:] != flat_target[:-1])
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    lengths = np.diff(starts, append=flat_target.size)
    run_prediction, run_target = flat_prediction[starts], flat_target[starts]

    keys = _pack(run_target, run_prediction)
    _, first, run_pair = np.unique(keys, return_index=True, return_inverse=True)
    pixels = np.bincount(run_pair, weights=lengths).astype(np.int64)
    appearance = np.argsort(first)
    first, pixels = first[appearance], pixels[appearance]

    prediction_ids, prediction_index = _number(run_prediction[first])
    target_ids, target_index = _number(run_target[first])
    overlapping = (prediction_index >= 0) & (target_index >= 0)
    return ContingencyTable(
        prediction_ids=prediction_ids,
        target_ids=target_ids,
        prediction_areas=_areas(prediction_index, pixels, len(prediction_ids)),
        target_areas=_areas(target_index, pixels, len(target_ids)),
        pair_prediction=prediction_index[overlapping],
        pair_target=target_index[overlapping],
        intersections=pixels[overlapping],
    )


def as_table(
    prediction: ArrayLike | ContingencyTable, target: ArrayLike | None
) -> ContingencyTable:
    """Give the table of a pair of label maps, or hand on one that is computed already.

    Raises:
        ValueError: If a label map comes without its partner, or a table with one.

    Example:
        >>> table = as_table([[1, 0, 2]], [[3, 3, 0]])
        >>> table.n_pred, table.n_true
        (2, 1)
        >>> as_table(table, None) is table
        True
    """
    if isinstance(prediction, ContingencyTable):
        if target is not None:
            raise ValueError("a contingency table holds both label maps; give it alone")
        return prediction
    if target is None:
        raise ValueError("a predicted label map needs the true one beside it")
    return contingency_table(prediction, target)


def label_maps(
    prediction: ArrayLike, target: ArrayLike
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Check a pair of masks or label maps and give them as integer arrays.

    Tensors on any device are accepted; bool masks become instance 1.

    Raises:
        ValueError: As for `contingency_table`.

    Example:
        >>> predicted, true = label_maps([[True, False]], [[3, 0]])
        >>> predicted.tolist(), true.tolist()
        ([[1, 0]], [[3, 0]])
    """
    predicted, true = _label_map(prediction, "prediction"), _label_map(target, "target")
    if predicted.shape != true.shape:
        raise ValueError(
            f"prediction has shape {predicted.shape} and target {true.shape}; "
            "both must be of the same image"
        )
    return predicted, true


def _label_map(labels: ArrayLike, role: str) -> NDArray[np.integer[Any]]:
    detach = getattr(labels, "detach", None)
    array = np.asarray(labels if detach is None else detach().cpu())
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{role} has type {array.dtype}; a mask or label map must be of an integer type or bool"
        )
    if array.size == 0 or array.ndim == 0:
        raise ValueError(f"{role} has shape {array.shape}: there is no pixel to score")
    if array.dtype.kind == "i" and array.min() < 0:
        raise ValueError(
            f"{role} holds the negative id {array.min()}; ids must be 0 for background and above "
            "for instances"
        )
    return array


def _pack(
    run_target: NDArray[np.integer[Any]], run_prediction: NDArray[np.integer[Any]]
) -> NDArray[np.uint64]:
    """One key per pair of ids; equal keys, equal pairs."""
    packed = []
    for ids in (run_target, run_prediction):
        small = ids
        if ids.max() > LARGEST_PACKED_ID:
            small = np.unique(ids, return_inverse=True)[1]
        packed.append(small.astype(np.uint64))
    return (packed[0] << np.uint64(32)) | packed[1]


def _number(
    ids: NDArray[np.integer[Any]],
) -> tuple[NDArray[np.integer[Any]], NDArray[np.intp]]:
    """Ids without background in order of appearance, and the position in them (-1: background)."""
    unique, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    appearance = np.argsort(first)
    appearance = appearance[unique[appearance] != 0]
    position = np.full(len(unique), -1, dtype=np.intp)
    position[appearance] = np.arange(len(appearance))
    return unique[appearance], position[inverse]


def _areas(
    index: NDArray[np.intp], pixels: NDArray[np.int64], n_instances: int
) -> NDArray[np.int64]:
    """Pixels per instance; background is counted into a first bin that is cut off."""
    counts = np.bincount(index + 1, weights=pixels, minlength=n_instances + 1)
    return counts[1:].astype(np.int64)
