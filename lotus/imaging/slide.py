"""Images larger than memory, read window by window."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lotus.imaging.image_files import ImageFileError, decoding, is_tiff
from lotus.imaging.pixel_size import tiff_pixel_size
from lotus.imaging.raster import read_image
from lotus.imaging.stored_pixels import Encoding
from lotus.imaging.tiff_files import main_series, plane_of, refuse_truncated, tiff_encoding
from lotus.imaging.window_sources import (
    ArraySource,
    ConvertedSource,
    SegmentCache,
    SegmentSource,
    WindowSource,
)

CACHE_BYTES = 128 * 2**20


class Slide:
    """A 2-D image of any size: pyramidal or plain TIFF, OME-TIFF, SVS, PNG, JPEG or BMP.

    Tiles and strips of a TIFF are decoded when a window needs them, and the last ones are kept, so
    memory is bounded by ``cache_bytes`` and the windows themselves. Uncompressed contiguous TIFFs
    are mapped. What no reader can take apart is read whole: PNG, JPEG, a compressed TIFF that
    consists of one strip, and one that is turned, of indexed colours or of less than 8 bits.
    Channels of an OME-TIFF may be of any number; otherwise the pixels are those of
    :func:`~lotus.imaging.read_image`. A slide may be read from several threads; the reads follow
    one another.

    Args:
        path: The file.
        cache_bytes: Greatest size of the kept decoded tiles. One row of tiles should fit.

    Attributes:
        path: The file.
        shape: (Y, X) in pixels at full resolution.
        channels: Number of channels.
        dtype: Type of the pixels, native byte order.
        spacing_um: Pixel size (Y, X) in µm, None where the file does not state it.
        is_tiled: Whether full resolution is stored in tiles.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not an image, truncated, a stack, several images, or with transparent pixels.
    """

    def __init__(self, path: Path, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = Path(path)
        self.is_tiled = False
        self.spacing_um: tuple[float, float] | None = None
        self._tiff: tifffile.TiffFile | None = None
        self._cache = SegmentCache(cache_bytes)
        try:
            self._levels = self._open()
            self.channels, *size = self._levels[0].shape
            self.shape = (size[0], size[1])
            # One decoded tile tells now, not after hours, that the compression is unknown.
            self.dtype = self._levels[0].read(0, 0, 1, 1).dtype
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Slide:
        """Return the slide, which is open already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; windows cannot be read any more."""
        if self._tiff is not None:
            self._tiff.close()

    @property
    def cached_bytes(self) -> int:
        """Size of the decoded tiles and strips that are kept at the moment."""
        return self._cache.cached_bytes

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        """Read a window at full resolution.

        Args:
            y: First row.
            x: First column.
            height: Rows.
            width: Columns.

        Returns:
            (C, Y, X) with the type and range of the file.

        Raises:
            ValueError: The window is empty or reaches outside the slide, or a tile is damaged.
        """
        if y < 0 or x < 0 or height < 1 or width < 1:
            raise ValueError(f"no window of {height} x {width} pixels at row {y}, column {x}")
        if y + height > self.shape[0] or x + width > self.shape[1]:
            raise ValueError(
                f"the window of {height} x {width} pixels at row {y}, column {x} reaches outside "
                f"{self.path} of {self.shape[0]} x {self.shape[1]} pixels"
            )
        return self._levels[0].read(y, x, height, width)

    def sample(self, max_pixels: int) -> NDArray[Any]:
        """Return pixels from all over the slide, for statistics of its intensities.

        Every n-th row and column of the coarsest pyramid level that still has ``max_pixels``
        pixels (of full resolution if none has), gathered block by block.

        Args:
            max_pixels: Greatest number of pixels to return.

        Returns:
            (C, y, x) with the type and range of the file.

        Raises:
            ValueError: ``max_pixels`` is less than 1, or a tile is damaged.
        """
        if max_pixels < 1:
            raise ValueError(f"max_pixels is {max_pixels}; at least 1 pixel is needed")
        large = [level for level in self._levels if math.prod(level.shape[1:]) >= max_pixels]
        level = min(large or self._levels[:1], key=lambda level: math.prod(level.shape[1:]))
        channels, height, width = level.shape
        step = max(1, math.ceil(math.sqrt(height * width / max_pixels)))
        while -(-height // step) * -(-width // step) > max_pixels:
            step += 1
        sample = np.empty((channels, -(-height // step), -(-width // step)), self.dtype)
        rows, columns = level.block
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                first, second = top + -top % step, left + -left % step
                bottom, right = min(top + rows, height), min(left + columns, width)
                if first >= bottom or second >= right:
                    continue
                block = level.read(first, second, bottom - first, right - second)
                block = block[:, ::step, ::step]
                y, x = first // step, second // step
                sample[:, y : y + block.shape[1], x : x + block.shape[2]] = block
        return sample

    def _open(self) -> list[WindowSource]:
        """Open and check the file and return its levels, full resolution first."""
        if not is_tiff(self.path):
            return [self._whole()]
        with decoding(self.path):
            self._tiff = tifffile.TiffFile(self.path)
            series = main_series(self.path, self._tiff)
            page = series.keyframe
            refuse_truncated(self.path, self._tiff, series)
            encoding = tiff_encoding(self._tiff, page)
            if not encoding.is_plain:
                return [self._whole()]
            self.is_tiled = page.is_tiled
            size = tiff_pixel_size(self._tiff, page)
            self.spacing_um = None if size is None else size.spacing_um
            return [self._level(level, encoding) for level in series.levels]

    def _whole(self) -> WindowSource:
        """Return the image as one array in memory."""
        raster = read_image(self.path)
        self.spacing_um = raster.spacing_um
        return ArraySource(np.moveaxis(np.atleast_3d(raster.array), -1, 0))

    def _level(self, level: tifffile.TiffPageSeries, encoding: Encoding) -> WindowSource:
        """Return where the windows of one level come from."""
        stored = self._stored(level)
        if encoding.alpha or encoding.white_is_zero:
            return ConvertedSource(self.path, stored, encoding)
        return stored

    def _stored(self, level: tifffile.TiffPageSeries) -> WindowSource:
        """Return where the windows of one level come from, as they are in the file."""
        plane = plane_of(self.path, level)
        if level.dataoffset is not None and level.keyframe.is_memmappable:
            mapped = level.asarray(out="memmap")
            mapped = mapped.reshape(
                (plane.channels, plane.height, plane.width)
                if plane.channels_first
                else (plane.height, plane.width, plane.channels)
            )
            return ArraySource(mapped if plane.channels_first else np.moveaxis(mapped, -1, 0))
        count = plane.channels // level.keyframe.samplesperpixel
        pages = [page for page in level.pages[:count] if page is not None]
        if len(pages) < count:
            raise ImageFileError(f"{self.path} holds {len(pages)} of {count} channels")
        return SegmentSource(
            self.path, level.keyframe, pages, (plane.height, plane.width), self._cache
        )
