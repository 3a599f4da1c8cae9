"""Volumes in TIFF files: several grey slices, or a single image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lotus.imaging.image_files import decoding, native
from lotus.imaging.pixel_size import micrometres, ome_pixels, tiff_pixel_size
from lotus.imaging.raster import read_image, read_size
from lotus.imaging.stored_pixels import Encoding, as_image, upright
from lotus.imaging.tiff_files import main_series, refuse_truncated, tiff_encoding
from lotus.imaging.voxels import Spacing, Volume, Window, windows_of_slices
from lotus.imaging.window_sources import SegmentCache, SegmentSource

CACHE_BYTES = 64 * 2**20
"""Decoded strips and tiles that are kept of a compressed file: neighbouring parts share them."""


@contextmanager
def tiff_volume(path: Path) -> Iterator[Volume]:
    """Open a TIFF as a volume.

    Args:
        path: Multi-page TIFF, OME-TIFF or ImageJ stack; an image is a volume of one slice.

    Yields:
        The volume, as long as the file is open.

    Raises:
        ValueError: Truncated, several images, in colour or with channels.
    """
    with ExitStack() as stack:
        with decoding(path):
            tiff = stack.enter_context(tifffile.TiffFile(path))
            series = main_series(path, tiff)
            refuse_truncated(path, tiff, series)
            encoding = tiff_encoding(tiff, series.keyframe)
            spacing = _spacing_um(tiff, series, encoding)
        if _is_stack(path, series):
            yield _stack_volume(path, series, encoding, spacing)
        else:
            yield single_image(path, spacing)


def single_image(path: Path, spacing_um: Spacing) -> Volume:
    """A grey image as a volume of one slice.

    Args:
        path: Its file.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
    """

    def read(_: int) -> NDArray[Any]:
        return grey(path, read_image(path).array)

    return Volume((1, *read_size(path)), spacing_um, read, windows_of_slices(read, 1))


def grey(path: Path, plane: NDArray[Any]) -> NDArray[Any]:
    """A slice, which has to be grey.

    Args:
        path: Its file, for the message.
        plane: (Y, X), or (Y, X, C).

    Raises:
        ValueError: It has channels.
    """
    if plane.ndim != 2:
        raise ValueError(f"{path} has {plane.shape[2]} channels; a slice of a volume is grey")
    return plane


def _stack_volume(
    path: Path, series: tifffile.TiffPageSeries, encoding: Encoding, spacing: Spacing
) -> Volume:
    *leading, height, width = series.shape
    depth = math.prod(leading)
    size = (width, height) if encoding.is_turned else (height, width)
    mapped = _mapped(path, series)
    stored = _slices(path, series) if mapped is None else mapped.__getitem__

    def read(index: int) -> NDArray[Any]:
        plane = upright(native(np.array(stored(index))), encoding.orientation)
        return grey(path, as_image(path, plane, encoding))

    if not encoding.is_plain or encoding.alpha:
        return Volume((depth, *size), spacing, read, windows_of_slices(read, depth))
    part = _segments(path, series) if mapped is None else mapped.__getitem__

    def window(wanted: Window) -> NDArray[Any]:
        return as_image(path, native(np.array(part(wanted))), encoding)

    return Volume((depth, *size), spacing, read, window)


def _is_stack(path: Path, series: tifffile.TiffPageSeries) -> bool:
    """Whether a TIFF holds several grey slices; an image is left to ``read_image``."""
    if "C" in series.axes and series.shape[series.axes.index("C")] > 1:
        raise ValueError(
            f"{path} has the axes {series.axes} {series.shape}, of which C are channels; "
            "a grey volume (Z, Y, X) is expected"
        )
    return series.axes.endswith("YX") and math.prod(series.shape[:-2]) > 1


def _mapped(path: Path, series: tifffile.TiffPageSeries) -> NDArray[Any] | None:
    """The slices (Z, Y, X) where they lie uncompressed in a row; nothing of them is read."""
    *leading, height, width = series.shape
    # ImageJ describes all slices of a large volume by one page.
    is_one_page = len(series.pages) < math.prod(leading)
    if not is_one_page and (series.dataoffset is None or not series.keyframe.is_memmappable):
        return None
    with decoding(path):
        found = tifffile.memmap(path, mode="r") if is_one_page else series.asarray(out="memmap")
    return found.reshape(math.prod(leading), height, width)


def _slices(path: Path, series: tifffile.TiffPageSeries) -> Callable[[int], NDArray[Any]]:
    """Gives a slice as it is stored, decoded in several threads."""

    def read(index: int) -> NDArray[Any]:
        with decoding(path):
            return series.asarray(key=index)

    return read


def _segments(path: Path, series: tifffile.TiffPageSeries) -> Callable[[Window], NDArray[Any]]:
    """Gives a part as it is stored; only the strips or tiles that it touches are decoded."""
    *leading, height, width = series.shape
    cache = SegmentCache(CACHE_BYTES)

    def read(window: Window) -> NDArray[Any]:
        z, y, x = (
            range(*part.indices(side))
            for part, side in zip(window, (math.prod(leading), height, width), strict=True)
        )
        pages = [page for page in series.pages[z.start : z.stop] if page is not None]
        source = SegmentSource(path, series.keyframe, pages, (height, width), cache)
        return source.read(y.start, x.start, len(y), len(x))

    return read


def _spacing_um(
    tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, encoding: Encoding
) -> Spacing:
    """Voxel size (Z, Y, X) in µm; the slices' distance is known to OME and ImageJ only."""
    depth: float | None = None
    if tiff.is_ome and tiff.ome_metadata is not None:
        pixels = ome_pixels(tiff.ome_metadata, series.keyframe)
        stated = {} if pixels is None else pixels.attrib
        unit = micrometres(stated.get("PhysicalSizeZUnit", "µm"))
        depth = float(stated.get("PhysicalSizeZ", "nan")) * (unit or np.nan)
    elif tiff.is_imagej and tiff.imagej_metadata is not None:
        unit = micrometres(str(tiff.imagej_metadata.get("unit", "")))
        depth = float(tiff.imagej_metadata.get("spacing", "nan")) * (unit or np.nan)
    size = tiff_pixel_size(tiff, series.keyframe)
    depth = depth if depth is not None and 0 < depth < math.inf else None
    if size is None:
        return depth, None, None
    return (depth, size.x, size.y) if encoding.is_turned else (depth, size.y, size.x)
