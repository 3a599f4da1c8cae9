"""Local thickness of a volume, written as a volume while it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lotus.atomic import hidden_folder
from lotus.imaging.volume_stores import volume_store
from lotus.measurement.volume import LabelVolume
from lotus.morphometry.thickness import Convention, Thickness, thickness_blocks

Voxel = TypeVar("Voxel", bound=np.generic)

THICKNESS_MAP = "thickness.ome.zarr"


def written_thickness(
    folder: Path,
    volume: LabelVolume,
    read: Callable[[int, int], NDArray[np.bool_]],
    convention: Convention,
) -> Iterator[tuple[int, Thickness]]:
    """Measure local thickness block by block, and leave its map beside the tables.

    The map has the thickness at every voxel in µm, or voxels where their size is not known, and 0
    outside. It appears once the last block is measured.

    Args:
        folder: Gets ``thickness.ome.zarr``; made if it is not there.
        volume: Of which shape and size of a voxel are taken.
        read: Gives the mask (Z, Y, X) from one slice to before another.
        convention: See :mod:`lotus.morphometry.thickness`.

    Yields:
        Number of the first slice and thickness (Z, Y, X) of each block.
    """
    spacing = volume.scale.spacing_um or (None, None, None)
    folder.mkdir(parents=True, exist_ok=True)
    with hidden_folder(folder) as hidden:
        name = THICKNESS_MAP
        store = volume_store(folder / name, hidden / name, volume.shape, np.float32, spacing)
        store.begin()
        measured = thickness_blocks(read, volume.shape, volume.scale.spacing, convention=convention)
        for start, block in blocks_of(store.depth, measured):
            store.write(start, block)
            yield start, block
        store.finish()


def blocks_of(
    depth: int, parts: Iterable[tuple[int, NDArray[Voxel]]]
) -> Iterator[tuple[int, NDArray[Voxel]]]:
    """Slices that come in parts of any size, as blocks of the same number of slices.

    Args:
        depth: Slices of a block; the last one may have fewer.
        parts: Number of the first slice and slices (Z, Y, X), one part after another.

    Yields:
        Number of the first slice and slices of each block.
    """
    first, waiting = 0, None
    for _, part in parts:
        waiting = part if waiting is None else np.concatenate([waiting, part])
        while len(waiting) >= depth:
            yield first, waiting[:depth]
            first, waiting = first + depth, waiting[depth:]
    if waiting is not None and len(waiting):
        yield first, waiting
