"""Tiles of a ROI image: every region gives its four quadrants and a crop of its centre.

LeJEPA for bone histomorphometry (Gokmen, Collier, Bumgardner, Lima): tiles of 224 px from regions
of 448 px, without those that are nearly empty.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

REGION = 448
TILE = REGION // 2
LIMITS = (0.1, 99.9)
"""Percentiles between which an image goes from black to white."""
BLACK, WHITE = 0.1, 0.2
"""How near to black or white, in shares of that range, a pixel is blank. Bone's own fluorescence is
faint beside that of labels; transmitted light is uneven, and stains absorb one colour strongly."""
SEEN = 256
"""Rows and columns, at least, at which the percentiles look; they change little with more."""


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


def tissue_mask(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an image is neither black, as a dark field is, nor white, as an empty slide is.

    Black and white are percentiles of the image itself, so that its type and its exposure do not
    matter. Only colours can be white, where all of them are bright: the brightest places of a grey
    image, or of one whose channels are equal, are fluorescent. A constant image has no tissue.

    Args:
        image: (C, Y, X) of any real type; the channels are looked at together.

    Returns:
        Bool (Y, X); False where a value is not finite.
    """
    step = max(min(image.shape[1:]) // SEEN, 1)
    seen = image[:, ::step, ::step]
    finite = seen[np.isfinite(seen)]
    low, high = np.percentile(finite, LIMITS) if finite.size else (0.0, 0.0)
    # Channel by channel: a reduction over so short an axis is slow where channels come last.
    brightest = image[0]
    for channel in image[1:]:
        brightest = np.maximum(brightest, channel)
    tissue: NDArray[np.bool_] = (brightest > low + BLACK * (high - low)) & (brightest < np.inf)
    if (seen == seen[:1]).all():
        return tissue
    darkest = image[0]
    for channel in image[1:]:
        darkest = np.minimum(darkest, channel)
    coloured: NDArray[np.bool_] = darkest < high - WHITE * (high - low)
    return tissue & coloured


def window_shares(
    mask: NDArray[np.bool_], corners: NDArray[np.int64], size: int
) -> NDArray[np.float64]:
    """Share of a mask in each of some windows.

    Args:
        mask: Bool (Y, X).
        corners: int64 (N, 2), first pixel (y, x) of each window; all lie within the mask.
        size: Side of the windows in pixels.

    Returns:
        Float64 (N,) in [0, 1].
    """
    counts = [np.count_nonzero(mask[y : y + size, x : x + size]) for y, x in corners.tolist()]
    return np.array(counts, np.float64) / size**2


def _quadrants(length: int, region: int) -> list[tuple[int, int]]:
    """First pixels of the two quadrants along an axis, of each region."""
    side, tile = min(region, length), region // 2
    starts = [*range(0, length - side, side), length - side]
    return [(start, start + side - tile) for start in starts]
