"""Local thickness in 3-D (Hildebrand & Rüegsegger, J. Microsc. 185, 1997), exact, as a diameter.

The thickness at a point is the diameter of the largest ball that holds the point and lies within
the structure. Two conventions say what a ball is:

- ``surface``: it reaches up to the structure's surface, which lies where the mask, interpolated
  linearly between voxels, is 1/2; both surface and centres are taken on a grid of half voxels.
  Plates of 1, 2, 3, 4 voxels read 1, 2, 3, 4.
- ``centre``: it reaches from the centre of a voxel to that of the nearest voxel outside, as in
  BoneJ (2 x EDT). Plates of 1, 2, 3, 4 voxels read 2, 2, 4, 4.

The image's border is no background: what goes on beyond it may be as thick as it seems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lotus.morphometry.balls import paint_balls
from lotus.morphometry.distance import Squares, squared_distances
from lotus.morphometry.ridge import ridge

Convention = Literal["surface", "centre"]
Spacing = tuple[float, float, float]
Thickness = NDArray[np.float32]
ReadMask = Callable[[int, int], NDArray[np.bool_]]

REFINEMENT: dict[Convention, int] = {"surface": 2, "centre": 1}
_GRID_BYTES = 2**30
_FIRST_HALO = 16
_LEAST_BLOCK = 16


def local_thickness(
    mask: NDArray[np.bool_],
    spacing: Spacing = (1.0, 1.0, 1.0),
    *,
    convention: Convention = "surface",
) -> Thickness:
    """Local thickness of the foreground.

    Args:
        mask: Bool (Z, Y, X).
        spacing: Size of a voxel (Z, Y, X) in µm or any other unit.
        convention: See the module.

    Returns:
        float32 (Z, Y, X): the diameter at each voxel in the unit of ``spacing``, 0 in the
        background. NaN in all of a mask without background, whose thickness is not defined.

    Raises:
        ValueError: Not a 3-D mask, or a spacing that is not three positive numbers.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.thickness import local_thickness
        >>> mask = np.zeros((5, 9, 9), bool)
        >>> mask[1:3] = True
        >>> local_thickness(mask)[:, 4, 4].tolist()
        [0.0, 2.0, 2.0, 0.0, 0.0]
        >>> local_thickness(mask, (0.5, 1, 1), convention="centre").max().tolist()
        1.0
    """
    if mask.ndim != 3 or mask.dtype != np.bool_:
        raise ValueError(f"a bool mask (Z, Y, X) is expected, not {mask.dtype} {mask.shape}")
    blocks = thickness_blocks(
        lambda first, last: mask[first:last], mask.shape, spacing, convention=convention
    )
    found = np.empty(mask.shape, np.float32)
    for first, block in blocks:
        found[first : first + len(block)] = block
    return found


def thickness_blocks(
    read: ReadMask,
    shape: tuple[int, ...],
    spacing: Spacing,
    *,
    convention: Convention = "surface",
    block: int | None = None,
) -> Iterator[tuple[int, Thickness]]:
    """Local thickness of a volume larger than memory, a block of slices after the other.

    A block is worked on with a halo of slices, which grows until every ball that reaches into the
    block is known whole. So the result is that of the whole volume, to the bit.

    Args:
        read: Gives the mask (Z, Y, X) from a slice to before another.
        shape: (Z, Y, X) of the volume.
        spacing: Size of a voxel (Z, Y, X).
        convention: See the module.
        block: Slices of a block; by default such that a grid of distances takes about a gigabyte.

    Yields:
        Number of the first slice and thickness of each block, as :func:`local_thickness` has it.

    Raises:
        ValueError: A spacing that is not three positive numbers, or a block of no slice.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.thickness import local_thickness, thickness_blocks
        >>> mask = np.random.default_rng(0).random((9, 8, 8)) < 0.9
        >>> blocks = thickness_blocks(lambda a, b: mask[a:b], mask.shape, (1, 1, 1), block=4)
        >>> np.array_equal(np.concatenate([block for _, block in blocks]), local_thickness(mask))
        True
    """
    if len(spacing) != 3 or not all(0 < size < math.inf for size in spacing):
        raise ValueError(f"the voxel size is {spacing}; three positive numbers are expected")
    if block is not None and block < 1:
        raise ValueError(f"blocks of {block} slices are asked for; at least 1 is needed")
    depth, halo = shape[0], _FIRST_HALO
    refinement = REFINEMENT[convention]
    first = 0
    while first < depth:
        size = block or _block_size(shape, refinement, halo)
        last = min(first + size, depth)
        while True:
            start, stop = max(first - halo, 0), min(last + halo, depth)
            window = _Window(read(start, stop), spacing, refinement, first - start, last - start)
            if window.is_certain(start == 0, stop == depth):
                break
            halo *= 2
        yield first, window.thickness()
        first = last


class _Window:
    """A block of slices with its halo.

    Args:
        mask: Bool (Z, Y, X), of the block and its halo.
        spacing: Size of a voxel.
        refinement: Of the grid that centres of balls lie on.
        first: First slice of the block in the mask.
        last: The slice after its last.
    """

    def __init__(
        self, mask: NDArray[np.bool_], spacing: Spacing, refinement: int, first: int, last: int
    ) -> None:
        self._refinement = refinement
        self._mask = mask[first:last]
        self._first, self._last = first * refinement, (last - 1) * refinement
        # In units of the shortest step, cubes have whole squares, which float32 holds exactly.
        self._unit = min(spacing) / refinement
        depth, height, width = spacing
        shortest = min(spacing)
        self._steps = (depth / shortest, height / shortest, width / shortest)
        self._squares: Squares = squared_distances(mask, self._steps, refinement=refinement)
        self._largest = self._squares.max(axis=(1, 2))

    def is_certain(self, at_start: bool, at_stop: bool) -> bool:
        """Whether slices beyond the halo cannot change the block.

        Args:
            at_start: The volume begins where the mask begins.
            at_stop: It ends where the mask ends.
        """
        planes = np.arange(len(self._squares))
        # A distance is exact if background beyond the mask cannot be nearer.
        known = np.minimum(
            np.inf if at_start else planes + 1.0, np.inf if at_stop else planes[::-1] + 1.0
        )
        outside = np.maximum(np.maximum(self._first - planes, planes - self._last), 0)
        needed = np.maximum(known, outside) * self._steps[0]
        return bool(np.all((self._largest <= needed**2) | np.isinf(known)))

    def thickness(self) -> Thickness:
        """Thickness (Z, Y, X) of the block."""
        largest = float(self._largest.max())
        if math.isinf(largest):
            return np.full(self._mask.shape, np.nan, np.float32)
        # Balls around points farther away than the largest radius do not reach the block.
        reach = int(math.sqrt(largest) / self._steps[0]) + 1
        nearest = max(self._first - reach, 0)
        farthest = min(self._last + reach + 1, len(self._squares))
        balls = ridge(self._squares, self._steps, self._refinement, nearest, farthest)
        first = self._first // self._refinement
        painted = paint_balls(balls, self._steps, self._refinement, self._mask, first)
        return np.asarray(2.0 * self._unit * np.sqrt(painted), np.float32)


def _block_size(shape: tuple[int, ...], refinement: int, halo: int) -> int:
    """Slices of a block whose grid of distances, halo included, takes ``_GRID_BYTES``."""
    per_slice = 4 * refinement**3 * shape[1] * shape[2]
    return max(_GRID_BYTES // per_slice - 2 * halo, _LEAST_BLOCK)
