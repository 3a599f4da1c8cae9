"""Where the windows lie that an image of any size is cut into."""

from __future__ import annotations

from dataclasses import dataclass

import torch

WINDOW = 512
"""Usual side of a window in pixels."""
OVERLAP = 0.25
"""Usual share of a window that its neighbour covers as well."""
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

    @property
    def halo(self) -> int:
        """Rows of context above and below a band, with which its objects are found."""
        return max(self.window[0] // 8, 1)

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
        starts.append(window_starts(length + missing, side, overlap))
    return WindowGrid(
        size,
        (sides[0], sides[1]),
        (paddings[0], paddings[1]),
        starts[0],
        starts[1],
    )


def window_starts(length: int, side: int, overlap: float) -> tuple[int, ...]:
    """Where the windows along one axis start, the last one shifted inward.

    Args:
        length: Of the axis, at least ``side``.
        side: Of a window.
        overlap: Share of a window that its neighbour covers as well, in [0, 1).
    """
    step = max(int(side * (1.0 - overlap)), 1)
    last = length - side
    return (*range(0, last, step), last)


def windows_at_once(device: torch.device) -> int:
    """How many windows go through a network together.

    On a CPU larger batches only cost memory and the time to fetch it from the system.
    """
    return 1 if device.type == "cpu" else 8
