"""Opening, closing and filling of masks."""

from __future__ import annotations

import math

import cv2
import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from skimage.measure import label

from lotus.masks.components import connected_components


def open_with_square(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Morphological opening with a square: what is left is covered by squares within the mask.

    Beyond the image's edge there is neither mask nor complement: squares may reach out by half.

    Args:
        mask: Bool ``(Y, X)``.
        side: Side of the square in pixels.

    Returns:
        Bool ``(Y, X)``, within ``mask``.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import open_with_square
        >>> mask = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 0, 1], [0, 1, 1, 1, 0], [0] * 5], bool)
        >>> open_with_square(mask, side=2).astype(int)
        array([[0, 0, 0, 0, 0],
               [0, 1, 1, 0, 0],
               [0, 1, 1, 0, 0],
               [0, 0, 0, 0, 0]])
    """
    square = np.ones((side, side), np.uint8)
    # An even square has no middle; erosion and dilation must not both shift the same way.
    middle, mirrored = (side - 1) // 2, side // 2
    eroded = cv2.erode(mask.astype(np.uint8), square, anchor=(middle, middle))
    return np.asarray(cv2.dilate(eroded, square, anchor=(mirrored, mirrored)), np.bool_)


def open_with_ball(
    mask: NDArray[np.bool_], diameter: float, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> NDArray[np.bool_]:
    """Morphological opening with a ball: what is left is covered by balls within the mask.

    A ball holds the voxels whose middle is at most half the diameter away from its own. What is
    left is where the structure is, to a voxel, locally at least as thick as the ball. A voxel
    depends on those within one diameter alone. Beyond the volume's edge there is neither mask nor
    complement.

    Args:
        mask: Bool ``(Z, Y, X)``.
        diameter: Of the ball, in the unit of ``spacing``.
        spacing: Size of a voxel (Z, Y, X), such as in µm; without one the unit is a voxel.

    Returns:
        Bool ``(Z, Y, X)``, within ``mask``.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import open_with_ball
        >>> mask = np.zeros((5, 5, 9), bool)
        >>> mask[1:4, 1:4, 1:4] = mask[2, 2, 4:] = True  # a cube and a rod
        >>> open_with_ball(mask, 2.0)[2, 2].astype(int)
        array([0, 1, 1, 1, 1, 0, 0, 0, 0])
    """
    radius = diameter / 2
    middles = edt.edtsq(mask, anisotropy=spacing) > radius**2
    return dilate_with_ball(middles, radius, spacing)


def dilate_with_ball(
    mask: NDArray[np.bool_], radius: float, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> NDArray[np.bool_]:
    """Morphological dilation with a ball: what is no further from the mask than its radius.

    Distances are those between the middles of voxels. They are looked at around the parts of the
    mask alone, which is fast where these are few and apart.

    Args:
        mask: Bool ``(Z, Y, X)``.
        radius: Of the ball, in the unit of ``spacing``.
        spacing: Size of a voxel (Z, Y, X), such as in µm; without one the unit is a voxel.

    Returns:
        Bool ``(Z, Y, X)``; the mask is part of it.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import dilate_with_ball
        >>> mask = np.array([[[0, 0, 0, 1, 0, 0, 0, 0]]], bool)
        >>> dilate_with_ball(mask, 1.0, (1.0, 1.0, 0.5))[0, 0].astype(int)
        array([0, 1, 1, 1, 1, 1, 0, 0])
    """
    dilated = np.zeros_like(mask)
    reach = [math.ceil(radius / side) for side in spacing]
    for box in find_objects(connected_components(mask)):
        window = tuple(
            slice(max(side.start - far, 0), side.stop + far)
            for side, far in zip(box, reach, strict=True)
        )
        dilated[window] |= edt.edtsq(~mask[window], anisotropy=spacing) <= radius**2
    return dilated


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

    Example:
        >>> import numpy as np
        >>> from lotus.masks import close_with_disk
        >>> mask = np.array([[0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]], bool)
        >>> close_with_disk(mask, radius=1).astype(int)
        array([[0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0]])
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

    Example:
        >>> import numpy as np
        >>> from lotus.masks import fill_voids
        >>> mask = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 1, 1]], bool)
        >>> fill_voids(mask).astype(int)
        array([[1, 1, 1, 1],
               [1, 1, 1, 0],
               [1, 1, 1, 1]])
    """
    outside = label(~mask, connectivity=1)
    is_open = np.zeros(int(outside.max()) + 1, np.bool_)
    for axis in range(mask.ndim):
        is_open[outside.take((0, -1), axis)] = True
    is_open[0] = False
    return np.asarray(~is_open[outside])
