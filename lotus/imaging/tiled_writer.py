"""Tiled OME-TIFF files written band by band."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from lotus.atomic import atomic_path
from lotus.imaging.file_names import TIFF_SUFFIXES
from lotus.imaging.raster import pixel_size_fields

_BIGTIFF_BYTES = 2**31


class TiledWriter:
    """Writes a grey image or label map of any size from bands of full-width rows.

    Used in a ``with`` statement. Tiles are compressed as soon as their rows are complete and wait
    in an unnamed file beside the target, so memory holds one row of tiles. The target appears when
    the body has ended without an error and all rows were written; otherwise nothing is left behind.

    Args:
        path: Name ending in .tif or .tiff (also .ome.tif).
        shape: (Y, X) of the whole image.
        dtype: uint8, uint16 or uint32.
        tile: Side of a tile in pixels, a multiple of 16.
        spacing_um: Pixel size (Y, X) in µm, or None.

    Raises:
        ValueError: Another suffix, shape, type, tile or pixel size; on leaving, rows are missing.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        dtype: DTypeLike,
        *,
        tile: int = 512,
        spacing_um: tuple[float, float] | None = None,
    ) -> None:
        self._path, self._shape, self._tile = Path(path), shape, tile
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        if self._path.suffix.lower() not in TIFF_SUFFIXES:
            raise ValueError(f"{path}: a tiled image is a .tif or .ome.tif file")
        if self._dtype.name not in ("uint8", "uint16", "uint32"):
            raise ValueError(
                f"{path}: {self._dtype} cannot be written; use uint8, uint16 or uint32"
            )
        if tile < 16 or tile % 16:
            raise ValueError(f"{path}: the tile side is {tile}; a multiple of 16 is expected")
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(
                f"{path}: the shape is {shape}; (Y, X) of at least 1 x 1 pixels is expected"
            )
        self._fields = pixel_size_fields("YX", spacing_um)
        self._rows = 0
        self._counts: list[int] = []
        self._band = np.zeros((tile, -(-shape[1] // tile) * tile), self._dtype.newbyteorder("<"))

    def __enter__(self) -> TiledWriter:
        """Open the unnamed file of compressed tiles."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._spool = tempfile.TemporaryFile(dir=self._path.parent)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file together unless the body failed."""
        with self._spool:
            if error is None:
                self._finish()

    def write(self, band: NDArray[Any]) -> None:
        """Append rows.

        Args:
            band: (rows, X) integers within the range of the file's type, any number of rows.

        Raises:
            ValueError: Another width, more rows than the image has, or a value out of range.
        """
        if band.ndim != 2 or band.shape[1] != self._shape[1] or band.dtype.kind not in "iub":
            raise ValueError(
                f"{self._path}: got a band of {band.dtype} {band.shape}; integers of the shape "
                f"(rows, {self._shape[1]}) are expected"
            )
        if self._rows + len(band) > self._shape[0]:
            raise ValueError(f"{self._path}: got {self._rows + len(band)} rows of {self._shape[0]}")
        if band.size and (band.min() < 0 or band.max() > np.iinfo(self._dtype).max):
            raise ValueError(
                f"{self._path}: values {band.min()} to {band.max()} do not fit {self._dtype}"
            )
        done = 0
        while done < len(band):
            start = self._rows % self._tile
            part = band[done : done + self._tile - start]
            self._band[start : start + len(part), : self._shape[1]] = part
            done += len(part)
            self._rows += len(part)
            if self._rows % self._tile == 0 or self._rows == self._shape[0]:
                self._flush()

    def _flush(self) -> None:
        """Compress the complete row of tiles."""
        for left in range(0, self._band.shape[1], self._tile):
            data = zlib.compress(self._band[:, left : left + self._tile].tobytes())
            self._counts.append(len(data))
            self._spool.write(data)
        self._band[:] = 0

    def _finish(self) -> None:
        """Copy the compressed tiles into the TIFF file."""
        if self._rows < self._shape[0]:
            raise ValueError(f"{self._path}: got {self._rows} rows of {self._shape[0]}")
        self._spool.seek(0)
        nbytes = self._shape[0] * self._shape[1] * self._dtype.itemsize
        with (
            atomic_path(self._path) as temporary,
            tifffile.TiffWriter(
                temporary, bigtiff=nbytes > _BIGTIFF_BYTES, byteorder="<", ome=True
            ) as tiff,
        ):
            tiff.write(
                self._compressed_tiles(),
                shape=self._shape,
                dtype=self._dtype,
                photometric="minisblack",
                tile=(self._tile, self._tile),
                compression="zlib",
                **self._fields,
            )

    def _compressed_tiles(self) -> Iterator[bytes]:
        for count in self._counts:
            yield self._spool.read(count)


def write_tiled(
    path: Path,
    shape: tuple[int, int],
    dtype: DTypeLike,
    rows: Iterable[NDArray[Any]],
    *,
    tile: int = 512,
    spacing_um: tuple[float, float] | None = None,
) -> None:
    """Write a tiled OME-TIFF from an iterator of full-width bands, top to bottom.

    Args:
        path: Name ending in .tif or .tiff (also .ome.tif).
        shape: (Y, X) of the whole image.
        dtype: uint8, uint16 or uint32.
        rows: Bands (rows, X) that together have Y rows.
        tile: Side of a tile in pixels, a multiple of 16.
        spacing_um: Pixel size (Y, X) in µm, or None.

    Raises:
        ValueError: As for ``TiledWriter``.
    """
    with TiledWriter(path, shape, dtype, tile=tile, spacing_um=spacing_um) as writer:
        for band in rows:
            writer.write(band)
