"""Objects that were found on another grid than the image's, on that of the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from lotus.transforms.resampling import Resampling
from lotus.windows import LabelBand


def native_bands(bands: Iterable[LabelBand], grids: Resampling | None) -> Iterator[LabelBand]:
    """Bring bands back to the pixels of their image, as :meth:`Resampling.back` does it.

    Args:
        bands: In the network's grid, from top to bottom.
        grids: Those of network and image; None leaves the bands as they are.

    Yields:
        The same bands. Where the pixels of the image are larger, a band may be without a row.
    """
    if grids is None:
        yield from bands
        return
    row_of, column_of = grids.nearest
    for band in bands:
        ends = band.start, band.start + len(band.labels)
        first, last = np.searchsorted(row_of, ends).tolist()
        rows = row_of[first:last, None] - band.start
        yield replace(
            band,
            start=first,
            labels=band.labels[rows, column_of],
            values=band.values[:, rows, column_of],
        )
