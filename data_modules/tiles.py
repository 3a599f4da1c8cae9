"""The tiles of ROI images that show tissue: where they lie, found in pixels or read from a table.

A table of tiles is one of patches (see :mod:`data_modules.patches`), with the share of tissue of
each tile in the column ``bone_fraction``; there is one table per modality.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_modules.manifest import Record
from data_modules.patches import SlicePatches
from lotus.imaging.raster import read_image
from lotus.transforms.patches import enough_bone
from lotus.transforms.tiles import REGION, TILE, tile_corners, tissue_mask, window_shares

__all__ = ["MINIMUM_TISSUE", "REGION", "TILE", "choose_tiles", "tile_corners", "tiles_of"]

MINIMUM_TISSUE = 0.05
"""Least share of tissue in a tile that is not nearly empty."""
SEEN = 64
"""Rows and columns of a tile, at least, that its share of tissue is taken from."""


def choose_tiles(
    image: NDArray[Any], *, region: int = REGION, minimum_tissue: float = MINIMUM_TISSUE
) -> SlicePatches:
    """The tiles of an image that are not nearly empty, or the fullest one if all are.

    Args:
        image: (C, Y, X) of any real type.
        region: Side in pixels of the regions that give five tiles each; see
            :func:`lotus.transforms.tiles.tile_corners`.
        minimum_tissue: Least share of tissue in a tile, in [0, 1]; see
            :func:`lotus.transforms.tiles.tissue_mask`.

    Returns:
        The tiles, region by region, and the share of tissue in each.

    Raises:
        ValueError: The image is smaller than a tile, or the region not even.
    """
    _, height, width = image.shape
    corners, tile = tile_corners(height, width, region=region), region // 2
    step = max(tile // SEEN, 1)
    tissue = tissue_mask(image[:, ::step, ::step])
    shares = window_shares(tissue, corners // step, tile // step)
    kept = enough_bone(shares, minimum_tissue)
    return SlicePatches(corners[kept], tile, shares[kept])


def tiles_of(
    record: Record, *, region: int = REGION, minimum_tissue: float = MINIMUM_TISSUE
) -> SlicePatches:
    """The tiles of an image file; see :func:`choose_tiles`.

    Args:
        record: A row of the manifest.
        region: Side of a region in pixels.
        minimum_tissue: Least share of tissue in a tile, in [0, 1].

    Raises:
        ValueError: The image cannot be read or is smaller than a tile; names the file.
    """
    channels = np.moveaxis(np.atleast_3d(read_image(record.image).array), -1, 0)
    try:
        return choose_tiles(channels, region=region, minimum_tissue=minimum_tissue)
    except ValueError as error:
        raise ValueError(f"{record.image}: {error}") from error
