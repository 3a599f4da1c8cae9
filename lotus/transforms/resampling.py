"""Images of another pixel size than a network's: there and back.

A preprocessed image is resampled to the pixel size that a network knows, and what the network finds
is brought back to the pixels of the image (Isensee et al., 2021; Stringer et al., 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lotus.imaging.pixel_size import in_um

SAME = 0.01
"""Pixel sizes that differ by no more than this share are the same: nothing is interpolated."""
MOST = 16.0
"""A greater ratio of pixel sizes is taken for a mistake in one of them."""
ROWS_AT_ONCE = 512

Spacing = tuple[float, float]


@dataclass(frozen=True)
class Resampling:
    """The grid of an image and the grid on which a network sees it.

    Both cover the same field. Intensities are interpolated linearly; where pixels get larger, the
    triangle that weights them grows along, so that nothing is aliased. Labels are those of the
    nearest pixel: there are no others than before.

    Attributes:
        native: (Y, X) of the image in pixels.
        network: (Y, X) in pixels, as the network sees it.
    """

    native: tuple[int, int]
    network: tuple[int, int]

    def spacing_um(self, native_um: Spacing) -> Spacing:
        """Pixel size (Y, X) in µm of the network's grid, given that of the native one."""
        y, x = (
            side * native / network
            for side, native, network in zip(native_um, self.native, self.network, strict=True)
        )
        return y, x

    def image(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """An image for the network.

        Args:
            pixels: Float32 (C, Y, X) in [0, 1].
        """
        return self.rows(lambda start, stop: pixels[:, start:stop], 0, self.network[0])

    def rows(
        self, read: Callable[[int, int], NDArray[np.float32]], start: int, stop: int
    ) -> NDArray[np.float32]:
        """Rows of the image for the network, the same as those of :meth:`image`.

        Memory is bounded by the rows that are asked for and some hundred native ones.

        Args:
            read: Gives native rows [start, stop) as float32 (C, rows, X) in [0, 1].
            start: First row in the network's grid.
            stop: Row after the last.

        Returns:
            Float32 (C, stop - start, X) in [0, 1].
        """
        step = max(ROWS_AT_ONCE * self.network[0] // self.native[0], 1)
        parts = [self._rows(read, at, min(at + step, stop)) for at in range(start, stop, step)]
        return np.concatenate(parts, axis=1)

    def labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels (..., Y, X) of the image for the network."""
        return _taken(labels, _nearest(self.native, self.network))

    def back(self, found: NDArray[Any]) -> NDArray[Any]:
        """What the network found, (..., Y, X), for the pixels of the image."""
        return _taken(found, self.nearest)

    @property
    def nearest(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The network's row of every native row, and its column of every native column."""
        return _nearest(self.network, self.native)

    def _rows(
        self, read: Callable[[int, int], NDArray[np.float32]], start: int, stop: int
    ) -> NDArray[np.float32]:
        down, across = self._weights
        weights = down[start:stop]
        first, last = int(weights.indices.min()), int(weights.indices.max())
        weights = weights[:, first : last + 1]
        channels = [weights @ (across @ channel.T).T for channel in read(first, last + 1)]
        rows: NDArray[np.float32] = np.stack(channels).clip(0.0, 1.0)  # sums of weights round
        return rows

    @cached_property
    def _weights(self) -> tuple[csr_array, csr_array]:
        """Share of every native pixel in the network's, along Y and along X."""
        down, across = (
            _triangles(*lengths) for lengths in zip(self.native, self.network, strict=True)
        )
        return down, across


def resampling(size: tuple[int, int], found_um: Spacing, wanted_um: Spacing) -> Resampling | None:
    """How an image comes to another pixel size.

    Args:
        size: (Y, X) of the image in pixels.
        found_um: Its pixel size (Y, X) in µm.
        wanted_um: That of the network.

    Returns:
        The grids; None where the sizes are the same, see ``SAME``.

    Raises:
        ValueError: One is more than 16 times the other.
    """
    ratios = [found / wanted for found, wanted in zip(found_um, wanted_um, strict=True)]
    if not all(1 / MOST <= ratio <= MOST for ratio in ratios):
        raise ValueError(
            f"pixels are {in_um(found_um)}, those of the network {in_um(wanted_um)}: more than "
            f"{MOST:g} times apart, so one of them is wrong"
        )
    rows, columns = (
        length if abs(ratio - 1.0) <= SAME else max(round(length * ratio), 1)
        for length, ratio in zip(size, ratios, strict=True)
    )
    return None if (rows, columns) == size else Resampling(size, (rows, columns))


def _triangles(length: int, wanted: int) -> csr_array:
    """Weights (wanted, length) of linear interpolation, widened where pixels get larger."""
    scale = length / wanted
    reach = max(scale, 1.0)
    centre = (np.arange(wanted) + 0.5) * scale - 0.5
    first = np.floor(centre - reach).astype(np.int64) + 1
    column = first[:, None] + np.arange(int(np.ceil(2 * reach)))
    weight = np.maximum(1.0 - np.abs(column - centre[:, None]) / reach, 0.0)
    weight[(column < 0) | (column >= length)] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    row, place = np.nonzero(weight)
    data = weight[row, place].astype(np.float32)
    return csr_array((data, (row, column[row, place])), shape=(wanted, length))


def _nearest(
    size: tuple[int, int], wanted: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The row and the column in which the centre of a pixel of the wanted grid lies."""
    rows, columns = (
        ((2 * np.arange(new) + 1) * old) // (2 * new) for old, new in zip(size, wanted, strict=True)
    )
    return rows, columns


def _taken(labels: NDArray[Any], at: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[Any]:
    return np.ascontiguousarray(labels[..., at[0][:, None], at[1]])
