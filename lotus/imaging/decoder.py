"""The one reader of image files: numbers as stored, upright, with what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lotus.imaging.image_files import decoding, is_tiff, native
from lotus.imaging.picture_files import decode_picture, picture_size
from lotus.imaging.pixel_size import PixelSize, tiff_pixel_size
from lotus.imaging.stored_pixels import Encoding, upright
from lotus.imaging.tiff_files import main_series, plane_of, refuse_truncated, tiff_encoding


@dataclass(frozen=True)
class Decoded:
    """Pixels as stored, upright.

    Attributes:
        array: (Y, X) or (Y, X, C), native byte order.
        encoding: What its numbers mean.
        pixel_size: Along the upright axes; None where the file states none.
    """

    array: NDArray[Any]
    encoding: Encoding
    pixel_size: PixelSize | None


def decode(path: Path) -> Decoded:
    """Read the main image of a TIFF, PNG, JPEG or BMP file.

    Args:
        path: File to read. Of a pyramid the finest level is read, of several images the largest.

    Raises:
        FileNotFoundError: There is no such file.
        ImageFileError: Not an image, truncated, a stack, several images, or CMYK.
    """
    if not is_tiff(path):
        array, encoding = decode_picture(path)
        return Decoded(upright(array, encoding.orientation), encoding, None)
    with decoding(path), tifffile.TiffFile(path) as tiff:
        series = main_series(path, tiff)
        plane = plane_of(path, series)
        refuse_truncated(path, tiff, series)
        encoding = tiff_encoding(tiff, series.keyframe)
        size = tiff_pixel_size(tiff, series.keyframe)
        array = native(series.asarray())
    if plane.channels == 1:
        array = array.reshape(plane.height, plane.width)
    elif plane.channels_first:
        array = np.moveaxis(array.reshape(plane.channels, plane.height, plane.width), 0, -1)
    else:
        array = array.reshape(plane.height, plane.width, plane.channels)
    return Decoded(upright(array, encoding.orientation), encoding, _along(size, encoding))


def plane_size(path: Path) -> tuple[int, int]:
    """Return the upright (Y, X) of the main image from the header alone; raises like ``decode``."""
    if not is_tiff(path):
        return picture_size(path)
    with decoding(path), tifffile.TiffFile(path) as tiff:
        series = main_series(path, tiff)
        plane, encoding = plane_of(path, series), tiff_encoding(tiff, series.keyframe)
    size = (plane.height, plane.width)
    return size[::-1] if encoding.is_turned else size


def pixel_size(path: Path) -> PixelSize | None:
    """Return the pixel size from the header alone; raises like ``decode``."""
    if not is_tiff(path):
        return None
    with decoding(path), tifffile.TiffFile(path) as tiff:
        page = main_series(path, tiff).keyframe
        return _along(tiff_pixel_size(tiff, page), tiff_encoding(tiff, page))


def _along(size: PixelSize | None, encoding: Encoding) -> PixelSize | None:
    """The pixel size along the upright axes."""
    return size.turned() if size is not None and encoding.is_turned else size
