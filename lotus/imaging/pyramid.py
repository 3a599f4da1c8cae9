"""How a chunked volume is divided: blocks that one process writes, chunks, and coarser levels.

A block is a number of slices that is a power of two. Each level of the pyramid halves it along with
the volume, until one slice of it is left; so a block is whole chunks at every level, and processes
that write different blocks never touch the same chunk or shard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.imaging.voxels import Shape

DEEPEST = 32
"""Slices of a block at most: few enough that some hundred slices are work for several processes."""
BLOCK_VOXELS = 2**26
"""Voxels of a block at most, as long as it has more than one slice: what a writer holds."""
EDGE = 128
"""Side (Y, X) of a chunk in voxels."""
SHALLOW, SHALLOW_EDGE = 16, 256
"""Chunks of fewer slices than this have longer sides, so that files do not become too many."""
SMALLEST_LEVEL = 256
"""The pyramid ends with the level whose longest side is no longer than this."""


def block_depth(shape: Shape) -> int:
    """How many slices of a volume are written at a time: a power of two.

    Args:
        shape: (Z, Y, X) in voxels.
    """
    depth = DEEPEST
    while depth > 1 and depth * shape[1] * shape[2] > BLOCK_VOXELS:
        depth //= 2
    return depth


@dataclass(frozen=True)
class Level:
    """One resolution of a volume.

    Attributes:
        shape: (Z, Y, X) in voxels.
        factors: Voxels of the finest level along (Z, Y, X) that one of its own stands for.
        chunk: (Z, Y, X) of a chunk.
        shard: (Z, Y, X) of a file that holds many: a block of whole slices.
    """

    shape: Shape
    factors: Shape
    chunk: Shape
    shard: Shape


def levels_of(shape: Shape, depth: int) -> list[Level]:
    """The levels of a volume, finest first.

    Args:
        shape: (Z, Y, X) in voxels.
        depth: Slices of a block, a power of two.
    """
    levels = [_level(shape, depth, 0)]
    while _longest(levels[-1], depth) > SMALLEST_LEVEL:
        levels.append(_level(shape, depth, len(levels)))
    return levels


def coarser(block: NDArray[Any], *, is_label: bool) -> NDArray[Any]:
    """A block at the next level: the mean of 2 x 2 x 2 grey values, every second label.

    Args:
        block: (Z, Y, X); a block of one slice keeps it. The last of an odd number counts twice.
        is_label: Whether values are names, which have no mean.
    """
    steps = tuple(2 if axis or block.shape[0] > 1 else 1 for axis in range(3))
    if is_label:
        return block[tuple(slice(None, None, step) for step in steps)]
    odd = [(0, side % step) for side, step in zip(block.shape, steps, strict=True)]
    padded = np.pad(block, odd, mode="edge")
    split = [
        part
        for side, step in zip(padded.shape, steps, strict=True)
        for part in (side // step, step)
    ]
    is_integer = block.dtype.kind in "iu"
    mean = padded.reshape(split).mean(axis=(1, 3, 5), dtype=np.float64 if is_integer else None)
    return np.asarray(np.rint(mean) if is_integer else mean, block.dtype)


def _level(shape: Shape, depth: int, number: int) -> Level:
    factors = (min(2**number, depth), 2**number, 2**number)
    size = [-(-side // factor) for side, factor in zip(shape, factors, strict=True)]
    slices = min(depth // factors[0], size[0])
    edge = EDGE if depth >= SHALLOW else SHALLOW_EDGE
    rows, columns = (min(edge, side) for side in size[1:])
    return Level(
        (size[0], size[1], size[2]),
        factors,
        (slices, rows, columns),
        (slices, -(-size[1] // rows) * rows, -(-size[2] // columns) * columns),
    )


def _longest(level: Level, depth: int) -> int:
    """The longest side, without that along which no level is halved further."""
    return max(level.shape[0 if level.factors[0] < depth else 1 :])
