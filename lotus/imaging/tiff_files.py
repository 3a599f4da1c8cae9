"""What a TIFF file holds: its main image, that image's size, and what its numbers mean."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, TiffPage, TiffPageSeries

from lotus.imaging.image_files import ImageFileError
from lotus.imaging.stored_pixels import Encoding

_ORIENTATION = 274
_JPEG = (COMPRESSION.OJPEG, COMPRESSION.JPEG)
_ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
_SLIDE_PARTS = {"Thumbnail", "Label", "Macro"}
"""What slide scanners put beside the slide."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plane:
    """Size of one 2-D image as stored.

    Attributes:
        height: Rows.
        width: Columns.
        channels: 1 for grey, 3 for RGB, any number for fluorescence channels; alpha counts.
        channels_first: Channels are the first axis of the stored array, not the last.
    """

    height: int
    width: int
    channels: int
    channels_first: bool = False


def main_series(path: Path, tiff: tifffile.TiffFile) -> TiffPageSeries:
    """Return the image of a file that is meant: the one with the most pixels.

    Overviews and labels that are much smaller are left out, and a warning says so, except where
    scanners always put them.

    Args:
        path: File, for messages.
        tiff: The open file.

    Raises:
        ImageFileError: There is no image, or several, of which none is by far the largest.
    """
    images = [series for series in tiff.series if _area(series)]
    if not images:
        shapes = ", ".join(str(series.shape) for series in tiff.series) or "nothing"
        raise ImageFileError(
            f"{path} holds {shapes}, expected a 2-D image (Y, X); the file is of another kind or "
            "damaged"
        )
    images = [series for series in images if not _is_slide_part(series)] or images
    main = max(images, key=_area)
    listed = f"{len(images)} images ({', '.join(map(_size, images))} pixels)"
    if any(series is not main and 2 * _area(series) > _area(main) for series in images):
        raise ImageFileError(
            f"{path} holds {listed}; one is expected, save the one that is meant as a file of its "
            "own"
        )
    if len(images) > 1:
        _warn_once(f"{path} holds {listed}; the largest is read")
    return main


def plane_of(path: Path, series: TiffPageSeries) -> Plane:
    """Check that a series, or a level of one, is one 2-D image.

    Args:
        path: File, for messages.
        series: Its axes are those of tifffile: Y, X, S (samples of a pixel), C (channels), others.

    Raises:
        ImageFileError: A stack of several pages, or CMYK.
    """
    lengths = dict(zip(series.axes, series.shape, strict=True))
    height, width = lengths.pop("Y"), lengths.pop("X")
    samples, channels = lengths.pop("S", 1), lengths.pop("C", 1)
    pages = math.prod(lengths.values())
    if pages > 1:
        raise ImageFileError(
            f"{path} is a stack of {pages} pages of {height} x {width} pixels; one 2-D image is "
            "expected, save its slices as separate files"
        )
    if samples in (2, 4) and not _has_alpha(series.keyframe):
        kind = PHOTOMETRIC(series.keyframe.photometric).name
        raise ImageFileError(f"{path} has {samples} channels ({kind}); grey or RGB is expected")
    if samples > 1 and channels > 1:
        raise ImageFileError(f"{path} holds {channels} colour images; one 2-D image is expected")
    first = channels > 1 or (samples > 1 and series.axes.index("S") < series.axes.index("Y"))
    return Plane(height, width, samples * channels, first)


def tiff_encoding(tiff: tifffile.TiffFile, page: TiffPage) -> Encoding:
    """Return what the numbers of a page mean.

    ``tifffile``, and imageio through it, tags one-bit images as white-is-zero without inverting
    their bits, and both read them back as they were written; so does this.

    Args:
        tiff: The open file.
        page: Its page.
    """
    by_tifffile = page.software.startswith("tifffile") or bool(tiff.is_shaped)
    one_bit = page.bitspersample == 1
    orientation = page.tags.valueof(_ORIENTATION, default=1)
    return Encoding(
        bits=page.bitspersample,
        palette=_palette(tiff, page),
        alpha=page.samplesperpixel in (2, 4) and _has_alpha(page),
        white_is_zero=page.photometric == PHOTOMETRIC.MINISWHITE and not (one_bit and by_tifffile),
        orientation=int(orientation) if orientation in range(1, 9) else 1,
        lossy=page.compression in _JPEG,
    )


def refuse_truncated(path: Path, tiff: tifffile.TiffFile, series: TiffPageSeries) -> None:
    """Raise an error if the image's data go on beyond the end of the file.

    Decoders notice most missing bytes, but JPEG decoders fill what is missing with grey.

    Args:
        path: File, for the message.
        tiff: The open file.
        series: The image.
    """
    end = max(
        offset + count
        for page in series.pages
        if page is not None
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
    )
    if end > tiff.filehandle.size:
        raise ImageFileError(
            f"{path} is truncated: it has {tiff.filehandle.size} bytes of at least {end}; copy it "
            "again from its source"
        )


def _palette(tiff: tifffile.TiffFile, page: TiffPage) -> NDArray[np.uint8] | None:
    """Colours (N, 3); the colour table of ImageJ is only how a grey image was looked at."""
    if tiff.is_imagej or page.photometric != PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    return (page.colormap.T >> 8).astype(np.uint8)


def _has_alpha(page: TiffPage) -> bool:
    """Whether the last of 2 or 4 samples is opacity; beside RGB nothing else is usual."""
    if page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR):
        return page.samplesperpixel == 4
    grey = page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE)
    return grey and page.samplesperpixel == 2 and page.extrasamples[-1] in _ALPHA


def _is_slide_part(series: TiffPageSeries) -> bool:
    return series.kind != "ome" and series.name in _SLIDE_PARTS


def _area(series: TiffPageSeries) -> int:
    lengths = dict(zip(series.axes, series.shape, strict=True))
    return 0 if 0 in series.shape else lengths.get("Y", 0) * lengths.get("X", 0)


def _size(series: TiffPageSeries) -> str:
    lengths = dict(zip(series.axes, series.shape, strict=True))
    return f"{lengths['Y']} x {lengths['X']}"


@cache
def _warn_once(message: str) -> None:
    """Say it once, not at every reading."""
    _log.warning(message)
