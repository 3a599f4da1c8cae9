"""The probabilities of an image file of any size: the one way through a network that all use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lotus.imaging import Slide
from lotus.inference.options import SegmentOptions
from lotus.inference.prediction import Predictor, check_channels, open_pixels
from lotus.inference.read_ahead import read_ahead
from lotus.inference.segmenter import Segmenter
from lotus.inference.spacing import image_spacing, to_model
from lotus.transforms.resampling import Resampling, Spacing
from lotus.windows import WindowGrid, blend_windows, read_bands


@dataclass(frozen=True)
class Blended:
    """Probabilities of an image that is still open.

    Attributes:
        bands: Activated outputs (K, rows, X) from top to bottom, on the grid that the network sees.
        grid: The windows that they come from.
        grids: Where that grid is another than the image's; None where it is the same.
        spacing_um: Pixel size (Y, X) of the image in µm; None where it is unknown.
    """

    bands: Iterator[NDArray[np.float32]]
    grid: WindowGrid
    grids: Resampling | None
    spacing_um: Spacing | None


@contextmanager
def blended_bands(
    segmenter: Segmenter,
    image: Path,
    options: SegmentOptions,
    notify: Callable[[str], None],
) -> Iterator[Blended]:
    """Put an image through a network in overlapping windows.

    Args:
        segmenter: The trained network.
        image: TIFF, OME-TIFF, SVS, PNG, JPEG or BMP file.
        options: How to go about it.
        notify: Receives lines on a pixel size that differs from the file's or the network's.

    Yields:
        The probabilities; nothing has gone through the network before the first band is asked for.

    Raises:
        FileNotFoundError: No such image.
        ValueError: An image that cannot be read or used.
    """
    with Slide(image) as slide:
        check_channels(slide, segmenter)
        spacing = image_spacing(slide, options.pixel_size_um, notify)
        grids = to_model(slide, spacing, segmenter, options.resample, notify)
        read_rows, normalise = open_pixels(slide, segmenter, grids)
        grid = options.grid(slide.shape if grids is None else grids.network, segmenter)
        batch_size = options.batch_size_of(segmenter)
        with tqdm(
            total=len(grid),
            desc=image.name,
            unit="window",
            leave=False,
            disable=None if options.progress else True,
        ) as bar:
            predict = Predictor(segmenter, normalise, options.precision_of(segmenter), bar.update)
            pixels = read_ahead(read_bands(read_rows, grid))
            bands = read_ahead(blend_windows(predict, pixels, grid, batch_size))
            yield Blended(bands, grid, grids, spacing)


def probability_map(
    segmenter: Segmenter,
    image: Path,
    options: SegmentOptions,
    notify: Callable[[str], None] = print,
) -> tuple[NDArray[np.float32], Spacing | None]:
    """The probabilities of an image in memory, in its own pixels.

    Args:
        segmenter: The trained network.
        image: As for :func:`blended_bands`.
        options: How to go about it.
        notify: As for :func:`blended_bands`.

    Returns:
        Float32 (K, Y, X), activated outputs as the scheme of the segmenter takes them, and the
        pixel size (Y, X) in µm where it is known.

    Raises:
        FileNotFoundError: No such image.
        ValueError: An image that cannot be read or used.
    """
    with blended_bands(segmenter, image, options, notify) as blended:
        found = np.concatenate(list(blended.bands), axis=1)
        grids = blended.grids
        return found if grids is None else grids.back(found), blended.spacing_um
