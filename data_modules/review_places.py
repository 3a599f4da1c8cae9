"""The patches in which pseudo-labels are judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from data_modules.manifest import Record
from data_modules.patches import read_patches
from data_modules.review import Place
from lotus.imaging import read_label_map, read_size
from lotus.transforms.patches import PATCH_SIZE, bone_fractions, patch_grid


def table_places(path: Path, records: Sequence[Record]) -> dict[str, list[Place]]:
    """The patches of a table of `lotus patches`.

    Args:
        path: The table.
        records: All of one modality; the table may leave some of them out.

    Returns:
        The patches of each image that has some, by its name.

    Raises:
        FileNotFoundError: There is no such table.
        ValueError: It does not fit the images.
    """
    return {
        name: [Place(name, y, x, own.size) for y, x in own.corners.tolist()]
        for name, own in read_patches(path, records).items()
    }


def grid_places(records: Iterable[Record], size: int = PATCH_SIZE) -> dict[str, list[Place]]:
    """Patches side by side over each image, without those in which there is no tissue.

    Args:
        records: Of one modality; where one has no mask of its tissue, all patches count.
        size: Side of a patch in pixels.

    Returns:
        The patches of each image, by its name.

    Raises:
        ValueError: An image is smaller than a patch.
    """
    return {record.name: _on_grid(record, size) for record in records}


def _on_grid(record: Record, size: int) -> list[Place]:
    try:
        corners = patch_grid(read_size(record.image), size=size, stride=size)
    except ValueError as error:
        raise ValueError(f"{record.image}: {error}; give a smaller --patch-size") from error
    if record.tissue is not None:
        tissue = read_label_map(record.tissue) > 0
        corners = corners[bone_fractions(tissue, size=size, stride=size) > 0]
    return [Place(record.name, y, x, size) for y, x in np.asarray(corners).tolist()]
