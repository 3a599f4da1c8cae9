"""Objects of a probability map that arrives in bands of rows.

Each band is decoded together with a halo of rows above and below. Where two neighbouring bands
overlap, both saw the same pixels, so pieces of objects that coincide there are one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from lotus.masks import UnionFind
from lotus.schemes import InstanceScheme


@dataclass(frozen=True)
class LabelBand:
    """Objects in a band of rows.

    Over the whole image, label ``n`` of this band has the provisional number ``offset + n``.

    Attributes:
        start: First row of the band in the image.
        labels: int32 (rows, X), 0 is background.
        values: float32 (K, rows, X), the foreground probability and then the probabilities of the
            network's outputs but the first.
        count: Labels run up to this number; some may have no pixel in the band.
        offset: See above.
        unfinished: Sorted labels (N,) whose object may go on in the next band.
    """

    start: int
    labels: NDArray[np.int32]
    values: NDArray[np.float32]
    count: int
    offset: int
    unfinished: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuse bands of a volume.

        Raises:
            ValueError: Labels are not (rows, X), or values not (K, rows, X).
        """
        if self.labels.ndim != 2 or self.values.ndim != 3:
            raise ValueError(
                f"a band has labels {self.labels.shape} and values {self.values.shape}; (rows, X) "
                "and (K, rows, X) are expected"
            )

    @property
    def numbers(self) -> NDArray[np.int32]:
        """Provisional numbers (count + 1,) by label; the background's is 0."""
        numbers = np.arange(self.offset, self.offset + self.count + 1, dtype=np.int32)
        numbers[0] = 0
        return numbers


def decode_bands(
    bands: Iterable[NDArray[np.float32]],
    scheme: InstanceScheme,
    *,
    height: int,
    halo: int,
    same: UnionFind,
) -> Iterator[LabelBand]:
    """Decode a probability map from top to bottom in memory for a few bands.

    For connected components the result equals that of the whole map, however large the objects,
    as long as ``halo`` is at least the scheme's minimum size (a component that crosses the halo
    has a pixel in each of its rows; with a smaller halo only thin ends of that few pixels can be
    lost). For a watershed it is equal except where the cut changes the flooding, for flows as long
    as no object goes on for more than ``halo`` beyond its band.

    Args:
        bands: Probabilities (K, rows, X) from top to bottom.
        scheme: Finds the objects of a probability map.
        height: Rows of all bands together.
        halo: Rows of context above and below a band.
        same: Receives the provisional numbers and which of them are one object. What it says of
            an object is final once none of its numbers is among those ``unfinished``.

    Yields:
        The label bands, ``halo`` rows later than the probabilities.

    Raises:
        ValueError: A band is not (K, rows, X).
    """
    held: NDArray[np.float32] | None = None
    seam: _Seam | None = None
    first, start, arrived = 0, 0, 0
    for band in bands:
        if band.ndim != 3:
            raise ValueError(f"a band has the shape {band.shape}; (K, rows, X) is expected")
        arrived += band.shape[1]
        held = band if held is None else np.concatenate((held, band), axis=1)
        stop = height if arrived == height else arrived - halo
        if stop <= start:
            continue
        labels = scheme.decode(held)
        count, offset = int(labels.max(initial=0)), len(same) - 1
        same.extend(count)
        if seam is not None:
            for upper, lower in seam.matches(labels, first).tolist():
                same.unite(seam.offset + upper, offset + lower)
        seam = _Seam.of(labels, first, offset, stop, halo)
        last_row = labels[stop - 1 - first]
        unfinished = np.unique(last_row[last_row > 0]) if stop < height else last_row[:0]
        own = slice(start - first, stop - first)
        values = np.concatenate((scheme.foreground(held[:, own])[None], held[1:, own]))
        yield LabelBand(start, labels[own], values, count, offset, unfinished)
        following = max(stop - halo, 0)
        held = held[:, following - first :]
        first, start = following, stop


@dataclass(frozen=True)
class _Seam:
    """Labels on both sides of a border, as the band above the border decodes them.

    Only the inner half of what both bands see: at the outer edge of what a band sees, the tip of
    an object that is cut off may have gone to a neighbour.

    Attributes:
        labels: (rows, X).
        first: Their first row in the image.
        border: The first row below the border.
        offset: Adds up with a label to its provisional number.
    """

    labels: NDArray[np.int32]
    first: int
    border: int
    offset: int

    @classmethod
    def of(
        cls, labels: NDArray[np.int32], first: int, offset: int, border: int, halo: int
    ) -> _Seam:
        """The seam in labels that start at row ``first``."""
        reach = max(halo // 2, 1)
        top = max(border - reach, 0)
        return cls(labels[top - first : border + reach - first], top, border, offset)

    def matches(self, labels: NDArray[np.int32], first: int) -> NDArray[np.int32]:
        """Pairs of labels here and in those of the band below, which start at row ``first``."""
        below = labels[self.first - first :][: len(self.labels)]
        return matching_labels(self.labels, below, self.border - self.first)


def matching_labels(
    before: NDArray[np.int32], after: NDArray[np.int32], border: int
) -> NDArray[np.int32]:
    """Pairs of labels in two label maps of the same pixels that mean one object across a border.

    A connected piece of ``before`` that touches the border from above and one of ``after`` that
    touches it from below match if their overlap is more than half of their union, so that pixels
    which moved from an object to its neighbour do not join the two.

    Args:
        before: (Y, X) label map, 0 is background.
        after: (Y, X) label map.
        border: The first row below the border, at least 1.

    Returns:
        (N, 2), label in ``before`` and label in ``after``.
    """
    pieces_before, label_before, size_before = _pieces(before)
    pieces_after, label_after, size_after = _pieces(after)
    above, below = np.zeros(len(size_before), np.bool_), np.zeros(len(size_after), np.bool_)
    above[pieces_before[border - 1]] = below[pieces_after[border]] = True
    above[0] = below[0] = False
    both = above[pieces_before] & below[pieces_after]
    pair = pieces_before[both].astype(np.int64) * len(size_after) + pieces_after[both]
    pair, overlap = np.unique(pair, return_counts=True)
    upper, lower = np.divmod(pair, len(size_after))
    union = size_before[upper] + size_after[lower] - overlap
    matches = 2 * overlap > union
    return np.stack((label_before[upper[matches]], label_after[lower[matches]]), axis=1)


def _pieces(
    labels: NDArray[np.int32],
) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]:
    """8-connected pieces (Y, X) of each label, and the label and the size of each piece."""
    pieces = np.asarray(cc3d.connected_components(labels, connectivity=8))
    sizes = np.bincount(pieces.ravel())
    label_of = np.zeros(len(sizes), np.int32)
    label_of[pieces.ravel()] = labels.ravel()
    return pieces, label_of, sizes
