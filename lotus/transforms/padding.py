"""Padding around the field of view: constant border values, which are no data.

Reconstructions of a round field are stored in square images, and rotated or cropped ones in upright
ones. What lies outside is filled with one number, such as -32768 or 0, which is no grey value.
"""

from collections import Counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from skimage.measure import label

from lotus.masks import fill_voids

PaddingValue = float | Literal["auto", "none"]
"""A number, ``auto`` to look for one, ``none`` where every pixel is data."""

SMALLEST_SHARE = 0.01
"""Of the image; less changes no percentile that matters."""
LARGEST_SHARE_OF_SPECKS = 0.01
"""Of what is left; air that is cut off at a constant has many specks of noise."""
LARGEST_DENT = 0.1
"""Of the padding: how much of it lies within the convex hull of what is left."""


def without_padding(
    image: NDArray[Any], value: PaddingValue = "auto"
) -> tuple[NDArray[Any], float | None]:
    """Set the pixels outside the field of view to NaN.

    They have one value and reach the image's edge by pixels of it. That value is the one given, or
    that of at least two corners if what is left is a field of view: one convex piece, without
    specks and with contrast.

    Args:
        image: ``(Y, X)`` grey values.
        value: See :data:`PaddingValue`.

    Returns:
        float32 ``(Y, X)`` and the value; the image itself and None where it has no padding.
    """
    if value == "none":
        return image, None
    found = _value_of_corners(image) if value == "auto" else float(value)
    if found is None:
        return image, None
    padding = ~fill_voids(image != found)
    if not padding.any() or (value == "auto" and not _is_around_a_field(image, padding)):
        return image, None
    return np.where(padding, np.float32(np.nan), image.astype(np.float32)), found


def _value_of_corners(image: NDArray[Any]) -> float | None:
    corners = Counter(image[[0, 0, -1, -1], [0, -1, 0, -1]].tolist())
    value, count = corners.most_common(1)[0]
    return float(value) if count > 1 else None


def _is_around_a_field(image: NDArray[Any], padding: NDArray[np.bool_]) -> bool:
    inside = image[~padding]
    if padding.mean() < SMALLEST_SHARE or (inside == inside[:1]).all():
        return False
    pieces = label(~padding, connectivity=2)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    field = int(areas.max())
    if field < (1.0 - LARGEST_SHARE_OF_SPECKS) * areas.sum():
        return False
    dent = _hull_area(pieces == areas.argmax()) - field
    return dent <= LARGEST_DENT * int(np.count_nonzero(padding))


def _hull_area(field: NDArray[np.bool_]) -> float:
    """Area of the convex hull of the centres of all pixels: of a convex field less than its own."""
    rows = np.flatnonzero(field.any(axis=1))
    left = field[rows].argmax(axis=1)
    right = field.shape[1] - 1 - field[rows, ::-1].argmax(axis=1)
    centres = np.concatenate([np.column_stack([rows, x]) for x in (left, right)])
    is_flat = np.ptp(centres, axis=0).min() == 0
    return 0.0 if is_flat else float(ConvexHull(centres).volume)
