"""OME-Zarr 0.5: chunked volumes with a pyramid, voxel size and label maps.

Specification: https://ngff.openmicroscopy.org/0.5/. One slice is one shard, so that processes that
write different slices never touch the same file; its chunks are small, so that a window is read
without the rest of the slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray
from zarr.codecs import BloscCodec

from lotus.imaging.file_names import is_zarr
from lotus.imaging.image_files import ImageFileError
from lotus.imaging.pixel_size import micrometres
from lotus.imaging.voxels import Spacing, check_plane, check_voxels

VERSION = "0.5"
LABELS = "labels"
CHUNK = 256
SMALLEST_LEVEL = 512
"""The pyramid ends with the level whose longer side is no longer than this."""


@dataclass(frozen=True)
class OmeZarr:
    """An image or label map (Z, Y, X) in the format OME-Zarr 0.5.

    Every level of the pyramid halves the slices and leaves their number as it is. Grey values are
    averaged, of labels every second is kept.

    Attributes:
        path: Its folder, which is all it needs to be sent to another process.
    """

    path: Path

    @classmethod
    def create(
        cls,
        path: Path,
        shape: tuple[int, int, int],
        dtype: DTypeLike,
        spacing_um: Spacing = (None, None, None),
        *,
        label_of: OmeZarr | None = None,
    ) -> OmeZarr:
        """Make an empty one, all 0; what is there of one is kept if it is the same.

        Args:
            path: Its folder; that of a label map of another image is ``<image>/labels/<name>``.
            shape: (Z, Y, X) in voxels.
            dtype: Type of the voxels.
            spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
            label_of: The image whose label map it is; the image then lists it.

        Raises:
            ValueError: Shape and spacing are not those of a volume, or another one is there.
        """
        check_voxels(path, shape, spacing_um)
        levels = _levels(shape)
        group = zarr.open_group(path, mode="a", zarr_format=3)
        content = _multiscales(path.name, levels, spacing_um, is_label=label_of is not None)
        if label_of is not None:
            content["image-label"] = {"source": {"image": "../../"}}
            label_of.list_label(path.name)
        group.attrs["ome"] = content
        for number, size in enumerate(levels):
            _require_level(group, str(number), size, np.dtype(dtype))
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> OmeZarr:
        """Open one of any writer.

        Raises:
            ImageFileError: It is no OME-Zarr of version 0.5 with a grey volume (Z, Y, X).
        """
        opened = cls(path)
        axes = [str(axis.get("name", "")).lower() for axis in opened._multiscale.get("axes", [])]
        single = (1,) * (len(axes) - 3)
        if axes[-3:] != ["z", "y", "x"] or opened._array(0).shape[: len(single)] != single:
            raise ImageFileError(
                f"{path} has the axes {''.join(axes) or 'of no image'} "
                f"{opened._array(0).shape}; a grey volume zyx is expected"
            )
        return opened

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X) in voxels."""
        depth, height, width = self._array(0).shape[-3:]
        return depth, height, width

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        return np.dtype(self._array(0).dtype)

    @property
    def spacing_um(self) -> Spacing:
        """Size of a voxel (Z, Y, X) in µm, None where there is no unit of length."""
        scales = [
            *self._multiscale["datasets"][0].get("coordinateTransformations", []),
            *self._multiscale.get("coordinateTransformations", []),
        ]
        factors = [step["scale"] for step in scales if step.get("type") == "scale"]
        sizes = np.prod([[1.0] * len(self._multiscale["axes"]), *factors], axis=0)
        units = [micrometres(str(axis.get("unit", ""))) for axis in self._multiscale["axes"]]
        depth, height, width = (
            None if unit is None else float(size) * unit
            for size, unit in zip(sizes[-3:], units[-3:], strict=True)
        )
        return depth, height, width

    @property
    def label_names(self) -> list[str]:
        """Names of its label maps, which lie in ``labels/<name>``."""
        folder = self.path / LABELS
        if not is_zarr(folder):
            return []
        ome: Any = zarr.open_group(folder, mode="r").attrs.get("ome", {})
        return [str(name) for name in ome.get("labels", [])]

    def label(self, name: str) -> OmeZarr:
        """A label map of this image."""
        return OmeZarr(self.path / LABELS / name)

    def list_label(self, name: str) -> None:
        """Add a name to the list of label maps that readers look in."""
        group = zarr.open_group(self.path / LABELS, mode="a", zarr_format=3)
        names = sorted({*self.label_names, name})
        group.attrs["ome"] = {"version": VERSION, "labels": names}

    def read(self, index: int, level: int = 0) -> NDArray[Any]:
        """Read one slice.

        Args:
            index: Its number, from 0.
            level: Of the pyramid, 0 is the finest.
        """
        whole = slice(None)
        (plane,) = self.window((slice(index, index + 1), whole, whole), level)
        return np.asarray(plane)

    def window(self, window: tuple[slice, slice, slice], level: int = 0) -> NDArray[Any]:
        """Read a part; only the chunks that it touches are decoded.

        Args:
            window: (Z, Y, X).
            level: Of the pyramid, 0 is the finest.
        """
        array = self._array(level)
        leading: tuple[int | slice, ...] = (0,) * (array.ndim - 3)
        found = np.asarray(array[(*leading, *window)])
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    def write(self, index: int, plane: NDArray[Any]) -> None:
        """Write one slice and its part of the pyramid.

        Args:
            index: Its number, from 0.
            plane: (Y, X) of the volume's type.

        Raises:
            ValueError: Another shape or type, or no such slice.
        """
        check_plane(self.path, index, plane, self.shape, self.dtype)
        is_label = "image-label" in self._ome
        for level in range(len(self._multiscale["datasets"])):
            if level:
                plane = plane[::2, ::2] if is_label else _halved(plane)
            self._array(level)[index] = plane

    @cached_property
    def _group(self) -> zarr.Group:
        try:
            return zarr.open_group(self.path, mode="r+", zarr_format=3)
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise ImageFileError(f"{self.path} is no Zarr group of version 3 ({error})") from error

    @cached_property
    def _ome(self) -> Mapping[str, Any]:
        ome: Any = self._group.attrs.get("ome", {})
        if str(ome.get("version", "")) != VERSION or not ome.get("multiscales"):
            found = ome.get("version") or "no multiscale image"
            raise ImageFileError(f"{self.path} holds {found}; OME-Zarr {VERSION} is expected")
        return dict(ome)

    @property
    def _multiscale(self) -> Mapping[str, Any]:
        return dict(self._ome["multiscales"][0])

    def _array(self, level: int) -> zarr.Array[Any]:
        found = self._group[str(self._multiscale["datasets"][level]["path"])]
        if not isinstance(found, zarr.Array):
            raise ImageFileError(f"{self.path} holds no array for level {level}")
        return found


