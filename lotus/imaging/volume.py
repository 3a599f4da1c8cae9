"""Grey volumes, read one slice at a time: TIFF files, OME-Zarr and folders of slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lotus.imaging.file_names import is_zarr
from lotus.imaging.image_files import decoding, is_tiff, native
from lotus.imaging.pixel_size import micrometres, ome_pixels, tiff_pixel_size
from lotus.imaging.raster import read_image, read_size
from lotus.imaging.slice_series import other_size, slice_files
from lotus.imaging.stored_pixels import Encoding, as_image, upright
from lotus.imaging.tiff_files import main_series, refuse_truncated, tiff_encoding
from lotus.imaging.voxels import Spacing


@dataclass(frozen=True)
class Volume:
    """A volume of which one slice at a time is read.

    Attributes:
        shape: (Z, Y, X) in voxels; Z is 1 for a single image.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where the file does not state it.
        read: Gives the (Y, X) slice of a number from 0, in the dtype of the file and the byte
            order of this machine.
    """

    shape: tuple[int, int, int]
    spacing_um: Spacing
    read: Callable[[int], NDArray[Any]]

    @property
    def planes(self) -> Iterator[NDArray[Any]]:
        """Every slice once, from the first to the last."""
        return map(self.read, range(self.shape[0]))


@contextmanager
def open_volume(path: Path) -> Iterator[Volume]:
    """Open a volume: multi-page TIFF, OME-TIFF, ImageJ stack, OME-Zarr or a folder of slices.

    A single image is a volume of one slice. Only headers are read until a slice is asked for, of
    a folder that of its first file; :func:`~lotus.imaging.slice_series.check_series` compares all.

    Args:
        path: TIFF file, OME-Zarr or folder of images; a single image may also be PNG, JPEG or BMP.

    Yields:
        The volume; its slices can be read as long as the body runs.

    Raises:
        FileNotFoundError: There is no such file, or a folder without images.
        ValueError: Not an image, truncated, several images, in colour or with channels; while
            slices are read also one that cannot be decoded, or that has another size.
    """
    path = Path(path)
    if is_zarr(path):
        yield _ome_zarr_volume(path)
    elif path.is_dir():
        yield _series_volume(slice_files(path))
    elif is_tiff(path):
        with _tiff_volume(path) as volume:
            yield volume
    else:
        yield _single_image(path, (None, None, None))


def _ome_zarr_volume(path: Path) -> Volume:
    # Most commands open none, and zarr takes a quarter of a second.
    from lotus.imaging.ome_zarr import OmeZarr

    opened = OmeZarr.open(path)
    return Volume(opened.shape, opened.spacing_um, opened.read)


def _series_volume(files: Sequence[Path]) -> Volume:
    with open_volume(files[0]) as first:
        (depth, height, width), spacing = first.shape, first.spacing_um
    if depth > 1:
        raise ValueError(f"{files[0]} is a volume itself; a folder of single slices is expected")

    def read(index: int) -> NDArray[Any]:
        plane = _grey(files[index], read_image(files[index]).array)
        if plane.shape != (height, width):
            raise other_size(files[index], plane.shape, files[0], (height, width))
        return plane

    return Volume((len(files), height, width), spacing, read)


@contextmanager
def _tiff_volume(path: Path) -> Iterator[Volume]:
    with ExitStack() as stack:
        with decoding(path):
            tiff = stack.enter_context(tifffile.TiffFile(path))
            series = main_series(path, tiff)
            refuse_truncated(path, tiff, series)
            encoding = tiff_encoding(tiff, series.keyframe)
            spacing = _spacing_um(tiff, series, encoding)
        if not _is_stack(path, series):
            yield _single_image(path, spacing)
            return
        *leading, height, width = series.shape
        size = (width, height) if encoding.is_turned else (height, width)
        stored = _stored_reader(path, series)

        def read(index: int) -> NDArray[Any]:
            plane = upright(stored(index), encoding.orientation)
            return _grey(path, as_image(path, plane, encoding))

        yield Volume((math.prod(leading), *size), spacing, read)


def _single_image(path: Path, spacing: Spacing) -> Volume:
    def read(_: int) -> NDArray[Any]:
        return _grey(path, read_image(path).array)

    return Volume((1, *read_size(path)), spacing, read)


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


def _stored_reader(path: Path, series: tifffile.TiffPageSeries) -> Callable[[int], NDArray[Any]]:
    """Gives a slice as it is stored."""
    *leading, height, width = series.shape
    depth = math.prod(leading)
    if len(series.pages) == depth:

        def read(index: int) -> NDArray[Any]:
            with decoding(path):
                return native(series.asarray(key=index))

        return read
    # ImageJ describes all slices of a large volume by one page; they lie uncompressed in a row.
    with decoding(path):
        volume = tifffile.memmap(path, mode="r").reshape(depth, height, width)
    return lambda index: native(np.array(volume[index]))


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
