"""OME-Zarr volumes that lie hidden until all their blocks are written."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.imaging.file_names import is_zarr
from lotus.imaging.ome_zarr import LABELS
from lotus.imaging.ome_zarr_metadata import LabelClass, Version
from lotus.imaging.ome_zarr_writer import OmeZarrWriter
from lotus.imaging.voxels import Shape, Spacing


@dataclass(frozen=True)
class ZarrStore:
    """An OME-Zarr written block by block; a :class:`~lotus.imaging.voxels.VolumeStore`.

    Attributes:
        path: Its folder, a name ending in .zarr (also .ome.zarr).
        hidden: Folder where it lies until it is finished, on the same file system.
        shape: (Z, Y, X) in voxels.
        dtype: Type of the voxels.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
        depth: Slices of a block, a power of two.
        version: Of OME-Zarr.
        classes: What the values of a label map stand for; None: it is an image.
    """

    path: Path
    hidden: Path
    shape: Shape
    dtype: np.dtype[Any]
    spacing_um: Spacing
    depth: int
    version: Version
    classes: Sequence[LabelClass] | None

    @property
    def is_begun(self) -> bool:
        """Whether it was begun and not finished."""
        return is_zarr(self.hidden)

    def begin(self) -> None:
        """Make the empty volume, unless it is there; see :class:`VolumeStore`."""
        if self.path.exists() and not is_zarr(self.path):
            raise ValueError(f"{self.path} is there and no Zarr; give another name")
        self._writer.create(self.spacing_um, name=self.path.name, classes=self.classes or ())

    def write(self, start: int, block: NDArray[Any]) -> None:
        """Write one block; see :class:`VolumeStore`."""
        self._writer.write(start, block)

    def finish(self) -> None:
        """Put it in its place, where an older one goes; see :class:`VolumeStore`."""
        for stopped in self.hidden.rglob("*.partial"):  # what Zarr was writing when it was killed
            stopped.unlink()
        old = self.path.with_name(f".{self.path.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(old)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Another file system is possible, such as that of --mask.
        shutil.move(self.hidden, self.path)
        shutil.rmtree(old, ignore_errors=True)

    @property
    def _writer(self) -> OmeZarrWriter:
        is_label = self.classes is not None
        return OmeZarrWriter(
            self.hidden, self.shape, self.dtype, self.depth, is_label, self.version
        )


@dataclass(frozen=True)
class ZarrLabelStore:
    """A label map inside an OME-Zarr that is being written; it appears with its image.

    Attributes:
        image: The image.
        name: Of the label map.
        dtype: Type of the labels.
    """

    image: ZarrStore
    name: str
    dtype: np.dtype[Any]

    @property
    def path(self) -> Path:
        """Where the label map appears: in the folder of its image."""
        return self.image.path / LABELS / self.name

    @property
    def depth(self) -> int:
        """Slices of a block: those of its image."""
        return self.image.depth

    @property
    def is_begun(self) -> bool:
        """Whether it was begun and not finished."""
        return is_zarr(self._writer.path)

    def begin(self) -> None:
        """Make the empty map beside its image, which is begun before; see :class:`VolumeStore`."""
        self._writer.create(self.image.spacing_um, image=self.image.hidden)

    def write(self, start: int, block: NDArray[Any]) -> None:
        """Write one block; see :class:`VolumeStore`."""
        self._writer.write(start, block)

    def finish(self) -> None:
        """Nothing is left to do: the image takes it along."""

    @property
    def _writer(self) -> OmeZarrWriter:
        image = self.image
        path = image.hidden / LABELS / self.name
        return OmeZarrWriter(path, image.shape, self.dtype, image.depth, True, image.version)
