"""Instances from masks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cc3d
import edt
import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

FULL_CONNECTIVITY = {2: 8, 3: 26}
"""Neighbours of a pixel, corners included, by number of axes."""


def connected_components(
    mask: ArrayLike, minimum_size: float = 0.0, spacing_um: Sequence[float] | None = None
) -> NDArray[np.int32]:
    """Number the connected components of a mask (8-connected in 2-D, 26-connected in 3-D).

    Args:
        mask: (Y, X) or (Z, Y, X); anything non-zero is foreground.
        minimum_size: Smaller components are left out; in pixels, or in µm² (2-D) or µm³ (3-D) when
            `spacing_um` is given.
        spacing_um: Size of a pixel along each axis in µm.

    Returns:
        Label map int32 of the same shape, 0 = background, components 1, 2, … without gaps.

    Raises:
        ValueError: If the mask does not have two or three axes, or spacing does not fit it.

    Example:
        >>> from lotus.masks import connected_components
        >>> connected_components([[1, 0, 0, 1], [0, 1, 0, 0]])
        array([[1, 0, 0, 2],
               [0, 1, 0, 0]], dtype=int32)
        >>> connected_components([[1, 0, 0, 1], [0, 1, 0, 0]], minimum_size=2)
        array([[1, 0, 0, 0],
               [0, 1, 0, 0]], dtype=int32)
    """
    foreground = np.asarray(mask) != 0
    if foreground.ndim not in FULL_CONNECTIVITY:
        raise ValueError(f"a mask must be (Y, X) or (Z, Y, X), got shape {foreground.shape}")
    # cc3d 4.1 joins pixels that do not touch if given a bool array; the same bytes as uint8 it
    # labels rightly.
    labels = cc3d.connected_components(
        foreground.view(np.uint8), connectivity=FULL_CONNECTIVITY[foreground.ndim]
    )
    return without_small(labels.astype(np.int32), minimum_size, spacing_um)


def split_touching(
    mask: ArrayLike,
    *,
    minimum_distance: int = 5,
    minimum_size: float = 0.0,
    spacing_um: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """Number the objects of a mask, cutting touching round ones at their necks.

    Watershed on the distance transform, seeded at its maxima.

    Args:
        mask: (Y, X) or (Z, Y, X); anything non-zero is foreground.
        minimum_distance: Seeds of two objects are at least this many pixels apart.
        minimum_size: As in `connected_components`, applied after the split.
        spacing_um: As in `connected_components`.

    Returns:
        Label map int32 of the same shape, numbered without gaps; its foreground is that of the mask
        but for objects below the minimum size.

    Raises:
        ValueError: As for `connected_components`.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import connected_components, split_touching
        >>> mask = np.zeros((7, 17), int)
        >>> mask[1:6, 1:6] = mask[1:6, 11:16] = mask[3, 6:11] = 1  # two squares and a bridge
        >>> int(connected_components(mask).max()), int(split_touching(mask).max())
        (1, 2)
    """
    components = connected_components(mask)
    # The distance stops at the image border, as objects cut by it go on outside.
    depth = edt.edt(components > 0, black_border=False, parallel=1)
    if np.isinf(depth).any():
        # A mask without background has no necks.
        return without_small(components, minimum_size, spacing_um)
    peaks = peak_local_max(
        depth, min_distance=minimum_distance, labels=components, exclude_border=False
    )
    seeds = np.zeros(components.shape, dtype=np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    connectivity = np.ones((3,) * components.ndim)
    labels = watershed(-depth, seeds, mask=components > 0, connectivity=connectivity)
    return without_small(labels.astype(np.int32), minimum_size, spacing_um)


def without_small(
    labels: NDArray[np.int32],
    minimum_size: float,
    spacing_um: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """Drop objects below a minimum size and number the others without gaps.

    Args:
        labels: Label map (Y, X) or (Z, Y, X), numbered without gaps.
        minimum_size: In pixels, or in µm² or µm³ when `spacing_um` is given.
        spacing_um: Size of a pixel along each axis in µm.

    Returns:
        Label map of the same shape; the same array if nothing can be below the minimum.

    Raises:
        ValueError: If spacing does not fit the label map.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import without_small
        >>> without_small(np.array([[1, 0, 2, 2]], np.int32), minimum_size=2)
        array([[0, 0, 1, 1]], dtype=int32)
    """
    if spacing_um is not None and len(spacing_um) != labels.ndim:
        raise ValueError(
            f"spacing must be {labels.ndim} numbers in µm, one per axis, got {tuple(spacing_um)}"
        )
    pixel = math.prod(spacing_um) if spacing_um is not None else 1.0
    if minimum_size <= pixel:
        return labels
    kept = np.bincount(labels.ravel()) * pixel >= minimum_size
    kept[0] = False
    renumbered = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(renumbered[labels], dtype=np.int32)
