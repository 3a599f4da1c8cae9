"""Closing and filling of masks."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray
from skimage.measure import label


def close_with_disk(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Morphological closing with the disk ``y² + x² <= radius²``.

    Dilation by a disk is a threshold on the distance to the mask and erosion one on the distance
    to its complement, so the time does not depend on the radius. Beyond the image's edge there
    is neither mask nor complement.

    Args:
        mask: bool ``(Y, X)``.
        radius: Radius of the disk in pixels.

    Returns:
        bool ``(Y, X)``.
    """
    dilated = edt.edtsq(~mask) <= radius**2
    return np.asarray(edt.edtsq(dilated) > radius**2)


def fill_voids(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add every 4-connected part of the complement that does not reach the image's edge.

    Args:
        mask: bool ``(Y, X)``.

    Returns:
        bool ``(Y, X)``.
    """
    outside = label(~mask, connectivity=1)
    rim = np.concatenate((outside[0], outside[-1], outside[:, 0], outside[:, -1]))
    is_open = np.zeros(int(outside.max()) + 1, np.bool_)
    is_open[rim] = True
    is_open[0] = False
    return np.asarray(~is_open[outside])
