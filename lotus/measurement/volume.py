"""Segmented volumes of any program as masks of named classes, with the size of their voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.imaging import open_volume
from lotus.imaging.file_names import is_zarr
from lotus.imaging.slice_series import check_series
from lotus.imaging.voxels import Spacing, checked_voxel_size
from lotus.measurement.scale import Scale

CLASS_NAMES = ("lcn", "shade_off", "bone")
"""Classes of a segmentation that measures know; what has another value is background."""
BONE = ("bone", "shade_off")
"""Classes that are bone: what phase contrast shades off is bone all the same."""
BLOCK_DEPTH = 64
"""Slices that are looked at at once; the chunks of most chunked volumes are as deep."""
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class LabelVolume:
    """A segmented volume of which a few slices at a time are read.

    Attributes:
        path: Its file or folder.
        shape: (Z, Y, X) in voxels.
        scale: Size of a voxel.
        classes: Name of each class to its value; empty where none were named.
        block: Gives the values (Z, Y, X) from one slice to before another, as integers.
    """

    path: Path
    shape: tuple[int, int, int]
    scale: Scale
    classes: Mapping[str, int]
    block: Callable[[int, int], NDArray[np.integer[Any]]]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Labels]]:
        """The number of the first slice and the values (Z, Y, X) of a few slices after others.

        Args:
            start: First slice.
            stop: Slice after the last; None for all.
        """
        last = self.shape[0] if stop is None else stop
        for first in range(start, last, BLOCK_DEPTH):
            yield first, self.block(first, min(first + BLOCK_DEPTH, last))

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
        for first, labels in self.blocks(start, last):
            part = found[first - start :][: len(labels)]
            for value in values:
                part |= labels == value
        return found


@contextmanager
def open_labels(
    path: Path,
    *,
    voxel_size_um: Sequence[float] | None = None,
    classes: Mapping[str, int] | None = None,
    foreground: str | None = None,
    at: Mapping[str, int] | None = None,
) -> Iterator[LabelVolume]:
    """Open the label map or binary of a volume, made by any program.

    Args:
        path: TIFF, OME-Zarr or a folder of slices.
        voxel_size_um: (Z, Y, X) in µm, or one number for all; goes before what the file states.
        classes: Name of each class to its value in the file; None: those that an OME-Zarr states.
        foreground: What the one value besides 0 is where no classes are named: the volume is then
            read once, and refused if it has several.
        at: Which index is meant along an axis of an OME-Zarr, as for
            :func:`lotus.imaging.open_volume`.

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
    with open_volume(path, at) as volume:
        whole = slice(None)

        def block(start: int, stop: int) -> Labels:
            return _whole_numbers(path, start, volume.window((slice(start, stop), whole, whole)))

        scale = _scale(path, volume.shape, volume.spacing_um, voxel_size_um)
        named = dict(classes or _stated_classes(path, at))
        labels = LabelVolume(path, volume.shape, scale, named, block)
        if foreground is not None and not named:
            only = _only_value(path, (values for _, values in labels.blocks()), foreground)
            labels = replace(labels, classes={foreground: only})
        yield labels


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
        return Scale(checked_voxel_size(given))
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


def _stated_classes(path: Path, at: Mapping[str, int] | None) -> dict[str, int]:
    """Classes that a measure knows, by the values that the file says they have."""
    if not is_zarr(path):
        return {}
    # Zarr takes a quarter of a second, and most volumes are none.
    from lotus.imaging.ome_zarr import OmeZarr

    stated = OmeZarr.open(path, at).class_names
    return {name: value for value, name in stated.items() if name in CLASS_NAMES}


def _whole_numbers(path: Path, start: int, voxels: NDArray[Any]) -> Labels:
    """Labels as integers, whatever type a program keeps them in."""
    if voxels.dtype.kind in "iu":
        return voxels
    if voxels.dtype.kind == "b":
        return voxels.view(np.uint8)
    is_odd = ~np.isfinite(voxels) | (voxels != np.trunc(voxels))
    if is_odd.any():
        index = start + int(is_odd.any(axis=(1, 2)).argmax())
        raise ValueError(
            f"{path}: slice {index + 1} holds {voxels.dtype} values that are no whole numbers; a "
            "segmented volume is expected"
        )
    return voxels.astype(np.int64)


def _only_value(path: Path, blocks: Iterator[Labels], foreground: str) -> int:
    """The one value besides 0 of a binary; 1 where all is 0."""
    only: int | None = None
    for labels in blocks:
        inside = labels[labels != 0]
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
