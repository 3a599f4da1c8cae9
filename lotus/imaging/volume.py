"""Volumes, read in parts: TIFF files, OME-Zarr and folders of slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lotus.imaging.file_names import is_zarr
from lotus.imaging.image_files import is_tiff
from lotus.imaging.raster import read_image
from lotus.imaging.slice_series import other_size, slice_files
from lotus.imaging.tiff_stacks import grey, single_image, tiff_volume
from lotus.imaging.voxels import Volume, windows_of_slices


@contextmanager
def open_volume(path: Path, at: Mapping[str, int] | None = None) -> Iterator[Volume]:
    """Open a volume: multi-page TIFF, OME-TIFF, ImageJ stack, OME-Zarr or a folder of slices.

    A single image is a volume of one slice. Only headers are read until a slice is asked for, of
    a folder that of its first file; :func:`~lotus.imaging.slice_series.check_series` compares all.

    Args:
        path: TIFF file, OME-Zarr or folder of images; a single image may also be PNG, JPEG or BMP.
        at: Which index along time (t) or channels (c) of an OME-Zarr is meant, from 0. It has to
            be said where there are several.

    Yields:
        The volume; its parts can be read as long as the body runs.

    Raises:
        FileNotFoundError: There is no such file, or a folder without images.
        ValueError: Not an image, truncated, several images, in colour or with channels; while
            parts are read also one that cannot be decoded, or that has another size.
    """
    path = Path(path)
    if at and not is_zarr(path):
        raise ValueError(f"{path} is no OME-Zarr; an index along {', '.join(at)} goes with one")
    if is_zarr(path):
        yield _ome_zarr_volume(path, at)
    elif path.is_dir():
        yield _series_volume(slice_files(path))
    elif is_tiff(path):
        with tiff_volume(path) as volume:
            yield volume
    else:
        yield single_image(path, (None, None, None))


def _ome_zarr_volume(path: Path, at: Mapping[str, int] | None) -> Volume:
    # Most commands open none, and zarr takes a quarter of a second.
    from lotus.imaging.ome_zarr import OmeZarr

    opened = OmeZarr.open(path, at)
    return Volume(opened.shape, opened.spacing_um, opened.read, opened.window)


def _series_volume(files: Sequence[Path]) -> Volume:
    with open_volume(files[0]) as first:
        (depth, height, width), spacing = first.shape, first.spacing_um
    if depth > 1:
        raise ValueError(f"{files[0]} is a volume itself; a folder of single slices is expected")

    def read(index: int) -> NDArray[Any]:
        plane = grey(files[index], read_image(files[index]).array)
        if plane.shape != (height, width):
            raise other_size(files[index], plane.shape, files[0], (height, width))
        return plane

    depth = len(files)
    return Volume((depth, height, width), spacing, read, windows_of_slices(read, depth))
