"""Tiles of a ROI image: every region gives its four quadrants and a crop of its centre.

LeJEPA for bone histomorphometry (Gokmen, Collier, Bumgardner, Lima): tiles of 224 px from regions
of 448 px, without those that are nearly empty.
"""

import numpy as np
from numpy.typing import NDArray

REGION = 448
TILE = REGION // 2


def tile_corners(height: int, width: int, region: int = REGION) -> NDArray[np.int64]:
    """First pixels of all tiles of an image: five of each region, side ``region // 2``.

    Regions lie side by side from the upper left. The last of a row or a column ends at the edge of
    the image and so overlaps the one before: every pixel is in a tile, and no tile leaves the
    image. Where the image is shorter than a region, so is the region: its quadrants overlap. A tile
    that comes up twice is listed once.

    Args:
        height: Y of the image in pixels.
        width: X of the image in pixels.
        region: Side of a region in pixels, even.

    Returns:
        int64 (N, 2), (y, x), region by region in rows: upper left, upper right, lower left and
        lower right quadrant, centre.

    Raises:
        ValueError: The region is odd or not positive, or the image smaller than a tile.
    """
    if region < 2 or region % 2:
        raise ValueError(f"the region is {region} px; expected an even number, twice the tile")
    tile = region // 2
    if min(height, width) < tile:
        raise ValueError(
            f"the image is {height} x {width} px; expected at least a tile of {tile} x {tile} px"
        )
    found = [
        corner
        for top, bottom in _quadrants(height, region)
        for left, right in _quadrants(width, region)
        for corner in (
            *((top, left), (top, right), (bottom, left), (bottom, right)),
            ((top + bottom) // 2, (left + right) // 2),
        )
    ]
    return np.array(list(dict.fromkeys(found)), np.int64)


def _quadrants(length: int, region: int) -> list[tuple[int, int]]:
    """First pixels of the two quadrants along an axis, of each region."""
    side, tile = min(region, length), region // 2
    starts = [*range(0, length - side, side), length - side]
    return [(start, start + side - tile) for start in starts]
