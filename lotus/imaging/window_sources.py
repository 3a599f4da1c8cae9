"""Where the pixels of a slide come from: decoded tiles and strips, or an array."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFrame, TiffPage

from lotus.imaging.image_files import decoding, native
from lotus.imaging.stored_pixels import Encoding, as_image


class WindowSource(Protocol):
    """One resolution level that windows can be read from.

    Attributes:
        shape: (C, Y, X).
        block: Size (Y, X) of what is decoded at once; windows along it are the cheapest.
    """

    shape: tuple[int, int, int]
    block: tuple[int, int]

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        """Return the window as (C, Y, X); it lies inside the image."""
        ...


class ArraySource:
    """An array in memory or mapped from an uncompressed file.

    Args:
        array: (C, Y, X), not copied.

    Raises:
        ValueError: The array has other axes.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        if array.ndim != 3:
            raise ValueError(f"an image has the shape {array.shape}; (C, Y, X) is expected")
        self.shape: tuple[int, int, int] = (array.shape[0], array.shape[1], array.shape[2])
        self.block = (min(256, self.shape[1]), self.shape[2])
        self._array = array

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        """Return a copy of the window as (C, Y, X)."""
        return native(np.array(self._array[:, y : y + height, x : x + width]))


class ConvertedSource:
    """Windows of the image that the numbers of another source stand for.

    Args:
        path: The file, for messages.
        stored: Windows as they are in the file.
        encoding: What their numbers mean; every pixel must stand for itself.
    """

    def __init__(self, path: Path, stored: WindowSource, encoding: Encoding) -> None:
        channels, *size = stored.shape
        self.shape = (channels - encoding.alpha, size[0], size[1])
        self.block = stored.block
        self._path, self._stored, self._encoding = path, stored, encoding

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        """Return the window as (C, Y, X).

        Raises:
            ValueError: Some of it is transparent, or a segment cannot be decoded.
        """
        window = np.moveaxis(self._stored.read(y, x, height, width), 0, -1)
        image = np.atleast_3d(as_image(self._path, window, self._encoding))
        return np.ascontiguousarray(np.moveaxis(image, -1, 0))


class SegmentCache:
    """The most recently used decoded tiles or strips, up to a number of bytes.

    A single segment larger than the limit is kept until the next one comes: the limit is what
    memory is bounded by as long as segments are smaller.

    Args:
        limit_bytes: Greatest sum of the sizes of the kept arrays.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.cached_bytes = 0
        self._arrays: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()

    def get(self, key: tuple[int, int]) -> NDArray[Any] | None:
        """Return the array kept under ``key`` and mark it as just used."""
        array = self._arrays.get(key)
        if array is not None:
            self._arrays.move_to_end(key)
        return array

    def put(self, key: tuple[int, int], array: NDArray[Any]) -> None:
        """Keep ``array`` and drop the least recently used ones beyond the limit."""
        while self._arrays and self.cached_bytes + array.nbytes > self.limit_bytes:
            self.cached_bytes -= self._arrays.popitem(last=False)[1].nbytes
        self._arrays[key] = array
        self.cached_bytes += array.nbytes


class SegmentSource:
    """Tiles or strips of a TIFF level, decoded one by one when a window needs them.

    Args:
        path: The file, for messages.
        keyframe: The page that says how all of them are stored.
        pages: One page with all samples, or one page per channel.
        size: (Y, X) in pixels.
        cache: Where decoded segments are kept; several sources may share one.

    Raises:
        ValueError: The size is not that of a 2-D image.
    """

    def __init__(
        self,
        path: Path,
        keyframe: TiffPage,
        pages: list[TiffPage | TiffFrame],
        size: tuple[int, int],
        cache: SegmentCache,
    ) -> None:
        if len(size) != 2:
            raise ValueError(f"{path} has the size {size}; (Y, X) is expected")
        self._path, self._keyframe, self._pages, self._cache = path, keyframe, pages, cache
        self._samples = keyframe.samplesperpixel if keyframe.planarconfig == 1 else 1
        self._planes = keyframe.samplesperpixel // self._samples
        self._lock = threading.Lock()
        self.dtype = np.dtype(keyframe.dtype).newbyteorder("=")
        self.shape = (len(pages) * keyframe.samplesperpixel, *size)
        tile = (keyframe.tilelength, keyframe.tilewidth)
        strip = (min(keyframe.rowsperstrip, size[0]), size[1])
        self.block = tile if keyframe.is_tiled else strip
        self._grid = (-(-size[0] // self.block[0]), -(-size[1] // self.block[1]))

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        """Return the window as (C, Y, X), native byte order.

        Raises:
            ValueError: A segment cannot be decoded.
        """
        window = np.zeros((self.shape[0], height, width), self.dtype)
        rows, columns = self.block
        for row in range(y // rows, -(-(y + height) // rows)):
            for column in range(x // columns, -(-(x + width) // columns)):
                top, left = max(row * rows, y), max(column * columns, x)
                bottom = min((row + 1) * rows, y + height)
                right = min((column + 1) * columns, x + width)
                inside = np.s_[
                    top - row * rows : bottom - row * rows,
                    left - column * columns : right - column * columns,
                ]
                target = window[:, top - y : bottom - y, left - x : right - x]
                self._copy(row * self._grid[1] + column, inside, target)
        return window

    def _copy(self, index: int, inside: tuple[slice, slice], target: NDArray[Any]) -> None:
        """Copy part of one segment of all channels into ``target`` (C, Y, X)."""
        first = 0
        for page in range(len(self._pages)):
            for plane in range(self._planes):
                segment = self._segment(page, plane * self._grid[0] * self._grid[1] + index)
                samples = target[first : first + self._samples]
                if segment is not None:
                    samples[...] = np.moveaxis(segment[inside], -1, 0)
                first += self._samples

    def _segment(self, page: int, index: int) -> NDArray[Any] | None:
        """Return a decoded segment (Y, X, samples), or None if the file leaves it out."""
        frame = self._pages[page]
        key = (frame.dataoffsets[index], index)
        with self._lock:
            segment = self._cache.get(key)
            if segment is not None or not frame.databytecounts[index]:
                return segment
            handle = frame.parent.filehandle
            with decoding(self._path):
                handle.seek(frame.dataoffsets[index])
                data = handle.read(frame.databytecounts[index])
                decoded, _, _ = self._keyframe.decode(
                    data, index, jpegtables=frame.jpegtables, jpegheader=self._keyframe.jpegheader
                )
            if decoded is None:
                return None
            segment = native(decoded[0])
            self._cache.put(key, segment)
            return segment
