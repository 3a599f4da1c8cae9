"""Regular patches of a slice or volume, and those of them that lie in bone.

Poles et al., "On How to Unravel Bone Microscale Phenomena", BHI 2023: patches of 55 px side by
side, of which those with at least 99 % bone are kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PATCH_SIZE = 55
BONE_FRACTION = 0.99


def patches_per_axis(length: int, *, size: int = PATCH_SIZE, stride: int = PATCH_SIZE) -> int:
    """Number of whole patches along an axis, ``floor((length - size) / stride) + 1``.

    The paper prints ``1 + length - size · stride``, which would be negative for its own slices.

    Args:
        length: Pixels of the axis.
        size: Side of a patch in pixels.
        stride: Pixels from one patch to the next.

    Returns:
        The number, at least 1.

    Raises:
        ValueError: If no patch fits, or size or stride is not positive.
    """
    if size < 1 or stride < 1:
        raise ValueError(f"patch size is {size} and stride {stride}; expected at least 1 pixel")
    if length < size:
        raise ValueError(f"image is {length} pixels long; expected at least the patch's {size}")
    return (length - size) // stride + 1


def patch_grid(
    shape: tuple[int, ...], *, size: int = PATCH_SIZE, stride: int = PATCH_SIZE
) -> NDArray[np.int64]:
    """First corners of all patches of a slice or volume, row by row.

    Args:
        shape: ``(Y, X)`` of the slice or ``(Z, Y, X)`` of the volume in pixels.
        size: Side of a patch in pixels.
        stride: Pixels from one patch to the next.

    Returns:
        int64 ``(N, 2)`` or ``(N, 3)``, the first pixel of each patch along every axis.

    Raises:
        ValueError: If no patch fits.
    """
    starts = (stride * np.arange(patches_per_axis(n, size=size, stride=stride)) for n in shape)
    return np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, len(shape))


def bone_fractions(
    bone: NDArray[np.bool_], *, size: int = PATCH_SIZE, stride: int = PATCH_SIZE
) -> NDArray[np.float64]:
    """Share of bone in each patch of :func:`patch_grid`.

    Args:
        bone: bool ``(Y, X)`` or ``(Z, Y, X)``.
        size: Side of a patch in pixels.
        stride: Pixels from one patch to the next.

    Returns:
        Float64 ``(N,)`` in [0, 1], in the order of :func:`patch_grid`.

    Raises:
        ValueError: If no patch fits.
    """
    counts: NDArray[Any] = bone
    # The last axis first: its running sum reads memory in order, and leaves little to the others.
    for axis in reversed(range(bone.ndim)):
        counts = np.moveaxis(_window_sums(np.moveaxis(counts, axis, -1), size, stride), -1, axis)
    return np.asarray(counts.ravel() / size**bone.ndim, np.float64)


def enough_bone(
    fractions: NDArray[np.float64], minimum_fraction: float = BONE_FRACTION
) -> NDArray[np.bool_]:
    """Which patches lie in bone; the best one if none does.

    Args:
        fractions: Of :func:`bone_fractions`, (N,).
        minimum_fraction: Least share of bone in a patch, in [0, 1].

    Returns:
        Bool (N,), at least one of them true.
    """
    keep = np.asarray(fractions >= minimum_fraction)
    if not keep.any():
        keep[fractions.argmax()] = True
    return keep


def bone_patches(
    bone: NDArray[np.bool_],
    *,
    size: int = PATCH_SIZE,
    stride: int = PATCH_SIZE,
    minimum_fraction: float = BONE_FRACTION,
) -> NDArray[np.int64]:
    """Corners of the patches that lie in bone, or of the best one if none does.

    Args:
        bone: bool ``(Y, X)``, see :func:`lotus.transforms.enhancement.bone_mask`, or
            ``(Z, Y, X)``.
        size: Side of a patch in pixels.
        stride: Pixels from one patch to the next.
        minimum_fraction: Least share of bone in a patch, in [0, 1].

    Returns:
        int64 ``(N, 2)`` or ``(N, 3)`` as from :func:`patch_grid`, N at least 1.

    Raises:
        ValueError: If no patch fits.
    """
    fractions = bone_fractions(bone, size=size, stride=stride)
    grid = patch_grid(bone.shape, size=size, stride=stride)
    return grid[enough_bone(fractions, minimum_fraction)]


def _window_sums(values: NDArray[Any], size: int, stride: int) -> NDArray[np.int32]:
    """Sums over windows of the last axis, as differences of its running sum, which is exact."""
    starts = stride * np.arange(patches_per_axis(values.shape[-1], size=size, stride=stride))
    running = np.zeros((*values.shape[:-1], values.shape[-1] + 1), np.int32)
    np.cumsum(values, axis=-1, out=running[..., 1:])
    sums: NDArray[np.int32] = running[..., starts + size] - running[..., starts]
    return sums
