"""Whole objects out of bands of labels.

An object is handed out as soon as no later band can change it. Until then only its own pixels
are kept, not the rows they lie in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from lotus.inference.decoding import LabelBand, SameObject

LARGEST_BOX = 2**25
"""An object whose bounding box has more pixels than this is not kept for measuring."""


@dataclass(frozen=True)
class FinishedObjects:
    """Objects that are complete.

    Attributes:
        labels: int32 (Y, X) label map with final numbers; other objects are left out.
        offset_yx: where its first pixel lies in the image.
    """

    labels: NDArray[np.int32]
    offset_yx: tuple[int, int]


@dataclass(frozen=True)
class LargeObject:
    """An object too large to be kept; only sums over its pixels are known.

    Attributes:
        number: final number.
        pixels: its area.
        centroid_yx: mean row and column in the image.
    """

    number: int
    pixels: int
    centroid_yx: tuple[float, float]


@dataclass
class _Part:
    """Parts of one object: masks and where they lie, box and sums of coordinates."""

    masks: list[tuple[int, int, NDArray[np.bool_]]] = field(default_factory=list)
    box: tuple[int, int, int, int] = (2**62, 2**62, 0, 0)
    pixels: int = 0
    moment: tuple[int, int] = (0, 0)
    too_large: bool = False

    @classmethod
    def of_mask(cls, y: int, x: int, mask: NDArray[np.bool_]) -> _Part:
        """A part that has the one mask, placed at (y, x)."""
        rows, columns = np.nonzero(mask)
        pixels = len(rows)
        moment = (int(rows.sum()) + y * pixels, int(columns.sum()) + x * pixels)
        box = (y, x, y + mask.shape[0], x + mask.shape[1])
        return cls([(y, x, mask)], box, pixels, moment)

    def merge(self, other: _Part) -> None:
        """Add another part of the same object; forget the masks if the object is too large."""
        (top, left, bottom, right), more = self.box, other.box
        self.box = (
            min(top, more[0]),
            min(left, more[1]),
            max(bottom, more[2]),
            max(right, more[3]),
        )
        self.pixels += other.pixels
        self.moment = (self.moment[0] + other.moment[0], self.moment[1] + other.moment[1])
        area = (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])
        self.too_large |= other.too_large or area > LARGEST_BOX
        self.masks = [] if self.too_large else self.masks + other.masks

    def paste(self, canvas: NDArray[np.int32], offset_yx: tuple[int, int], number: int) -> None:
        """Draw the object into a label map that starts at ``offset_yx``."""
        for y, x, mask in self.masks:
            top, left = y - offset_yx[0], x - offset_yx[1]
            window = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
            window[mask] = number


class ObjectCollector:
    """Follows objects from band to band and numbers them 1, 2, ... as they end.

    Args:
        same: the object identities, as filled by :func:`~lotus.inference.decoding.decode_bands`.
    """

    def __init__(self, same: SameObject) -> None:
        """Start above the first band."""
        self._same = same
        self._open: dict[int, _Part] = {}
        self._number: dict[int, int] = {}
        self.large: list[LargeObject] = []

    @property
    def count(self) -> int:
        """Objects finished so far."""
        return len(self._number)

    def final_labels(self, band: LabelBand) -> NDArray[np.int32]:
        """The label map (rows, X) of a band with final numbers, once all bands were added."""
        roots = self._same.roots(band.numbers)
        table = np.fromiter((self._number.get(r, 0) for r in roots.tolist()), np.int32, len(roots))
        return table[band.labels]

    def add(self, band: LabelBand) -> Iterator[FinishedObjects]:
        """Take the next band and give the objects that end in it.

        Args:
            band: the bands from top to bottom, each as soon as it was decoded.

        Yields:
            Label maps of complete objects, each object once.
        """
        roots = self._same.roots(band.numbers)
        going_on = set(roots[band.unfinished].tolist())
        self._open = self._merged_open_objects()
        tracked = np.isin(roots, np.fromiter({*going_on, *self._open}, np.int32))
        self._add_parts(band, roots, tracked)

        inside = np.bincount(band.labels.ravel(), minlength=band.count + 1) > 0
        inside[0] = False
        inside &= ~tracked
        ended = sorted({*self._open, *roots[inside].tolist()} - going_on)
        for number, root in enumerate(ended, start=self.count + 1):
            self._number[root] = number
        table = np.zeros(band.count + 1, np.int32)
        table[inside] = [self._number[root] for root in roots[inside].tolist()]
        crossing = {self._number[r]: self._open.pop(r) for r in ended if r in self._open}
        yield from self._canvases(band, table[band.labels], crossing)

    def _merged_open_objects(self) -> dict[int, _Part]:
        merged: dict[int, _Part] = {}
        for root, part in self._open.items():
            merged.setdefault(self._same.find(root), _Part()).merge(part)
        return merged

    def _add_parts(
        self, band: LabelBand, roots: NDArray[np.int32], tracked: NDArray[np.bool_]
    ) -> None:
        """Cut the pixels of objects that cross the band's border out of the band."""
        names, index = np.unique(roots[tracked], return_inverse=True)
        table = np.zeros(band.count + 1, np.int32)
        table[tracked] = 1 + index
        table[0] = 0
        if not table.any():
            return
        objects = table[band.labels]
        for position, box in enumerate(find_objects(objects)):
            if box is not None:
                mask: NDArray[np.bool_] = objects[box] == position + 1
                part = _Part.of_mask(band.start + box[0].start, box[1].start, mask)
                self._open.setdefault(int(names[position]), _Part()).merge(part)

    def _canvases(
        self, band: LabelBand, inside: NDArray[np.int32], crossing: dict[int, _Part]
    ) -> Iterator[FinishedObjects]:
        """One label map of the band and a little above it, and one for each taller object."""
        reach = band.start - len(inside)
        near: dict[int, _Part] = {}
        for number, part in crossing.items():
            if part.too_large:
                centroid = (part.moment[0] / part.pixels, part.moment[1] / part.pixels)
                self.large.append(LargeObject(number, part.pixels, centroid))
            elif part.box[0] >= reach:
                near[number] = part
            else:
                top, left, bottom, right = part.box
                canvas = np.zeros((bottom - top, right - left), np.int32)
                part.paste(canvas, (top, left), number)
                yield FinishedObjects(canvas, (top, left))
        top = min([band.start, *(part.box[0] for part in near.values())])
        above = np.zeros((band.start - top, inside.shape[1]), np.int32)
        canvas = np.concatenate((above, inside))
        for number, part in near.items():
            part.paste(canvas, (top, 0), number)
        if canvas.any():
            yield FinishedObjects(canvas, (top, 0))
