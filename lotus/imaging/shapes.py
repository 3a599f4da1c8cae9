"""How large an image or a volume is, from headers alone."""

from __future__ import annotations

import math
from pathlib import Path

import tifffile

from lotus.imaging.file_names import is_zarr
from lotus.imaging.image_files import decoding, is_tiff
from lotus.imaging.raster import read_size
from lotus.imaging.slice_series import check_series
from lotus.imaging.tiff_files import main_series
from lotus.imaging.volume import open_volume


def read_shape(path: Path) -> tuple[int, int, int]:
    """Return the shape (Z, Y, X) of an image or a volume, without decoding pixels.

    Args:
        path: Image file, multi-page TIFF, OME-Zarr, or a folder of slices, of which the headers of
            all are read.

    Returns:
        The shape; Z is 1 for a single image, whatever its channels.

    Raises:
        FileNotFoundError: There is no such file, or a folder lacks a slice.
        ValueError: Neither an image nor a volume, or slices of unequal size.
    """
    path = Path(path)
    if path.is_dir() and not is_zarr(path):
        check_series(path)
    if path.is_dir() or _is_stack(path):
        with open_volume(path) as volume:
            return volume.shape
    return 1, *read_size(path)


def _is_stack(path: Path) -> bool:
    """Whether a file is a TIFF of several pages that make one image."""
    if not is_tiff(path):
        return False
    with decoding(path), tifffile.TiffFile(path) as tiff:
        series = main_series(path, tiff)
        lengths = zip(series.axes, series.shape, strict=True)
        return math.prod(length for axis, length in lengths if axis not in "YXSC") > 1
