"""Connected components of volumes that do not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.masks.components import connected_components
from lotus.masks.moments import Moments, joined_moments, object_moments
from lotus.masks.union_find import UnionFind

Read = Callable[[int, int], NDArray[Any]]
"""Gives the slices (Z, Y, X) from one number up to, not including, another one."""


@dataclass(frozen=True)
class BlockComponents:
    """Components of a volume whose label map is made block by block, whenever it is asked for.

    Attributes:
        moments: Of the components 1 to N.
        read: Gives slices of the mask.
        depth: Number of slices.
        block_depth: Slices of a block; the last one may have fewer.
        numbers: Per block, the component (M + 1,) that each of its own components is part of;
            0 = background or too small.
    """

    moments: Moments
    read: Read
    depth: int
    block_depth: int
    numbers: list[NDArray[np.int32]]

    def blocks(self) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """The number of the first slice and the label map (Z, Y, X) of every block, in order."""
        for start, numbers in zip(
            range(0, self.depth, self.block_depth), self.numbers, strict=True
        ):
            stop = min(start + self.block_depth, self.depth)
            yield start, numbers[connected_components(self.read(start, stop))]


def label_in_blocks(
    read: Read, depth: int, *, block_depth: int = 64, minimum_size: int = 0
) -> BlockComponents:
    """Number the 26-connected components of a mask that is read in blocks of slices.

    Every block is labelled by itself, what touches across a face between two blocks is united, and
    a second pass over the mask gives the final labels. They are those that
    :func:`~lotus.masks.connected_components` gives the whole volume: by the first voxel of each
    component in the order of the array, without gaps. Memory holds one block.

    Args:
        read: ``read(start, stop)`` gives the slices (Z, Y, X) of the mask; non-zero is foreground.
        depth: Number of slices.
        block_depth: Slices of a block.
        minimum_size: Components of fewer voxels are left out.

    Returns:
        The components: their exact moments, and the label map block by block.

    Raises:
        ValueError: A block has less than one slice.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import label_in_blocks
        >>> mask = np.zeros((5, 3, 3), int)
        >>> mask[0, 0, 2] = mask[1, 0, 0] = mask[2, 1, 1] = mask[4, 2, 2] = 1
        >>> components = label_in_blocks(lambda a, b: mask[a:b], 5, block_depth=2)
        >>> components.moments.count.tolist()
        [1, 2, 1]
        >>> [(start, sorted(set(labels.ravel().tolist()))) for start, labels in components.blocks()]
        [(0, [0, 1, 2]), (2, [0, 2]), (4, [0, 3])]
    """
    if block_depth < 1:
        raise ValueError(f"a block has {block_depth} slices; at least 1 is expected")
    same = UnionFind()
    parts: list[Moments] = []
    above: NDArray[np.int32] | None = None
    for start in range(0, depth, block_depth):
        labels = connected_components(read(start, min(start + block_depth, depth)))
        count, offset = int(labels.max(initial=0)), len(same) - 1
        same.extend(count)
        parts.append(object_moments(labels, count, start))
        top, bottom = (np.where(plane > 0, plane + offset, 0) for plane in labels[[0, -1]])
        if above is not None:
            for first, second in _touching(above, top):
                same.unite(first, second)
        above = bottom
    # A component is called by its first voxel's number, so that order is kept.
    roots = same.roots(np.arange(len(same), dtype=np.int32))
    sizes = np.zeros(len(roots), np.int64)
    moments = joined_moments(parts)
    np.add.at(sizes, roots[1:], moments.count)
    is_kept = (sizes > 0) & (sizes >= minimum_size)
    final = np.where(is_kept, np.cumsum(is_kept), 0).astype(np.int32)[roots]
    blocks = np.split(final[1:], np.cumsum([len(part) for part in parts])[:-1])
    return BlockComponents(
        moments=moments.renumbered(final[1:], int(is_kept.sum())),
        read=read,
        depth=depth,
        block_depth=block_depth,
        numbers=[np.concatenate(([np.int32(0)], numbers)) for numbers in blocks],
    )


def _touching(above: NDArray[np.int32], below: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Pairs of labels in neighbouring slices that touch by faces, edges or corners of voxels."""
    height, width = below.shape
    padded = np.pad(above, 1)
    pairs = []
    for dy, dx in np.ndindex(3, 3):
        moved = padded[dy : dy + height, dx : dx + width]
        both = (moved > 0) & (below > 0)
        pairs.append(np.unique(np.stack([moved[both], below[both]], axis=1), axis=0))
    unique = np.unique(np.concatenate(pairs), axis=0)
    return [(int(first), int(second)) for first, second in unique]
