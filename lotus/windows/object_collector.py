"""Whole objects out of bands of labels.

An object is handed out as soon as no later band can change it. Until then only its own pixels
are kept, not the rows they lie in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from lotus.masks import UnionFind
from lotus.windows.label_bands import LabelBand
from lotus.windows.object_numbers import ObjectNumbers
from lotus.windows.partial_object import PartialObject, partial_object


@dataclass(frozen=True)
class FinishedObjects:
    """Objects that are complete.

    Attributes:
        labels: int32 (Y, X) label map with final numbers; other objects are left out.
        offset_yx: Where its first pixel lies in the image.
        means: float64 (N, V), means of the band's values per object, by ascending number.
    """

    labels: NDArray[np.int32]
    offset_yx: tuple[int, int]
    means: NDArray[np.float64]


class ObjectCollector:
    """Follows objects from band to band and gives each as it ends, with its final number.

    Args:
        same: The object identities, as filled by :func:`~lotus.windows.label_bands.decode_bands`.

    Attributes:
        numbers: Those of the objects that ended so far.
        large: By final number, objects that ended and were too large to be handed out.
    """

    def __init__(self, same: UnionFind) -> None:
        self._same = same
        self._open: dict[int, PartialObject] = {}
        self.numbers = ObjectNumbers(same)
        self.large: dict[int, PartialObject] = {}

    def add(self, band: LabelBand) -> Iterator[FinishedObjects]:
        """Take the next band and give the objects that end in it.

        Args:
            band: The bands from top to bottom, each as soon as it was decoded.

        Yields:
            Label maps of complete objects, each object once.
        """
        roots = self._same.roots(band.numbers)
        ended = self.numbers.add(band)
        going_on = set(roots[band.unfinished].tolist())
        self._merge_open_objects()
        tracked = np.isin(roots, np.fromiter({*going_on, *self._open}, np.int32))
        self._add_parts(band, roots, tracked)

        size = np.bincount(band.labels.ravel(), minlength=band.count + 1)
        inside = (size > 0) & ~tracked
        inside[0] = False
        table = np.zeros(band.count + 1, np.int32)
        table[inside] = [self.numbers[root] for root in roots[inside].tolist()]
        crossing = {self.numbers[r]: self._open.pop(r) for r in ended if r in self._open}
        yield from self._canvases(band, table[band.labels], crossing)

    def _merge_open_objects(self) -> None:
        parts, self._open = self._open, {}
        for root, part in parts.items():
            self._add_part(self._same.find(root), part)

    def _add_part(self, root: int, part: PartialObject) -> None:
        if root in self._open:
            self._open[root].merge(part)
        else:
            self._open[root] = part

    def _add_parts(
        self, band: LabelBand, roots: NDArray[np.int32], tracked: NDArray[np.bool_]
    ) -> None:
        """Cut the pixels of objects that cross the band's border out of the band."""
        if not band.labels.size:
            return
        names, position = np.unique(roots[tracked], return_inverse=True)
        table = np.zeros(band.count + 1, np.int32)
        table[tracked] = 1 + position
        objects = table[band.labels]
        for index, box in enumerate(find_objects(objects)):
            if box is not None:
                mask: NDArray[np.bool_] = objects[box] == index + 1
                offset = (band.start + box[0].start, box[1].start)
                self._add_part(
                    int(names[index]), partial_object(mask, band.values[:, *box], offset)
                )

    def _canvases(
        self, band: LabelBand, inside: NDArray[np.int32], crossing: dict[int, PartialObject]
    ) -> Iterator[FinishedObjects]:
        """One label map of the band and a little above it, and one for each taller object."""
        reach = band.start - len(inside)
        near: dict[int, PartialObject] = {}
        for number, part in crossing.items():
            if part.is_large:
                self.large[number] = part
            elif part.box[0] >= reach:
                near[number] = part
            else:
                top, left, bottom, right = part.box
                canvas = np.zeros((bottom - top, right - left), np.int32)
                part.paste(canvas, (top, left), number)
                yield FinishedObjects(canvas, (top, left), part.means[None, 2:])
        top = min([band.start, *(part.box[0] for part in near.values())])
        canvas = np.zeros((band.start - top + len(inside), inside.shape[1]), np.int32)
        canvas[band.start - top :] = inside
        for number, part in near.items():
            part.paste(canvas, (top, 0), number)
        means = _means(inside, band.values) | {n: part.means[2:] for n, part in near.items()}
        if means:
            yield FinishedObjects(canvas, (top, 0), np.stack([means[n] for n in sorted(means)]))


def _means(
    labels: NDArray[np.int32], values: NDArray[np.float32]
) -> dict[int, NDArray[np.float64]]:
    """Mean of each of the values (V, Y, X) over each label; background is left out."""
    pixel = np.flatnonzero(labels)
    numbers, index = np.unique(labels.ravel()[pixel], return_inverse=True)
    sums = [np.bincount(index, value.ravel()[pixel], len(numbers)) for value in values]
    means = np.stack(sums, axis=1) / np.bincount(index, minlength=len(numbers))[:, None]
    return dict(zip(numbers.tolist(), means, strict=True))
