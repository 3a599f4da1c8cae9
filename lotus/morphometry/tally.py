"""Statistics of values that come in parts, such as those of a volume block by block."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lotus.morphometry.histogram import BINS, Histogram


class Tally:
    """Number, mean, standard deviation, greatest value and histogram of values not kept.

    Args:
        bin_width: Values are counted in bins of this width from 0; the histogram joins some of
            them. A fraction of a voxel is fine enough for lengths.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.tally import Tally
        >>> tally = Tally(bin_width=0.25)
        >>> tally.add(np.array([1.0, 2.0]))
        >>> tally.add(np.array([3.0]))
        >>> tally.count, tally.mean, tally.maximum
        (3, 2.0, 3.0)
    """

    def __init__(self, bin_width: float) -> None:
        self._bin_width = bin_width
        self._counts = np.zeros(1, np.int64)
        self._sum = self._squares = 0.0
        self._maximum = math.nan

    @property
    def count(self) -> int:
        """Number of values."""
        return int(self._counts.sum())

    @property
    def mean(self) -> float:
        """NaN without values."""
        return self._sum / self.count if self.count else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation of all values, which are no sample; NaN without any."""
        return (
            math.sqrt(max(self._squares / self.count - self.mean**2, 0)) if self.count else math.nan
        )

    @property
    def maximum(self) -> float:
        """NaN without values."""
        return self._maximum

    def add(self, values: NDArray[np.floating]) -> None:
        """Take more values.

        Args:
            values: (N,), finite and not negative.
        """
        if not values.size:
            return
        self._maximum = float(np.fmax(self._maximum, values.max()))
        self._sum += float(values.sum(dtype=np.float64))
        self._squares += float(np.square(values, dtype=np.float64).sum())
        bins = np.floor_divide(values, self._bin_width).astype(np.intp)
        counts = np.bincount(bins, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    def histogram(self, *, measure: str, unit: str, counted: str) -> Histogram:
        """Histogram in at most 40 bins of the same width from 0.

        Args:
            measure: What was measured.
            unit: Of the values.
            counted: What the values belong to.
        """
        joined = -(-len(self._counts) // BINS)
        counts = np.pad(self._counts, (0, -len(self._counts) % joined)).reshape(-1, joined)
        edges = np.arange(len(counts) + 1, dtype=np.float64) * (joined * self._bin_width)
        return Histogram(measure, unit, counted, edges, counts.sum(axis=1))
