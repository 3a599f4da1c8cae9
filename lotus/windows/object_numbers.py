"""The final numbers of objects in bands of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lotus.masks import UnionFind
from lotus.windows.label_bands import LabelBand


class ObjectNumbers:
    """Numbers objects 1, 2, ... as they end from band to band.

    Args:
        same: The object identities, as filled by :func:`~lotus.windows.label_bands.decode_bands`.
    """

    def __init__(self, same: UnionFind) -> None:
        self._same = same
        self._open: set[int] = set()
        self._number: dict[int, int] = {}

    def __len__(self) -> int:
        """Objects that ended so far."""
        return len(self._number)

    def __getitem__(self, root: int) -> int:
        """The number of an object that ended, by the smallest of its provisional numbers."""
        return self._number[root]

    def add(self, band: LabelBand) -> list[int]:
        """Take the next band and number the objects that end in it.

        Args:
            band: The bands from top to bottom, each as soon as it was decoded.

        Returns:
            The smallest provisional number of each of them, ascending as their numbers are.
        """
        roots = self._same.roots(band.numbers)
        present = np.bincount(band.labels.ravel(), minlength=band.count + 1) > 0
        present[0] = False
        begun = {self._same.find(root) for root in self._open}
        going_on = set(roots[band.unfinished].tolist())
        ended = sorted((begun | set(roots[present].tolist())) - going_on)
        for number, root in enumerate(ended, start=len(self) + 1):
            self._number[root] = number
        self._open = going_on
        return ended

    def final_labels(self, band: LabelBand) -> NDArray[np.int32]:
        """The label map (rows, X) of a band with final numbers, once all bands were added."""
        roots = self._same.roots(band.numbers)
        numbers = (self._number.get(root, 0) for root in roots.tolist())
        return np.fromiter(numbers, np.int32, len(roots))[band.labels]
