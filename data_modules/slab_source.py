"""Voxels of volumes and of their masks, of which no more is read than is asked for."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data_modules.blocks import Block, rows_range
from data_modules.dataset import IGNORED, Window
from data_modules.manifest import Record
from lotus.imaging import Volume, open_volume
from lotus.masks import Labels
from lotus.transforms import IntensityRange, rescale
from lotus.transforms.intensity_range import Limits
from lotus.transforms.volume_input import limits_of


class OpenVolumes:
    """Volumes that are opened when they are first read, and stay open.

    Every process opens its own: two that read one open file would move each other's place in it.
    """

    def __init__(self) -> None:
        self._opened: dict[tuple[int, Path], Volume] = {}
        self._stack = ExitStack()

    def __call__(self, path: Path) -> Volume:
        """The open volume of a file or folder."""
        key = os.getpid(), path
        if key not in self._opened:
            self._opened[key] = self._stack.enter_context(open_volume(path))
        return self._opened[key]

    def __reduce__(self) -> tuple[type[OpenVolumes], tuple[()]]:
        """Travels to other processes without what is open."""
        return OpenVolumes, ()


def voxel_size(record: Record, volume: Volume) -> tuple[float, float, float]:
    """Voxel size (Z, Y, X) in µm: the manifest's, else the file's, else NaN.

    Args:
        record: The row.
        volume: Its open volume.
    """
    stated = tuple(np.nan if size is None else size for size in volume.spacing_um)
    pixel, spacing = record.pixel_size_um, record.slice_spacing_um
    y, x = stated[1:] if pixel is None else (pixel, pixel)
    return stated[0] if spacing is None else spacing, y, x


def stored_labels(record: Record, mask: Volume, index: int, window: Window) -> Labels:
    """Labels in a slice of a volume, as its mask has them, and where they are to be ignored.

    Args:
        record: The row.
        mask: Its open mask: of the whole volume, or of the slices of the row alone.
        index: Number of the slice in the volume.
        window: Of the slice, (Y, X).

    Raises:
        ValueError: Values that are no whole numbers.
    """
    offset = 0 if mask.shape[0] == record.depth else rows_range(record)[0]
    place = index - offset
    (stored,) = mask.window((slice(place, place + 1), *window))
    return record.mask_values.apply(_whole(record.mask or record.image, index, stored))


class SlabSource:
    """Blocks of slices with their masks, as a network wants them.

    Args:
        blocks: What to read.
        preprocessing: From grey values to [0, 1], with limits that hold all over a volume.
        class_names: Foreground classes of the masks, in the order of their values from 1.
        merged: Value of each class in what is handed out, by its value in the masks.

    Raises:
        ValueError: A volume is constant or holds no finite value, or a mask has another kind than
            the classes.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        *,
        preprocessing: IntensityRange,
        class_names: Sequence[str],
        merged: Sequence[int],
    ) -> None:
        self.blocks = list(blocks)
        self._class_names = list(class_names)
        self._merged = np.asarray([IGNORED, 0, *merged], np.int64)
        self._open = OpenVolumes()
        self._limits: dict[Path, Limits] = {}
        self._spacing: dict[Path, tuple[float, float, float]] = {}
        for block in tqdm(self.blocks, "looking at volumes", delay=2.0, leave=False, disable=None):
            record = block.record
            _check_kind(record, class_names)
            if record.image not in self._limits:
                volume = self._open(record.image)
                self._limits[record.image] = _limits(record.image, volume, preprocessing)
                self._spacing[record.image] = voxel_size(record, volume)

    @property
    def ignores(self) -> bool:
        """Whether the masks may say of a voxel that nothing is known."""
        return any(block.record.mask_values.ignore is not None for block in self.blocks)

    def spacing_um(self, block: int) -> tuple[float, float, float]:
        """Voxel size (Z, Y, X) in µm of a block's volume, NaN where it is not known."""
        return self._spacing[self.blocks[block].record.image]

    def size(self, block: int) -> tuple[int, int, int]:
        """(Z, Y, X) of a block's volume in voxels."""
        return self._open(self.blocks[block].record.image).shape

    def image(self, block: int, slices: NDArray[np.intp], window: Window) -> NDArray[np.float32]:
        """Grey values of slices of a block's volume.

        Args:
            block: Its number.
            slices: (T,), ascending numbers of slices in the volume; some may be equal.
            window: Of every slice, (Y, X).

        Returns:
            float32 (T, Y, X) in [0, 1].
        """
        path = self.blocks[block].record.image
        first, last = int(slices[0]), int(slices[-1])
        raw = self._open(path).window((slice(first, last + 1), *window))
        return rescale(raw, *self._limits[path])[slices - first]

    def mask(
        self, block: int, slices: NDArray[np.intp], window: Window, known: Collection[int]
    ) -> NDArray[np.int64]:
        """Classes in slices of a block.

        Args:
            block: Its number.
            slices: (D,), numbers of slices in the volume.
            window: Of every slice, (Y, X).
            known: The slices whose masks may be used.

        Returns:
            int64 (D, Y, X); -1 where nothing is known.

        Raises:
            ValueError: A value that stands for no class.
        """
        planes: Mapping[int, NDArray[np.int64]] = {
            index: self._classes(self.blocks[block].record, index, window)
            for index in slices.tolist()
            if index in known
        }
        shape = next(iter(planes.values())).shape
        unknown = np.full(shape, IGNORED, np.int64)
        return np.stack([planes.get(index, unknown) for index in slices.tolist()])

    def _classes(self, record: Record, index: int, window: Window) -> NDArray[np.int64]:
        """Classes in one slice (Y, X), merged, -1 where nothing is known."""
        if record.mask is None:
            raise ValueError(f"{record.image}: there is no mask to learn from")
        values, ignored = stored_labels(record, self._open(record.mask), index, window)
        classes = values.astype(np.int64)
        if record.mask_kind != "semantic":
            classes = np.minimum(classes, 1)
        if (largest := int(classes.max(initial=0))) > len(self._class_names):
            listed = ", ".join(f"{i} {n}" for i, n in enumerate(("background", *self._class_names)))
            raise ValueError(
                f"{record.mask}: found label {largest} in slice {index}; allowed are {listed}"
            )
        if ignored is not None:
            classes[ignored] = IGNORED
        return self._merged[classes + 1]


def _limits(path: Path, volume: Volume, preprocessing: IntensityRange) -> Limits:
    try:
        limits = limits_of(volume, preprocessing)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if limits is None:
        raise ValueError(
            f"{type(preprocessing).__name__} has no limits that hold all over a volume; expected "
            "an intensity range, such as lotus.transforms.PercentileRange"
        )
    return limits


def _check_kind(record: Record, class_names: Sequence[str]) -> None:
    if record.mask is not None and record.mask_kind != "semantic" and len(class_names) != 1:
        raise ValueError(
            f"{record.mask}: a mask of kind {record.mask_kind} has one class; found the "
            f"{len(class_names)} class names {', '.join(class_names)}"
        )


def _whole(path: Path, index: int, stored: NDArray[Any]) -> NDArray[Any]:
    """Labels as whole numbers, also those that a program stored as real ones."""
    if stored.dtype.kind in "iu":
        return stored
    fractional = stored[~(np.isfinite(stored) & (stored == np.round(stored)))]
    if fractional.size:
        raise ValueError(
            f"{path} holds {stored.dtype} values such as {fractional[0]:g} in slice {index}; a "
            "label map holds whole numbers"
        )
    return stored.astype(np.int64)
