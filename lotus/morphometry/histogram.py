"""Distributions of a measure over voxels or cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

BINS = 40


@dataclass(frozen=True)
class Histogram:
    """How often which values occur.

    Attributes:
        measure: What was measured, such as ``Tb.Th``.
        unit: Of the values.
        counted: What is counted, such as ``voxels`` or ``cells``.
        edges: (B + 1,) limits of the bins, ascending.
        counts: (B,) how many values lie from one edge to before the next; the last bin has both.
    """

    measure: str
    unit: str
    counted: str
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def histogram(
    values: ArrayLike, *, measure: str, unit: str, counted: str, bins: int = BINS
) -> Histogram:
    """Count values in bins of equal width from 0, or the smallest if it is negative.

    Args:
        values: Of any shape; what is not finite is left out.
        measure: What was measured.
        unit: Of the values.
        counted: What the values belong to.
        bins: Their number.

    Example:
        >>> from lotus.morphometry.histogram import histogram
        >>> found = histogram([1.0, 3.0, 4.0], measure="x", unit="µm", counted="cells", bins=2)
        >>> found.edges.tolist(), found.counts.tolist()
        ([0.0, 2.0, 4.0], [1, 2])
    """
    numbers = np.asarray(values, np.float64).ravel()
    finite = numbers[np.isfinite(numbers)]
    limits = (min(0.0, finite.min(initial=0.0)), finite.max(initial=0.0) or 1.0)
    counts, edges = np.histogram(finite, bins, limits)
    return Histogram(measure, unit, counted, edges, counts.astype(np.int64))


def histogram_table(histograms: Iterable[Histogram]) -> pd.DataFrame:
    """One row per bin of each histogram: ``measure, unit, counted, from, to, count``.

    Args:
        histograms: Any number.

    Example:
        >>> from lotus.morphometry.histogram import histogram, histogram_table
        >>> found = histogram([1.0, 3.0], measure="Tb.Th", unit="µm", counted="voxels", bins=1)
        >>> histogram_table([found]).values.tolist()
        [['Tb.Th', 'µm', 'voxels', 0.0, 3.0, 2]]
    """
    columns = ["measure", "unit", "counted", "from", "to", "count"]
    rows = [
        (each.measure, each.unit, each.counted, low, high, count)
        for each in histograms
        for low, high, count in zip(each.edges[:-1], each.edges[1:], each.counts, strict=True)
    ]
    return pd.DataFrame(rows, columns=columns)
