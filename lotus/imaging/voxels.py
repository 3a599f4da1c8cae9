"""What every format of volumes agrees on: shape and voxel size, and what fits them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Spacing = tuple[float | None, float | None, float | None]
"""Size of a voxel (Z, Y, X) in µm, None along an axis where it is not known."""


class SliceStore(Protocol):
    """A volume whose slices are written in any order, by any process, in one run or several.

    It travels to other processes, so it holds what it is called and no open file.
    """

    @property
    def path(self) -> Path:
        """Where the volume appears, whole, at the end."""

    @property
    def is_begun(self) -> bool:
        """Whether it was begun and not finished, in this run or an earlier one."""

    def begin(self) -> None:
        """Make ready, once and before any slice; what an earlier run wrote stays.

        Raises:
            ValueError: The volume cannot be written so.
        """

    def write(self, index: int, plane: NDArray[Any]) -> None:
        """Write one slice.

        Args:
            index: Its number, from 0.
            plane: (Y, X) of the volume's type.

        Raises:
            ValueError: Another shape or type, or no such slice.
        """

    def finish(self) -> None:
        """Make the volume appear once all slices are written; nothing hidden is left."""


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
    shape: tuple[int, int, int],
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
