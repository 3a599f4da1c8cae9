"""OME-Zarr 0.4 and 0.5 written block by block, by any number of processes at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from lotus.imaging.image_files import ImageFileError
from lotus.imaging.ome_zarr import LABELS, OmeZarr
from lotus.imaging.ome_zarr_metadata import (
    ZARR_FORMAT,
    LabelClass,
    Version,
    image_attributes,
    labels_attributes,
)
from lotus.imaging.pyramid import Level, coarser, levels_of
from lotus.imaging.voxels import Shape, Spacing, check_block, check_voxels
from lotus.imaging.zarr_files import write_block

# Names compress best by their bits. Of grey values lz4 makes files as small as zstd does, to a
# twentieth, in a third of its time.
COMPRESSORS: dict[tuple[Version, bool], Any] = {
    ("0.4", False): {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1},
    ("0.4", True): {"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 2},
    ("0.5", False): BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
    ("0.5", True): BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
}
"""By version and whether it is a label map."""


@dataclass(frozen=True)
class OmeZarrWriter:
    """An image or label map (Z, Y, X) whose blocks are written.

    A block is ``depth`` slices. It is whole chunks at every level of the pyramid, in version 0.5 a
    shard of its own, so that processes that write different blocks never touch the same file.

    Attributes:
        path: Its folder.
        shape: (Z, Y, X) in voxels.
        dtype: Type of the voxels.
        depth: Slices of a block, a power of two.
        is_label: Whether values are names: then every second one makes a coarser level, not the
            mean.
        version: Of OME-Zarr.
    """

    path: Path
    shape: Shape
    dtype: np.dtype[Any]
    depth: int = 1
    is_label: bool = False
    version: Version = "0.5"

    def create(
        self,
        spacing_um: Spacing = (None, None, None),
        *,
        name: str | None = None,
        classes: Sequence[LabelClass] = (),
        image: Path | None = None,
    ) -> None:
        """Make an empty volume, all 0; what is there of one is kept if it is the same.

        Args:
            spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
            name: Of the image; None: that of the folder.
            classes: What the values of a label map stand for.
            image: The image whose label map it is; it then lies in ``<image>/labels/<name>``, and
                the image lists it.

        Raises:
            ValueError: Shape and spacing are not those of a volume, or another one is there.
        """
        check_voxels(self.path, self.shape, spacing_um)
        levels = levels_of(self.shape, self.depth)
        group = zarr.open_group(self.path, mode="a", zarr_format=ZARR_FORMAT[self.version])
        group.attrs.update(
            image_attributes(
                self.version,
                name or self.path.name,
                levels,
                spacing_um,
                is_label=self.is_label,
                classes=classes,
                source=None if image is None else "../../",
            )
        )
        for number, level in enumerate(levels):
            self._require(group, str(number), level)
        if image is not None:
            self._list_in(image)

    def write(self, start: int, block: NDArray[Any]) -> None:
        """Write one block and its part of the pyramid.

        Args:
            start: Number of its first slice, from 0; a multiple of ``depth``.
            block: (Z, Y, X) of the volume's type; the last one may have fewer slices.

        Raises:
            ValueError: Another shape or type, or no whole block of the volume.
        """
        check_block(self.path, start, block, self.shape, self.dtype, self.depth)
        group = zarr.open_group(self.path, mode="r+", zarr_format=ZARR_FORMAT[self.version])
        for number, level in enumerate(levels_of(self.shape, self.depth)):
            if number:
                block = coarser(block, is_label=self.is_label)
            array = group[str(number)]
            if not isinstance(array, zarr.Array):
                raise ImageFileError(f"{self.path} holds no array for level {number}")
            write_block(array, start // level.factors[0], block)

    def _require(self, group: zarr.Group, name: str, level: Level) -> None:
        """Make the array of a level, unless it is there."""
        if (found := group.get(name)) is not None:
            is_same = (
                isinstance(found, zarr.Array)
                and found.shape == level.shape
                and found.dtype == self.dtype
                and found.chunks == level.chunk
            )
            if not is_same:
                raise ValueError(f"{self.path} holds another volume; give another name")
            return
        options: dict[str, Any] = {"shape": level.shape, "dtype": self.dtype, "chunks": level.chunk}
        if self.version == "0.4":
            options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        else:
            options |= {"shards": level.shard, "dimension_names": ("z", "y", "x")}
        options["compressors"] = COMPRESSORS[self.version, self.is_label]
        group.create_array(name, fill_value=0, **options)

    def _list_in(self, image: Path) -> None:
        """Add the name to the list of label maps that readers look in."""
        group = zarr.open_group(image / LABELS, mode="a", zarr_format=ZARR_FORMAT[self.version])
        names = sorted({*OmeZarr(image).label_names, self.path.name})
        group.attrs.update(labels_attributes(self.version, names))
