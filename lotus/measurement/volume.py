"""Segmented volumes of any program as masks of named classes, with the size of their voxels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.imaging import open_volume
from lotus.imaging.file_names import is_zarr
from lotus.imaging.slice_series import check_series
from lotus.imaging.voxels import Spacing
from lotus.measurement.scale import Scale

CLASS_NAMES = ("lcn", "shade_off", "bone")
"""Classes of a segmentation that measures know; what has another value is background."""


@dataclass(frozen=True)
class LabelVolume:
    """A segmented volume of which a few slices at a time are read.

    Attributes:
        path: Its file or folder.
        shape: (Z, Y, X) in voxels.
        scale: Size of a voxel.
        classes: Name of each class to its value; empty where none were named.
        read: Gives the (Y, X) slice of a number from 0, as integers.
    """

    path: Path
    shape: tuple[int, int, int]
    scale: Scale
    classes: Mapping[str, int]
    read: Callable[[int], NDArray[np.integer[Any]]]

    def block(self, start: int, stop: int) -> NDArray[np.integer[Any]]:
        """The values (Z, Y, X) of the slices from ``start`` to before ``stop``."""
        return np.stack([self.read(index) for index in range(start, stop)])

    def mask(self, *names: str, start: int = 0, stop: int | None = None) -> NDArray[np.bool_]:
        """Where the classes of these names are; a class that was not named is nowhere.

        Args:
            names: Of classes.
            start: First slice.
            stop: Slice after the last; None for all.

        Returns:
            Bool (Z, Y, X), one byte per voxel of those slices.
        """
        values = [self.classes[name] for name in names if name in self.classes]
        last = self.shape[0] if stop is None else stop
        found = np.zeros((last - start, *self.shape[1:]), np.bool_)
        for plane, index in zip(found, range(start, last), strict=True):
            labels = self.read(index)
            for value in values:
                plane |= labels == value
        return found


@contextmanager
def open_labels(
    path: Path,
    *,
    voxel_size_um: Sequence[float] | None = None,
    classes: Mapping[str, int] | None = None,
    foreground: str | None = None,
) -> Iterator[LabelVolume]:
    """Open the label map or binary of a volume, made by any program.

    Args:
        path: TIFF, OME-Zarr or a folder of slices.
        voxel_size_um: (Z, Y, X) in µm, or one number for all; goes before what the file states.
        classes: Name of each class to its value in the file.
        foreground: What the one value besides 0 is where no classes are named: the volume is then
            read once, and refused if it has several.

    Yields:
        The volume, readable as long as the body runs.

    Raises:
        FileNotFoundError: No such file, or a slice of a folder is missing.
        ValueError: Not a volume of whole numbers, of several values without ``classes``, or with a
            voxel size that is none or is known within slices alone.
    """
    path = Path(path)
    if path.is_dir() and not is_zarr(path):
        check_series(path)
    with open_volume(path) as volume:

        def read(index: int) -> NDArray[np.integer[Any]]:
            return _whole_numbers(path, index, volume.read(index))

        scale = _scale(path, volume.shape, volume.spacing_um, voxel_size_um)
        named = dict(classes or {})
        if foreground is not None and not named:
            named = {foreground: _only_value(path, map(read, range(volume.shape[0])), foreground)}
        yield LabelVolume(path, volume.shape, scale, named, read)


def scale_warnings(volume: LabelVolume) -> list[str]:
    """Say loudly that nothing is in µm, where it is so.

    Args:
        volume: Of any scale.
    """
    if volume.scale.spacing_um is not None:
        return []
    return [
        f"{volume.path} states no voxel size and none is given: everything is in voxels, which are "
        "taken as cubes; --voxel-size-um Z Y X gives µm"
    ]


def _scale(
    path: Path, shape: tuple[int, int, int], stated: Spacing, given: Sequence[float] | None
) -> Scale:
    if given is not None:
        sizes = tuple(given) * 3 if len(given) == 1 else tuple(given)
        if len(sizes) != 3 or not all(0 < size < math.inf for size in sizes):
            raise ValueError(
                f"the voxel size is given as {' '.join(f'{size:g}' for size in given)}; one "
                "positive number or three (Z Y X) in µm are expected"
            )
        return Scale((sizes[0], sizes[1], sizes[2]))
    depth, height, width = stated
    if height is None or width is None:
        return Scale(None)
    if depth is None and shape[0] == 1:
        # Nothing is measured across a single slice.
        depth = height
    if depth is None:
        raise ValueError(
            f"{path} states {height:g} x {width:g} µm within slices, and not how far they are "
            "apart; give --voxel-size-um Z Y X"
        )
    return Scale((depth, height, width))


def _whole_numbers(path: Path, index: int, plane: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """Labels as integers, whatever type a program keeps them in."""
    if plane.dtype.kind in "iu":
        return plane
    if plane.dtype.kind == "b":
        return plane.view(np.uint8)
    whole = plane.astype(np.int64) if np.isfinite(plane).all() else None
    if whole is None or not np.array_equal(whole, plane):
        raise ValueError(
            f"{path}: slice {index + 1} holds {plane.dtype} values that are no whole numbers; a "
            "segmented volume is expected"
        )
    return whole


def _only_value(path: Path, planes: Iterator[NDArray[np.integer[Any]]], foreground: str) -> int:
    """The one value besides 0 of a binary; 1 where all is 0."""
    only: int | None = None
    for plane in planes:
        inside = plane[plane != 0]
        if not inside.size:
            continue
        if only is None:
            only = int(inside[0])
        different = inside[inside != only]
        if different.size:
            raise ValueError(
                f"{path} holds the values {only} and {different[0]} besides 0; say what they "
                f"mean: --classes {foreground}={only}"
            )
    return 1 if only is None else only
