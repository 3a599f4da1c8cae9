"""Distances from the boundary of one mask to the boundary of another."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray

SEARCH_RADIUS = 32
"""Neighbouring lines looked through, in pixels, before the whole distance transform is made."""

FAR = 2**30
"""Stands for "no edge in this line": beyond any image, and its sum with any index fits int32."""


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask that have a face neighbour in the background or outside the image.

    Args:
        mask: Bool array with any number of axes.

    Returns:
        Bool array of the same shape.

    Example:
        >>> import numpy as np
        >>> boundary(np.ones((3, 4), bool)).astype(int)
        array([[1, 1, 1, 1],
               [1, 0, 0, 1],
               [1, 1, 1, 1]])
    """
    padded = np.pad(mask, 1)
    inside = (slice(1, -1),) * mask.ndim
    interior = mask.copy()
    for axis in range(mask.ndim):
        for neighbour in (slice(None, -2), slice(2, None)):
            interior &= padded[(*inside[:axis], neighbour, *inside[axis + 1 :])]
    return mask & ~interior


def nearest_distances(
    edge: NDArray[np.bool_], other: NDArray[np.bool_], voxel: tuple[float, ...]
) -> NDArray[np.float64]:
    """Euclidean distance from every pixel of one edge to the nearest pixel of the other.

    The distance along the first axis is computed for all pixels. The other axes are searched from
    the pixels of the edge only, the nearest lines first, until no nearer pixel is possible: edges
    that are compared are mostly close to each other. Pixels that are far from the other edge are
    left to a Euclidean distance transform, so that work stays in proportion to the image. The
    search is exact; the transform is, to the rounding of float32.

    Args:
        edge: Bool array with two or three axes, the pixels to measure from.
        other: Bool array of the same shape with at least one pixel, measured to.
        voxel: Size of a pixel along each axis.

    Returns:
        Distances in the unit of `voxel`, one per pixel of `edge` in C order.

    Raises:
        ValueError: If the edges do not have two or three axes, or shapes or `voxel` do not fit.

    Example:
        >>> import numpy as np
        >>> edge = np.array([[True, False, False, True]])
        >>> other = np.array([[False, True, False, False]])
        >>> nearest_distances(edge, other, voxel=(1.0, 0.5)).tolist()
        [0.5, 1.0]
    """
    if edge.ndim not in (2, 3) or edge.shape != other.shape or len(voxel) != edge.ndim:
        raise ValueError(
            f"edges have shapes {edge.shape} and {other.shape} and voxels the size {voxel}; both "
            "must be (Y, X) or (Z, Y, X) of one image, with one size per axis"
        )
    in_line = _distance_along_first_axis(other).ravel()
    start = np.flatnonzero(edge)
    line_axes = tuple(axis.astype(np.intp) for axis in np.unravel_index(start, edge.shape)[1:])
    squared = np.square(in_line.take(start) * voxel[0])
    offsets, squared_lengths = _line_offsets(voxel[1:])
    work = 0
    for offset, squared_length in zip(offsets, squared_lengths, strict=True):
        open_ = np.flatnonzero(squared > squared_length)
        work += open_.size
        if open_.size == 0:
            settled: NDArray[np.float64] = np.sqrt(squared)
            return settled
        if work > edge.size:
            break
        position = start[open_]
        for axis, step, stride, size in zip(
            line_axes, offset, _strides(edge.shape)[1:], edge.shape[1:], strict=True
        ):
            # At the border a line is looked at again with too large an offset: never too small.
            here = axis[open_]
            position = position + (np.clip(here + step, 0, size - 1) - here) * stride
        candidate = np.square(in_line.take(position) * voxel[0]) + squared_length
        squared[open_] = np.minimum(squared[open_], candidate)
    return _settle_far(squared, start, other, voxel)


def _settle_far(
    squared: NDArray[np.float64],
    start: NDArray[np.intp],
    other: NDArray[np.bool_],
    voxel: tuple[float, ...],
) -> NDArray[np.float64]:
    """Take the distances that the search has not settled from a distance transform."""
    transform = edt.edt(~other, anisotropy=voxel, black_border=False, parallel=1)
    # A distance that the search has found already is the same but for float32 rounding.
    nearest: NDArray[np.float64] = np.minimum(np.sqrt(squared), transform.take(start))
    return nearest


def _distance_along_first_axis(edge: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Pixels to the nearest edge pixel along the first axis; `FAR` or more where there is none."""
    distance = np.where(edge, np.int32(0), np.int32(FAR))
    step = np.empty_like(distance[0])
    for forward in range(1, len(distance)):
        np.add(distance[forward - 1], 1, out=step)
        np.minimum(distance[forward], step, out=distance[forward])
    for backward in range(len(distance) - 2, -1, -1):
        np.add(distance[backward + 1], 1, out=step)
        np.minimum(distance[backward], step, out=distance[backward])
    return distance


def _line_offsets(
    voxel: tuple[float, ...],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Steps to the neighbouring lines, nearest first, and their squared lengths.

    Only lengths up to which the steps are complete are given.
    """
    axis = np.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
    grid = np.meshgrid(*(axis,) * len(voxel), indexing="ij")
    steps = np.stack([component.ravel() for component in grid], axis=-1)
    squared = ((steps * np.asarray(voxel)) ** 2).sum(axis=-1)
    reach = (SEARCH_RADIUS * min(voxel)) ** 2
    order = np.argsort(squared, kind="stable")[1:]
    order = order[squared[order] <= reach]
    return steps[order], squared[order]


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements between neighbours along each axis of a C-ordered array."""
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