def _levels(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    levels = [shape]
    while max(levels[-1][1:]) > SMALLEST_LEVEL:
        depth, height, width = levels[-1]
        levels.append((depth, -(-height // 2), -(-width // 2)))
    return levels


def _require_level(
    group: zarr.Group, name: str, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> None:
    if name in group:
        found = group[name]
        is_same = isinstance(found, zarr.Array) and found.shape == shape and found.dtype == dtype
        if not is_same:
            raise ValueError(f"{group.store_path} holds another volume; give another name")
        return
    chunk = [min(CHUNK, side) for side in shape[1:]]
    shard = [-(-side // edge) * edge for side, edge in zip(shape[1:], chunk, strict=True)]
    group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(1, *chunk),
        shards=(1, *shard),
        # As small as with zstd to a twentieth, in a third of its time.
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
        fill_value=0,
        dimension_names=("z", "y", "x"),
    )


def _multiscales(
    name: str, levels: list[tuple[int, int, int]], spacing_um: Spacing, *, is_label: bool
) -> dict[str, Any]:
    """The attribute ``ome`` of the group."""
    sizes = [1.0 if size is None else float(size) for size in spacing_um]
    axes = [
        {"name": axis, "type": "space"} | ({} if size is None else {"unit": "micrometer"})
        for axis, size in zip("zyx", spacing_um, strict=True)
    ]
    datasets = []
    for number in range(len(levels)):
        factor = 2**number
        scale = [sizes[0], factor * sizes[1], factor * sizes[2]]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if number and not is_label:
            # The centre of averaged pixels lies between them.
            shift = [0.0, *((factor - 1) / 2 * size for size in sizes[1:])]
            steps.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    multiscale: dict[str, Any] = {"name": name, "axes": axes, "datasets": datasets}
    if len(levels) > 1:
        multiscale["type"] = "nearest" if is_label else "mean"
    return {"version": VERSION, "multiscales": [multiscale]}


def _halved(plane: NDArray[Any]) -> NDArray[Any]:
    """Mean of 2 x 2 pixels; the last row and column of an odd size count twice."""
    padded = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="edge")
    height, width = (side // 2 for side in padded.shape)
    blocks = padded.reshape(height, 2, width, 2)
    mean = blocks.mean(axis=(1, 3), dtype=np.float64 if plane.dtype.kind in "iu" else None)
    return np.asarray(np.rint(mean) if plane.dtype.kind in "iu" else mean, plane.dtype)
