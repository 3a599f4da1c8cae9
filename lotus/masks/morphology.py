"""Closing and filling of masks."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray
from skimage.measure import label


def close_with_disk(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Morphological closing with the disk ``y² + x² <= radius²``, of a volume with the ball.

    Dilation by a disk is a threshold on the distance to the mask and erosion one on the distance
    to its complement, so the time does not depend on the radius. Beyond the image's edge there
    is neither mask nor complement.

    Args:
        mask: Bool ``(Y, X)`` or ``(Z, Y, X)``.
        radius: Radius of the disk or ball in pixels, the same along all axes.

    Returns:
        Bool array of the same shape.
    """
    dilated = edt.edtsq(~mask) <= radius**2
    return np.asarray(edt.edtsq(dilated) > radius**2)


def fill_voids(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add every part of the complement that does not reach the image's edge.

    Parts are connected by the sides of pixels or the faces of voxels (4 or 6 neighbours).

    Args:
        mask: Bool ``(Y, X)`` or ``(Z, Y, X)``.

    Returns:
        Bool array of the same shape.
    """
    outside = label(~mask, connectivity=1)
    is_open = np.zeros(int(outside.max()) + 1, np.bool_)
    for axis in range(mask.ndim):
        is_open[outside.take((0, -1), axis)] = True
    is_open[0] = False
    return np.asarray(~is_open[outside])
