"""Overlapped windows over an image of any size, blended row by row.

Only one band of window rows is in memory: its raw pixels, the weighted sum of probabilities and
the sum of weights. Rows that no later window reaches are handed out at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lotus.windows.grid import WindowGrid

ReadRows = Callable[[int, int], NDArray[Any]]
Predict = Callable[[NDArray[Any]], Tensor]


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


def network_input(windows: NDArray[np.float32], in_channels: int, device: torch.device) -> Tensor:
    """Windows (B, C, Y, X) in [0, 1] as networks take them: on their device, grey ones repeated.

    With channels last in memory, the convolutions of a U-Net run about twice as fast on a CPU.

    Args:
        windows: As :func:`blend_windows` gives them, preprocessed.
        in_channels: Channels of the network.
        device: Where the network is.
    """
    image = torch.from_numpy(windows).to(device).expand(-1, in_channels, -1, -1)
    return image.contiguous(memory_format=torch.channels_last)


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
        from monai.data.utils import compute_importance_map  # Trainings load MONAI late.

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
