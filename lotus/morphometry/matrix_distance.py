"""How far the voxels of a volume are from a structure in it, in blocks of slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import edt
import numpy as np
from numpy.typing import NDArray

_FIRST_HALO = 16


def distance_blocks(
    read: Callable[[int, int], NDArray[np.bool_]],
    depth: int,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    *,
    block_depth: int = 64,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Distance of every voxel to the nearest one of a structure, a block of slices after another.

    A block is looked at with a halo, which grows until no voxel of the structure beyond it can be
    the nearest: blocks are to the bit what the whole volume would give. From middle to middle of
    voxels; what lies outside the volume is not known and not looked at.

    Args:
        read: ``read(start, stop)`` gives the slices (Z, Y, X) of the structure.
        depth: Number of slices.
        spacing: Size of a voxel (Z, Y, X), such as in µm.
        block_depth: Slices of a block.

    Yields:
        The number of the first slice and the distances (Z, Y, X) in the unit of ``spacing``: 0 in
        the structure, infinite where there is none.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.matrix_distance import distance_blocks
        >>> canaliculus = np.zeros((3, 1, 1), bool)
        >>> canaliculus[2] = True
        >>> blocks = distance_blocks(lambda a, b: canaliculus[a:b], 3, (0.5, 1, 1), block_depth=2)
        >>> [(start, distance.ravel().tolist()) for start, distance in blocks]
        [(0, [1.0, 0.5]), (2, [0.0])]
    """
    halo = _FIRST_HALO
    for start in range(0, depth, block_depth):
        stop = min(start + block_depth, depth)
        while True:
            low, high = max(start - halo, 0), min(stop + halo, depth)
            distance = edt.edt(~read(low, high), anisotropy=spacing)[start - low : stop - low]
            reach = float(distance.max(initial=0)) / spacing[0]
            if reach <= halo or (low, high) == (0, depth):
                break
            halo = 2 * halo if math.isinf(reach) else math.ceil(reach)
        yield start, distance
