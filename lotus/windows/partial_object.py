"""The pixels of an object that has not ended yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LARGEST_BOX = 2**24
"""Of an object whose bounding box has more pixels than this, only sums are kept."""

Box = tuple[int, int, int, int]
"""First row, first column, last row + 1, last column + 1 in the image."""


@dataclass
class PartialObject:
    """An object, or what was seen of it so far.

    Attributes:
        box: Bounding box of the pixels.
        sums: float64 (3 + V,): pixels, sum of rows, sum of columns, sums of V values.
        masks: First row, first column and pixels (Y, X) of the pieces; none if ``is_large``.
        is_large: The bounding box exceeds ``LARGEST_BOX``.
    """

    box: Box
    sums: NDArray[np.float64]
    masks: list[tuple[int, int, NDArray[np.bool_]]] = field(default_factory=list)
    is_large: bool = False

    @property
    def pixels(self) -> int:
        """Area in pixels."""
        return int(self.sums[0])

    @property
    def means(self) -> NDArray[np.float64]:
        """(2 + V,): mean row, mean column, means of the values."""
        means: NDArray[np.float64] = self.sums[1:] / self.sums[0]
        return means

    def merge(self, other: PartialObject) -> None:
        """Add another part of the same object."""
        (top, left, bottom, right), more = self.box, other.box
        top, left = min(top, more[0]), min(left, more[1])
        bottom, right = max(bottom, more[2]), max(right, more[3])
        self.box = (top, left, bottom, right)
        self.sums = self.sums + other.sums
        large = (bottom - top) * (right - left) > LARGEST_BOX
        self.is_large = self.is_large or other.is_large or large
        self.masks = [] if self.is_large else self.masks + other.masks

    def paste(self, canvas: NDArray[np.int32], offset_yx: tuple[int, int], number: int) -> None:
        """Draw the object into a label map that starts at ``offset_yx``."""
        for y, x, mask in self.masks:
            top, left = y - offset_yx[0], x - offset_yx[1]
            canvas[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = number


def partial_object(
    mask: NDArray[np.bool_], values: NDArray[np.float32], offset_yx: tuple[int, int]
) -> PartialObject:
    """The part that one mask shows.

    Args:
        mask: (Y, X), not empty; its bounding box.
        values: (V, Y, X) to sum over the pixels.
        offset_yx: Where the mask's first pixel lies in the image.
    """
    (y, x), (height, width) = offset_yx, mask.shape
    pixels = np.count_nonzero(mask)
    rows = np.arange(y, y + height) @ mask.sum(axis=1)
    columns = np.arange(x, x + width) @ mask.sum(axis=0)
    sums = [pixels, rows, columns, *values[:, mask].sum(axis=1, dtype=np.float64)]
    return PartialObject((y, x, y + height, x + width), np.array(sums, np.float64), [(y, x, mask)])
