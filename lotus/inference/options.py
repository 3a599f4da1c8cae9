"""How images are cut, predicted and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from lotus.inference.precision import Precision
from lotus.inference.segmenter import Segmenter
from lotus.windows import OVERLAP, WINDOW, WindowGrid, window_grid, windows_at_once


@dataclass(frozen=True)
class SegmentOptions:
    """How images are cut, predicted and measured.

    Attributes:
        window: Side of the square windows in pixels, a multiple of 32. None: as tested.
        overlap: Share of a window that its neighbour covers as well, in [0, 1). None: as tested.
        batch_size: Windows predicted at once; None: 1 on a CPU, 8 on a GPU.
        pixel_size_um: Side of a pixel in µm; goes before what a file states. None: from the file.
        resample: Resample images to the pixel size that the network was trained in; what is found
            is brought back.
        precision: "32" or "bf16". None: as tested, bf16 only where the device computes it.
        progress: Show a progress bar on a terminal.
    """

    window: int | None = None
    overlap: float | None = None
    batch_size: int | None = None
    pixel_size_um: float | None = None
    resample: bool = True
    precision: Precision | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        """Check the values before any image is opened.

        Raises:
            ValueError: A value outside its range.
        """
        _grid((1, 1), self, WINDOW, OVERLAP)
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch size is {self.batch_size}; expected at least 1 window")
        if self.pixel_size_um is not None and not 0.0 < self.pixel_size_um < float("inf"):
            raise ValueError(f"pixel size is {self.pixel_size_um} µm; expected a positive number")
        if self.precision not in (None, *get_args(Precision)):
            raise ValueError(
                f"precision is {self.precision!r}; expected one of {get_args(Precision)}"
            )

    def grid(self, size: tuple[int, int], segmenter: Segmenter) -> WindowGrid:
        """The windows of an image of (Y, X) pixels."""
        return _grid(size, self, segmenter.window, segmenter.overlap)

    def precision_of(self, segmenter: Segmenter) -> Precision:
        """What a segmenter computes in."""
        return self.precision or segmenter.precision

    def batch_size_of(self, segmenter: Segmenter) -> int:
        """How many windows go through a segmenter at once."""
        return self.batch_size or windows_at_once(segmenter.device)


def _grid(
    size: tuple[int, int], options: SegmentOptions, window: int, overlap: float
) -> WindowGrid:
    return window_grid(
        size,
        window if options.window is None else options.window,
        overlap if options.overlap is None else options.overlap,
    )
