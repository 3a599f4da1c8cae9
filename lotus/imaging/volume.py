"""Grey volumes as TIFF files, read and written one slice at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from lotus.atomic import atomic_path
from lotus.imaging.file_names import TIFF_SUFFIXES
from lotus.imaging.image_files import decoding, is_tiff, native
from lotus.imaging.pixel_size import micrometres, ome_pixels, tiff_pixel_size
from lotus.imaging.raster import read_image, read_size
from lotus.imaging.stored_pixels import Encoding, as_image, upright
from lotus.imaging.tiff_files import main_series, refuse_truncated, tiff_encoding

Spacing = tuple[float | None, float | None, float | None]
"""Size of a voxel (Z, Y, X) in µm, None along an axis where it is not known."""

# Offsets of a classic TIFF have 32 bits; some room stays for the metadata.
CLASSIC_TIFF_BYTES = 2**32 - 2**25


@dataclass(frozen=True)
class Volume:
    """A volume of which one slice at a time is read.

    Attributes:
        shape: (Z, Y, X) in voxels; Z is 1 for a single image.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where the file does not state it.
        planes: Yields every (Y, X) slice once, from the first to the last, in the dtype of the
            file and the byte order of this machine.
    """

    shape: tuple[int, int, int]
    spacing_um: Spacing
    planes: Iterator[NDArray[Any]]


@contextmanager
def open_volume(path: Path) -> Iterator[Volume]:
    """Open a multi-page TIFF, OME-TIFF or ImageJ stack; a single image is a volume of one slice.

    Only the header is read until the planes are asked for, and then one slice at a time.

    Args:
        path: TIFF file; a single image may also be PNG, JPEG or BMP.

    Yields:
        The volume; its planes can be read as long as the body runs.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not an image, truncated, several images, in colour or with channels; while
            planes are read also a slice that cannot be decoded.
    """
    path = Path(path)
    if not is_tiff(path):
        yield Volume((1, *read_size(path)), (None, None, None), _single_plane(path))
        return
    with ExitStack() as stack:
        with decoding(path):
            tiff = stack.enter_context(tifffile.TiffFile(path))
            series = main_series(path, tiff)
            refuse_truncated(path, tiff, series)
            encoding = tiff_encoding(tiff, series.keyframe)
            spacing = _spacing_um(tiff, series, encoding)
        if not _is_stack(path, series):
            yield Volume((1, *read_size(path)), spacing, _single_plane(path))
            return
        *leading, height, width = series.shape
        size = (width, height) if encoding.is_turned else (height, width)
        planes = _planes(path, series, encoding)
        yield Volume((math.prod(leading), *size), spacing, planes)


@contextmanager
def volume_writer(
    path: Path,
    shape: tuple[int, int, int],
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
    path = Path(path)
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise ValueError(f"{path}: a volume is written as a .tif or .ome.tif file")
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"{path}: the shape is {shape}; (Z, Y, X) of at least 1 is expected")
    if len(spacing_um) != 3 or not all(s is None or 0 < s < math.inf for s in spacing_um):
        raise ValueError(
            f"{path}: the voxel size is {spacing_um} µm; (Z, Y, X) is expected, each positive or "
            "None"
        )
    dtype = np.dtype(dtype)
    description: bytes | None = _ome_xml(shape, dtype, spacing_um)
    fields: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    if spacing_um[1] and spacing_um[2]:
        fields["resolution"] = (1e4 / spacing_um[2], 1e4 / spacing_um[1])
        fields["resolutionunit"] = "CENTIMETER"
    is_big = math.prod(shape) * dtype.itemsize > CLASSIC_TIFF_BYTES
    written = 0

    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=is_big) as tiff:

        def write(plane: NDArray[Any]) -> None:
            nonlocal description, written
            if plane.shape != shape[1:] or plane.dtype != dtype or written == shape[0]:
                raise ValueError(
                    f"{path}: got slice {written + 1} of {plane.dtype} {plane.shape}; {shape[0]} "
                    f"slices of {dtype} {shape[1:]} are expected"
                )
            tiff.write(plane, description=description, **fields)
            description, written = None, written + 1

        yield write
        if written < shape[0]:
            raise ValueError(f"{path}: got {written} slices of {shape[0]}")


def _single_plane(path: Path) -> Iterator[NDArray[Any]]:
    yield _grey(path, read_image(path).array)


def _grey(path: Path, plane: NDArray[Any]) -> NDArray[Any]:
    if plane.ndim != 2:
        raise ValueError(f"{path} has {plane.shape[2]} channels; a slice of a volume is grey")
    return plane


def _is_stack(path: Path, series: tifffile.TiffPageSeries) -> bool:
    """Whether a TIFF holds several grey slices; an image is left to ``read_image``."""
    if "C" in series.axes and series.shape[series.axes.index("C")] > 1:
        raise ValueError(
            f"{path} has the axes {series.axes} {series.shape}, of which C are channels; "
            "a grey volume (Z, Y, X) is expected"
        )
    return series.axes.endswith("YX") and math.prod(series.shape[:-2]) > 1


def _planes(
    path: Path, series: tifffile.TiffPageSeries, encoding: Encoding
) -> Iterator[NDArray[Any]]:
    for stored in _stored_planes(path, series):
        yield _grey(path, as_image(path, upright(stored, encoding.orientation), encoding))


def _stored_planes(path: Path, series: tifffile.TiffPageSeries) -> Iterator[NDArray[Any]]:
    *leading, height, width = series.shape
    depth = math.prod(leading)
    if len(series.pages) == depth:
        for index in range(depth):
            with decoding(path):
                plane = native(series.asarray(key=index))
            yield plane
        return
    # ImageJ describes all slices of a large volume by one page; they lie uncompressed in a row.
    with decoding(path):
        volume = tifffile.memmap(path, mode="r").reshape(depth, height, width)
    for stored in volume:
        yield native(np.array(stored))


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


def _ome_xml(shape: tuple[int, int, int], dtype: np.dtype[Any], spacing_um: Spacing) -> bytes:
    """The metadata that make one image (Z, Y, X) of the pages that follow."""
    depth, height, width = shape
    sizes = {
        f"PhysicalSize{axis}": size
        for axis, size in zip("ZYX", spacing_um, strict=True)
        if size is not None
    }
    units = {f"{name}Unit": "µm" for name in sizes}
    ome = tifffile.OmeXml()
    stored = (depth, 1, 1, height, width, 1)
    ome.addimage(dtype, shape, stored, axes="ZYX", **sizes, **units)
    return ome.tostring(declaration=True).encode()
