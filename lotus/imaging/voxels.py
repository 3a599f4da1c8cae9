"""What every format of volumes agrees on: shape, voxel size, how parts are read and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
"""(Z, Y, X) in voxels."""
Spacing = tuple[float | None, float | None, float | None]
"""Size of a voxel (Z, Y, X) in µm, None along an axis where it is not known."""
Window = tuple[slice, slice, slice]
"""A part (Z, Y, X) of a volume; without steps."""

SAMPLED_SLICES = 16
"""Most slices that the grey values of a volume are judged by."""


@dataclass(frozen=True)
class Volume:
    """A volume of which parts are read.

    Attributes:
        shape: (Z, Y, X) in voxels; Z is 1 for a single image.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where the file does not state it.
        read: Gives the (Y, X) slice of a number from 0, in the dtype of the file and the byte
            order of this machine.
        window: Gives the part (Z, Y, X) within three slices, likewise. As little as the format
            allows is read beside it: nothing of an uncompressed TIFF, else what lies in the same
            chunks, strips or tiles.
    """

    shape: Shape
    spacing_um: Spacing
    read: Callable[[int], NDArray[Any]]
    window: Callable[[Window], NDArray[Any]]

    @property
    def planes(self) -> Iterator[NDArray[Any]]:
        """Every slice once, from the first to the last."""
        return map(self.read, range(self.shape[0]))

    def sample(self, voxels: int) -> NDArray[Any]:
        """Voxels from all over the volume, for statistics of its grey values.

        Every n-th row and column of up to 16 slices at equal distances, the same at every call.

        Args:
            voxels: How many at most, but one of each slice.

        Returns:
            (z, y, x) in the dtype of the file.
        """
        depth, height, width = self.shape
        slices = np.unique(np.linspace(0, depth - 1, min(depth, SAMPLED_SLICES)).round())
        step = max(1, math.isqrt(len(slices) * height * width // max(voxels, 1)))
        while len(slices) * -(-height // step) * -(-width // step) > max(voxels, len(slices)):
            step += 1
        return np.stack([self.read(int(index))[::step, ::step] for index in slices])


def windows_of_slices(
    read: Callable[[int], NDArray[Any]], depth: int
) -> Callable[[Window], NDArray[Any]]:
    """How parts are read of a format whose slices are decoded as wholes.

    Args:
        read: Gives the slice (Y, X) of a number.
        depth: How many slices there are.
    """

    def window(part: Window) -> NDArray[Any]:
        return np.stack([read(index)[part[1:]] for index in range(*part[0].indices(depth))])

    return window


class VolumeStore(Protocol):
    """A volume whose blocks are written in any order, by any process, in one run or several.

    A block is :attr:`depth` slices that begin at a multiple of it; the last one may have fewer.
    The store travels to other processes, so it holds what it is called and no open file.
    """

    @property
    def path(self) -> Path:
        """Where the volume appears, whole, at the end."""

    @property
    def depth(self) -> int:
        """Slices of a block."""

    @property
    def is_begun(self) -> bool:
        """Whether it was begun and not finished, in this run or an earlier one."""

    def begin(self) -> None:
        """Make ready, once and before any block; what an earlier run wrote stays.

        Raises:
            ValueError: The volume cannot be written so.
        """

    def write(self, start: int, block: NDArray[Any]) -> None:
        """Write one block.

        Args:
            start: Number of its first slice, from 0.
            block: (Z, Y, X) of the volume's type.

        Raises:
            ValueError: Another shape or type, or no whole block of the volume.
        """

    def finish(self) -> None:
        """Make the volume appear once all blocks are written; nothing hidden is left."""


def checked_voxel_size(given: Sequence[float]) -> tuple[float, float, float]:
    """A voxel size that was given by hand.

    Args:
        given: (Z, Y, X) in µm, or one number for all.

    Raises:
        ValueError: Another number of numbers, or one that is not positive.
    """
    sizes = tuple(given) * 3 if len(given) == 1 else tuple(given)
    if len(sizes) != 3 or not all(0 < size < math.inf for size in sizes):
        raise ValueError(
            f"the voxel size is given as {' '.join(f'{size:g}' for size in given)}; one positive "
            "number or three (Z Y X) in µm are expected"
        )
    return sizes[0], sizes[1], sizes[2]


def check_voxels(path: Path, shape: tuple[int, ...], spacing_um: tuple[float | None, ...]) -> None:
    """Refuse a shape or voxel size that is none of a volume.

    Args:
        path: The volume's file, for the message.
        shape: (Z, Y, X) in voxels.
        spacing_um: (Z, Y, X) in µm.

    Raises:
        ValueError: Fewer than one voxel along an axis, or a size that is not positive.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"{path}: the shape is {shape}; (Z, Y, X) of at least 1 is expected")
    if len(spacing_um) != 3 or not all(s is None or 0 < s < math.inf for s in spacing_um):
        raise ValueError(
            f"{path}: the voxel size is {spacing_um} µm; (Z, Y, X) is expected, each positive or "
            "None"
        )


def check_plane(
    path: Path,
    index: int,
    plane: NDArray[Any],
    shape: Shape,
    dtype: np.dtype[Any],
) -> None:
    """Refuse a slice that is none of the volume.

    Args:
        path: The volume's file, for the message.
        index: Number of the slice, from 0.
        plane: The slice.
        shape: (Z, Y, X) of the volume.
        dtype: Type of its voxels.

    Raises:
        ValueError: Another shape or type, or no such slice.
    """
    if plane.shape != shape[1:] or plane.dtype != dtype or not 0 <= index < shape[0]:
        raise ValueError(
            f"{path}: got slice {index + 1} of {plane.dtype} {plane.shape}; {shape[0]} slices of "
            f"{dtype} {shape[1:]} are expected"
        )


def check_block(
    path: Path,
    start: int,
    block: NDArray[Any],
    shape: Shape,
    dtype: np.dtype[Any],
    depth: int = 1,
) -> None:
    """Refuse slices that are no block of the volume.

    Two processes that write parts of one chunk lose each other's voxels without a word, so a block
    begins where chunks begin and ends where they end.

    Args:
        path: The volume's file, for the message.
        start: Number of the first slice, from 0.
        block: The slices.
        shape: (Z, Y, X) of the volume.
        dtype: Type of its voxels.
        depth: Slices of a block.

    Raises:
        ValueError: Another shape or type, no such slices, or part of a block.
    """
    expected = (max(min(depth, shape[0] - start), 1), *shape[1:])
    if (
        block.dtype != dtype
        or block.shape != expected
        or start % depth
        or start < 0
        or start >= shape[0]
    ):
        unit = "slices" if depth == 1 else f"slices, {depth} at a time,"
        raise ValueError(
            f"{path}: got {block.dtype} {block.shape} from slice {start + 1} on; {shape[0]} {unit} "
            f"of {dtype} {shape[1:]} are expected"
        )
