"""Volumes as OME-TIFF, written slice by slice: in order, or by several processes."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from lotus.atomic import atomic_path
from lotus.imaging.file_names import TIFF_SUFFIXES
from lotus.imaging.image_files import decoding
from lotus.imaging.voxels import Shape, Spacing, check_block, check_plane, check_voxels

# Offsets of a classic TIFF have 32 bits; some room stays for the metadata.
CLASSIC_TIFF_BYTES = 2**32 - 2**25


@contextmanager
def volume_writer(
    path: Path,
    shape: Shape,
    dtype: DTypeLike,
    spacing_um: Spacing = (None, None, None),
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write a deflate-compressed OME-TIFF one slice at a time; it appears whole or not at all.

    Args:
        path: Name ending in .tif or .tiff (also .ome.tif).
        shape: (Z, Y, X) in voxels.
        dtype: Type of the voxels.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.

    Yields:
        A function that appends one slice (Y, X) of that type.

    Raises:
        ValueError: Another suffix, or shape and spacing are not those of a volume; while slices are
            written one of another shape or type; on leaving, slices are missing.
    """
    path, dtype = Path(path), np.dtype(dtype)
    _check(path, shape, spacing_um)
    written = 0
    with _pages(path, shape, dtype, spacing_um, identity=()) as write_page:

        def write(plane: NDArray[Any]) -> None:
            nonlocal written
            check_plane(path, written, plane, shape, dtype)
            write_page(plane)
            written += 1

        yield write
        if written < shape[0]:
            raise ValueError(f"{path}: got {written} slices of {shape[0]}")


@dataclass(frozen=True)
class TiffSlices:
    """An OME-TIFF written block by block; a :class:`~lotus.imaging.voxels.VolumeStore`.

    A slice waits, compressed, in a hidden folder; at the end the compressed bytes are put together.
    The file is the same to the byte, whoever wrote the slices.

    Attributes:
        path: Name ending in .tif or .tiff (also .ome.tif).
        hidden: Folder of what is not finished, on the same file system as the file.
        shape: (Z, Y, X) in voxels.
        dtype: Type of the voxels.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
        depth: Slices of a block.
    """

    path: Path
    hidden: Path
    shape: Shape
    dtype: np.dtype[Any]
    spacing_um: Spacing
    depth: int = 1

    @property
    def is_begun(self) -> bool:
        """Whether it was begun and not finished."""
        return self.hidden.exists()

    def begin(self) -> None:
        """Make ready; what is there of an earlier run stays.

        Raises:
            ValueError: Another suffix, or shape and spacing are not those of a volume.
        """
        _check(self.path, self.shape, self.spacing_um)
        self.hidden.mkdir(parents=True, exist_ok=True)

    def write(self, start: int, block: NDArray[Any]) -> None:
        """Write one block; see :class:`~lotus.imaging.voxels.VolumeStore`."""
        check_block(self.path, start, block, self.shape, self.dtype, self.depth)
        for index, plane in enumerate(block, start):
            with atomic_path(self._part(index)) as temporary:
                # Of noise the fastest level makes files as small as the others do.
                tifffile.imwrite(temporary, plane, **_fields((None, None, None), level=1))

    def finish(self) -> None:
        """Put the file together.

        Raises:
            FileNotFoundError: A slice was not written.
        """
        parts = [self._part(index) for index in range(self.shape[0])]
        counts = [_segment_bytes(part) for part in parts]
        with _pages(self.path, self.shape, self.dtype, self.spacing_um, counts) as write_page:
            for part in parts:
                _copy_page(part, write_page, self.shape[1:], self.dtype)
        # At once, so that what is half removed is not taken for what was begun.
        removed = self.hidden.rename(self.hidden.with_name(f"{self.hidden.name}-removed"))
        shutil.rmtree(removed)

    def _part(self, index: int) -> Path:
        return self.hidden / f"{index:06d}.tif"


def _check(path: Path, shape: Shape, spacing_um: Spacing) -> None:
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise ValueError(f"{path}: a volume is written as a .tif or .ome.tif file")
    check_voxels(path, shape, spacing_um)


@contextmanager
def _pages(
    path: Path,
    shape: Shape,
    dtype: np.dtype[Any],
    spacing_um: Spacing,
    identity: Sequence[object],
) -> Iterator[Callable[..., None]]:
    """Open the file for its pages; the first of them carries the description."""
    description: bytes | None = _ome_xml(shape, dtype, spacing_um, identity)
    is_big = math.prod(shape) * dtype.itemsize > CLASSIC_TIFF_BYTES
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=is_big) as tiff:

        def write(page: NDArray[Any] | Iterator[bytes], **options: Any) -> None:
            nonlocal description
            tiff.write(page, description=description, **_fields(spacing_um), **options)
            description = None

        yield write


def _fields(spacing_um: Spacing, level: int | None = None) -> dict[str, Any]:
    """The arguments of ``tifffile`` for one page."""
    fields: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    if level is not None:
        fields["compressionargs"] = {"level": level}
    if spacing_um[1] and spacing_um[2]:
        fields["resolution"] = (1e4 / spacing_um[2], 1e4 / spacing_um[1])
        fields["resolutionunit"] = "CENTIMETER"
    return fields


def _segment_bytes(part: Path) -> tuple[int, ...]:
    if not part.is_file():
        raise FileNotFoundError(f"{part} is not there; was the slice written?")
    with decoding(part), tifffile.TiffFile(part) as tiff:
        return tuple(tiff.pages.first.databytecounts)


def _copy_page(
    part: Path,
    write_page: Callable[..., None],
    size: tuple[int, ...],
    dtype: np.dtype[Any],
) -> None:
    """Hand the compressed strips of a slice over as they are."""
    with decoding(part), tifffile.TiffFile(part) as tiff:
        page = tiff.pages.first
        segments = tiff.filehandle.read_segments(page.dataoffsets, page.databytecounts)
        strips = [strip for strip, _ in segments if strip is not None]
    write_page(iter(strips), shape=size, dtype=dtype, rowsperstrip=page.rowsperstrip)


def _ome_xml(
    shape: Shape,
    dtype: np.dtype[Any],
    spacing_um: Spacing,
    identity: Sequence[object],
) -> bytes:
    """The metadata that make one image (Z, Y, X) of the pages that follow."""
    depth, height, width = shape
    sizes = {
        f"PhysicalSize{axis}": size
        for axis, size in zip("ZYX", spacing_um, strict=True)
        if size is not None
    }
    units = {f"{name}Unit": "µm" for name in sizes}
    # By the content rather than by the clock, so that the same volume is the same file.
    identifier = uuid5(NAMESPACE_OID, repr((shape, dtype.str, spacing_um, identity)))
    ome = tifffile.OmeXml(UUID=f"urn:uuid:{identifier}")
    stored = (depth, 1, 1, height, width, 1)
    ome.addimage(dtype, shape, stored, axes="ZYX", **sizes, **units)
    return ome.tostring(declaration=True).encode()
