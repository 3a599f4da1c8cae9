"""Hausdorff distances between the boundaries of two masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lotus.metrics.functional.contingency import label_maps
from lotus.metrics.functional.surface_distance import boundary, nearest_distances


def hausdorff_distance(
    prediction: ArrayLike,
    target: ArrayLike,
    percentile: float = 100.0,
    spacing: Sequence[float] | None = None,
) -> float:
    """Symmetric Hausdorff distance between the boundaries of two masks.

    Args:
        prediction: Mask or label map (Y, X) or (Z, Y, X), anything non-zero is foreground.
        target: The true one, same shape.
        percentile: 100 for the Hausdorff distance, 95 for HD95.
        spacing: Size of a pixel along each axis, in the order of the axes; pixels when left out.

    Returns:
        Distance in pixels or in the unit of `spacing`; NaN when both masks are empty, the diagonal
        of the image when exactly one is.

    Raises:
        ValueError: If the maps do not fit together or do not have two or three axes, or if spacing
            or percentile is out of range.

    Example:
        >>> import numpy as np
        >>> from lotus.metrics.functional import hausdorff_distance
        >>> prediction, target = np.zeros((5, 5), int), np.zeros((5, 5), int)
        >>> prediction[0, 0] = target[3, 4] = 1
        >>> hausdorff_distance(prediction, target)
        5.0
        >>> hausdorff_distance(prediction, target, spacing=(0.5, 0.5))
        2.5
    """
    return hausdorff_distances(prediction, target, (percentile,), spacing)[0]


def hausdorff_distances(
    prediction: ArrayLike,
    target: ArrayLike,
    percentiles: Sequence[float] = (100.0, 95.0),
    spacing: Sequence[float] | None = None,
) -> tuple[float, ...]:
    """Several percentiles of the Hausdorff distance from one computation of the distances.

    The boundary of a mask is the mask minus its erosion by face neighbours (4 in 2-D, 6 in 3-D);
    outside the image counts as background. A percentile is taken of the distances from the
    predicted to the true boundary and of those the other way, each with linear interpolation, and
    the larger of the two is the result. This is MONAI's definition; taking the percentile of both
    sets of distances pooled, as some packages do, gives smaller values.

    Args:
        prediction: Mask or label map, anything non-zero is foreground.
        target: The true one, same shape.
        percentiles: Which percentiles, each in [0, 100].
        spacing: Size of a pixel along each axis; pixels when left out.

    Returns:
        One distance per percentile; undefined cases as in `hausdorff_distance`.

    Raises:
        ValueError: As for `hausdorff_distance`.

    Example:
        >>> from lotus.metrics.functional import hausdorff_distances
        >>> hausdorff_distances([[1, 1, 1, 1, 1]], [[1, 1, 1, 0, 0]], percentiles=(100, 75))
        (2.0, 1.0)
    """
    predicted, true = label_maps(prediction, target)
    if not all(0 <= percentile <= 100 for percentile in percentiles):
        raise ValueError(f"percentiles must lie in 0 to 100, got {tuple(percentiles)}")
    if predicted.ndim not in (2, 3):
        raise ValueError(f"a mask must be (Y, X) or (Z, Y, X), got shape {predicted.shape}")
    voxel = _voxel_size(spacing, predicted.ndim)
    predicted_mask, true_mask = predicted != 0, true != 0
    if not predicted_mask.any() and not true_mask.any():
        return (float("nan"),) * len(percentiles)
    if not predicted_mask.any() or not true_mask.any():
        diagonal = float(np.linalg.norm(np.multiply(predicted.shape, voxel)))
        return (diagonal,) * len(percentiles)

    # Nothing outside the box around both masks can be a nearest boundary pixel.
    box = _bounding_box(predicted_mask | true_mask)
    predicted_edge, true_edge = boundary(predicted_mask[box]), boundary(true_mask[box])
    to_true = nearest_distances(predicted_edge, true_edge, voxel)
    to_predicted = nearest_distances(true_edge, predicted_edge, voxel)
    directed = [np.percentile(distances, percentiles) for distances in (to_true, to_predicted)]
    return tuple(float(distance) for distance in np.maximum(*directed))


def _voxel_size(spacing: Sequence[float] | None, n_axes: int) -> tuple[float, ...]:
    if spacing is None:
        return (1.0,) * n_axes
    if len(spacing) != n_axes or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise ValueError(
            f"spacing must be {n_axes} positive numbers, one per axis, got {tuple(spacing)}"
        )
    return tuple(float(s) for s in spacing)


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Smallest box that holds the foreground of a mask that is not empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)
