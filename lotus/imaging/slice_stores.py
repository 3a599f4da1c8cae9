"""Volumes written slice by slice by several processes, in the format that their name says."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lotus.imaging.file_names import ZARR_SUFFIX, is_zarr
from lotus.imaging.ome_zarr import LABELS, OmeZarr
from lotus.imaging.tiff_volumes import TiffSlices
from lotus.imaging.voxels import SliceStore, Spacing


def slice_stores(
    image: Path,
    mask: Path,
    hidden: Path,
    shape: tuple[int, int, int],
    spacing_um: Spacing,
) -> tuple[SliceStore, SliceStore]:
    """Where the slices of a float32 volume and of its mask are written.

    Args:
        image: Name ending in .tif, .tiff or .zarr (also .ome.tif and .ome.zarr).
        mask: Likewise; or ``<image>/labels/<name>``, a label map inside the image's OME-Zarr.
        hidden: Folder for what is not finished, on the file system of ``image``.
        shape: (Z, Y, X) of both.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.

    Returns:
        The store of the image, float32, and that of the mask, uint8.
    """
    store = _store(image, hidden / "image", shape, np.float32, spacing_um)
    if isinstance(store, ZarrSlices) and mask.parent == image / LABELS:
        return store, ZarrLabelSlices(store, mask.name, np.dtype(np.uint8))
    return store, _store(mask, hidden / "mask", shape, np.uint8, spacing_um)


def _store(
    path: Path,
    hidden: Path,
    shape: tuple[int, int, int],
    dtype: DTypeLike,
    spacing_um: Spacing,
) -> TiffSlices | ZarrSlices:
    kind = ZarrSlices if path.suffix.lower() == ZARR_SUFFIX else TiffSlices
    return kind(path, hidden, shape, np.dtype(dtype), spacing_um)


@dataclass(frozen=True)
class ZarrSlices:
    """An OME-Zarr written slice by slice; a :class:`~lotus.imaging.voxels.SliceStore`.

    Attributes:
        path: Its folder, a name ending in .zarr (also .ome.zarr).
        hidden: Folder where it lies until it is finished, on the same file system.
        shape: (Z, Y, X) in voxels.
        dtype: Type of the voxels.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
    """

    path: Path
    hidden: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    spacing_um: Spacing

    @property
    def is_begun(self) -> bool:
        """Whether it was begun and not finished."""
        return is_zarr(self.hidden)

    def begin(self) -> None:
        """Make the empty volume, unless it is there; see :class:`SliceStore`."""
        if self.path.exists() and not is_zarr(self.path):
            raise ValueError(f"{self.path} is there and no Zarr; give another name")
        OmeZarr.create(self.hidden, self.shape, self.dtype, self.spacing_um)

    def write(self, index: int, plane: NDArray[Any]) -> None:
        """Write one slice; see :class:`SliceStore`."""
        OmeZarr(self.hidden).write(index, plane)

    def finish(self) -> None:
        """Put it in its place, where an older one goes; see :class:`SliceStore`."""
        old = self.path.with_name(f".{self.path.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(old)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Another file system is possible, such as that of --mask.
        shutil.move(self.hidden, self.path)
        shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True)
class ZarrLabelSlices:
    """A label map inside an OME-Zarr that is being written; it appears with its image.

    Attributes:
        image: The image.
        name: Of the label map.
        dtype: Type of the labels.
    """

    image: ZarrSlices
    name: str
    dtype: np.dtype[Any]

    @property
    def path(self) -> Path:
        """Where the label map appears: in the folder of its image."""
        return self.image.path / LABELS / self.name

    @property
    def is_begun(self) -> bool:
        """Whether it was begun and not finished."""
        return is_zarr(self._hidden)

    def begin(self) -> None:
        """Make the empty map beside its image, which is begun before; see :class:`SliceStore`."""
        image = OmeZarr(self.image.hidden)
        OmeZarr.create(
            self._hidden, self.image.shape, self.dtype, self.image.spacing_um, label_of=image
        )

    def write(self, index: int, plane: NDArray[Any]) -> None:
        """Write one slice; see :class:`SliceStore`."""
        OmeZarr(self._hidden).write(index, plane)

    def finish(self) -> None:
        """Nothing is left to do: the image takes it along."""

    @property
    def _hidden(self) -> Path:
        return self.image.hidden / LABELS / self.name
