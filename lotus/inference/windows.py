"""Overlapped windows over an image of any size, blended row by row.

Only one band of window rows is in memory: its raw pixels, the weighted sum of probabilities and
the sum of weights. Rows that no later window reaches are handed out at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from monai.data.utils import compute_importance_map
from numpy.typing import NDArray
from torch import Tensor

Item = TypeVar("Item")

ReadRows = Callable[[int, int], NDArray[Any]]
Predict = Callable[[NDArray[Any]], Tensor]

STRIDE = 32
"""Window sides are multiples of this, the largest total down-sampling of common networks."""


@dataclass(frozen=True)
class WindowGrid:
    """Where the windows of one image lie.

    Attributes:
        size: (Y, X) of the image in pixels.
        window: (Y, X) of a window in pixels.
        padding: Pixels added (before, after) the image along Y and X, where it is smaller than
            the window.
        rows: First pixel row of each row of windows, in the padded image, ascending.
        columns: First pixel column of each column of windows, likewise.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def padded(self) -> tuple[int, int]:
        """(Y, X) of the padded image in pixels."""
        (top, bottom), (left, right) = self.padding
        return self.size[0] + top + bottom, self.size[1] + left + right

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.rows) * len(self.columns)


def window_grid(size: tuple[int, int], window: int, overlap: float) -> WindowGrid:
    """Plan windows that cover an image exactly, the last ones shifted inward.

    Along an axis that is shorter than the window, the window shrinks to the next multiple of 32,
    and the image is padded to that.

    Args:
        size: (Y, X) of the image in pixels.
        window: Side of the square window in pixels, a multiple of 32.
        overlap: Share of a window that its neighbour covers as well, in [0, 1).

    Raises:
        ValueError: An empty image or a volume, a window that is no multiple of 32, an overlap
            outside [0, 1).
    """
    if len(size) != 2:
        raise ValueError(f"image has the size {size}; windows are 2-D, (Y, X) is expected")
    if min(size) < 1:
        raise ValueError(f"image has {size[0]} x {size[1]} pixels; expected at least 1 x 1")
    if window < STRIDE or window % STRIDE:
        raise ValueError(f"window is {window}; expected a positive multiple of {STRIDE} pixels")
    if not 0.0 <= overlap < 1.0:
        raise ValueError(f"overlap is {overlap:g}; expected a share of the window in [0, 1)")
    sides, paddings, starts = [], [], []
    for length in size:
        side = min(window, -(-length // STRIDE) * STRIDE)
        missing = max(side - length, 0)
        sides.append(side)
        paddings.append((missing // 2, missing - missing // 2))
        starts.append(_starts(length + missing, side, overlap))
    return WindowGrid(
        size,
        (sides[0], sides[1]),
        (paddings[0], paddings[1]),
        starts[0],
        starts[1],
    )


def _starts(length: int, side: int, overlap: float) -> tuple[int, ...]:
    step = max(int(side * (1.0 - overlap)), 1)
    last = length - side
    return (*range(0, last, step), last)


def read_bands(read_rows: ReadRows, grid: WindowGrid) -> Iterator[NDArray[Any]]:
    """Raw pixels of each row of windows; every row of the image is read once.

    Args:
        read_rows: Gives rows ``[start, stop)`` of the image as (C, rows, X).
        grid: The windows.

    Yields:
        (C, window height, padded X), reflect-padded where the image is smaller than the window.
        A new array each time.
    """
    height, side = grid.size[0], grid.window[0]
    (top, bottom), columns = grid.padding
    band: NDArray[Any] | None = None
    stop = 0
    for start in grid.rows:
        first, stop = stop, min(start + side, height)
        rows = np.pad(
            read_rows(first, stop),
            ((0, 0), (top, bottom), columns),
            mode="reflect",
        )
        kept = side - rows.shape[1]
        band = rows if band is None else np.concatenate((band[:, side - kept :], rows), axis=1)
        yield band


def blend_windows(
    predict: Predict, bands: Iterable[NDArray[Any]], grid: WindowGrid, batch_size: int
) -> Iterator[NDArray[np.float32]]:
    """Predict every window and blend the overlaps with Gaussian weights.

    The weights and, for images at least as large as the window, the windows are those of MONAI's
    ``SlidingWindowInferer(mode="gaussian")``, and so is the result.

    Args:
        predict: Gives the probabilities (B, K, Y, X) of raw windows (B, C, Y, X).
        bands: Raw pixels of each row of windows, see :func:`read_bands`.
        grid: The windows.
        batch_size: Most windows predicted at once.

    Yields:
        Bands of rows (K, rows, X) from top to bottom that together make up the image, padding
        removed.

    Raises:
        ValueError: A batch size below one.
    """
    if batch_size < 1:
        raise ValueError(f"batch size is {batch_size}; expected at least 1 window")
    blend = _RowBlend(grid)
    top, bottom = grid.padding[0]
    ends = (*grid.rows[1:], grid.padded[0])
    for start, end, band in zip(grid.rows, ends, bands, strict=True):
        for first in range(0, len(grid.columns), batch_size):
            columns = grid.columns[first : first + batch_size]
            windows = np.stack([band[..., x : x + grid.window[1]] for x in columns])
            blend.add(predict(windows), columns)
        rows = blend.finish(end - start)
        # Only an image of a single row of windows is padded along Y.
        yield rows[:, top : rows.shape[1] - bottom]


class _RowBlend:
    """Weighted sum of probabilities over the rows that one row of windows covers."""

    def __init__(self, grid: WindowGrid) -> None:
        self._grid = grid
        self._weights = compute_importance_map(grid.window, mode="gaussian")
        self._weight_of_row = torch.zeros(grid.window[0], grid.padded[1])
        for x in grid.columns:
            self._weight_of_row[:, x : x + grid.window[1]] += self._weights
        self._sum: Tensor | None = None
        self._weight = torch.zeros_like(self._weight_of_row)

    def add(self, probabilities: Tensor, columns: tuple[int, ...]) -> None:
        """Add predicted windows (B, K, Y, X) that start at ``columns``."""
        if self._sum is None:
            shape = (probabilities.shape[1], *self._weight.shape)
            self._sum = torch.zeros(shape, device=probabilities.device)
            self._weights = self._weights.to(probabilities.device)
        for probability, x in zip(probabilities, columns, strict=True):
            self._sum[..., x : x + self._grid.window[1]].addcmul_(probability, self._weights)

    def finish(self, rows: int) -> NDArray[np.float32]:
        """Blend the first ``rows`` rows and move on by as many."""
        if self._sum is None:
            raise ValueError("no window was added to this row")
        left = self._grid.padding[1][0]
        columns = slice(left, left + self._grid.size[1])
        self._weight += self._weight_of_row
        blended = self._sum[:, :rows, columns].cpu() / self._weight[:rows, columns]
        for values in (self._sum, self._weight):
            kept = values[..., rows:, :].clone()
            values[..., : kept.shape[-2], :] = kept
            values[..., kept.shape[-2] :, :] = 0
        return blended.numpy()


def read_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Compute the next item in a thread of its own while the current one is used.

    Args:
        items: Anything that yields; it runs in the other thread altogether.

    Yields:
        The same items in the same order; an exception appears where its item would have.
    """
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1) as thread:
        pending = thread.submit(_next_of, source)
        while item := pending.result():
            pending = thread.submit(_next_of, source)
            yield item[0]


def _next_of(source: Iterator[Item]) -> tuple[Item] | None:
    for item in source:
        return (item,)
    return None
