"""OME-Zarr 0.4 and 0.5 of any writer, read in parts: chunked volumes with a pyramid and labels.

Specification: https://ngff.openmicroscopy.org/0.4/ (Zarr 2) and /0.5/ (Zarr 3, also with shards).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from lotus.imaging.file_names import is_zarr
from lotus.imaging.image_files import ImageFileError, native
from lotus.imaging.pixel_size import micrometres
from lotus.imaging.voxels import Shape, Spacing, Window
from lotus.imaging.zarr_files import file_shape, read_part

LABELS = "labels"
_AXES = ("z", "y", "x")
_VERSIONS = {2: "0.4", 3: "0.5"}
"""Of the metadata, by that of Zarr."""


@dataclass(frozen=True)
class OmeZarr:
    """A grey image or label map (Z, Y, X).

    Attributes:
        path: Its folder, which with ``leading`` is all it needs to be sent to another process.
        leading: Index along each axis before z, y and x.
    """

    path: Path
    leading: tuple[int, ...] = ()

    @classmethod
    def open(cls, path: Path, at: Mapping[str, int] | None = None) -> OmeZarr:
        """Open one, once all that its metadata say is found in order.

        Args:
            path: Its folder.
            at: Which index is meant along time (t) or channels (c), from 0. It has to be said
                where there are several.

        Raises:
            ImageFileError: It is no OME-Zarr of version 0.4 or 0.5, holds no volume with the axes
                z, y and x, or was written in part.
            ValueError: ``at`` leaves open which volume is meant, or names none.
        """
        opened = cls(path)
        axes = [str(axis.get("name", "")).lower() for axis in opened._axes]
        shape = opened._array(0).shape
        if tuple(axes[-3:]) != _AXES or len(axes) != len(shape):
            raise ImageFileError(
                f"{path} has the axes {''.join(axes) or 'of no image'} {shape}; a volume with the "
                "axes zyx is expected"
            )
        for level in range(len(opened._datasets)):
            opened._array(level)
        return cls(path, _chosen(path, axes[:-3], shape, at or {}))

    @property
    def shape(self) -> Shape:
        """(Z, Y, X) in voxels."""
        depth, height, width = self._array(0).shape[-3:]
        return depth, height, width

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        return np.dtype(self._array(0).dtype)

    @property
    def version(self) -> str:
        """Of the metadata: 0.4 or 0.5."""
        return _VERSIONS[self._group.metadata.zarr_format]

    @property
    def spacing_um(self) -> Spacing:
        """Size of a voxel (Z, Y, X) in µm, None where there is no unit of length."""
        scales = [
            *self._datasets[0].get("coordinateTransformations", []),
            *(self._multiscale.get("coordinateTransformations") or []),
        ]
        factors = [step["scale"] for step in scales if step.get("type") == "scale"]
        sizes = np.prod([[1.0] * len(self._axes), *factors], axis=0)
        units = [micrometres(str(axis.get("unit", ""))) for axis in self._axes]
        depth, height, width = (
            None if unit is None else float(size) * unit
            for size, unit in zip(sizes[-3:], units[-3:], strict=True)
        )
        return depth, height, width

    @property
    def class_names(self) -> dict[int, str]:
        """What the values of a label map stand for, where it says so."""
        about: Any = self._attributes.get("image-label") or {}
        return {
            int(each["label-value"]): str(each["name"])
            for each in about.get("properties") or []
            if "name" in each
        }

    @property
    def label_names(self) -> list[str]:
        """Names of its label maps, which lie in ``labels/<name>``."""
        folder = self.path / LABELS
        if not is_zarr(folder):
            return []
        with _reading(folder):
            attributes: Any = zarr.open_group(folder, mode="r").attrs.asdict()
        return [str(name) for name in attributes.get("ome", attributes).get("labels", [])]

    def label(self, name: str) -> OmeZarr:
        """A label map of this image."""
        return OmeZarr.open(self.path / LABELS / name)

    @property
    def absent_chunks(self) -> tuple[int, int]:
        """How many chunks (or shards) of the finest level have no file, and how many there are.

        Writers leave those out that hold nothing but the fill value; they also miss where a
        program was stopped.
        """
        array = self._array(0)
        grid = zip(array.shape, file_shape(array), strict=True)
        number = math.prod(-(-side // edge) for side, edge in grid)
        folder = self.path / str(self._datasets[0]["path"])
        files = sum(1 for file in folder.rglob("*") if file.name[-1].isdigit() and file.is_file())
        return number - files, number

    def read(self, index: int, level: int = 0) -> NDArray[Any]:
        """Read one slice.

        Args:
            index: Its number, from 0.
            level: Of the pyramid, 0 is the finest.
        """
        whole = slice(None)
        (plane,) = self.window((slice(index, index + 1), whole, whole), level)
        return np.asarray(plane)

    def window(self, window: Window, level: int = 0) -> NDArray[Any]:
        """Read a part; only the chunks that it touches are decoded.

        Args:
            window: (Z, Y, X).
            level: Of the pyramid, 0 is the finest.

        Raises:
            ImageFileError: A chunk is truncated or damaged.
        """
        array, folder = self._array(level), self.path / str(self._datasets[level]["path"])
        with _reading(self.path):
            return native(read_part(array, folder, self.leading, window))

    @cached_property
    def _group(self) -> zarr.Group:
        with _reading(self.path):
            return zarr.open_group(self.path, mode="r")

    @cached_property
    def _attributes(self) -> Mapping[str, Any]:
        """What the group says in the words of OME."""
        found: dict[str, Any] = self._group.attrs.asdict()
        ome = found.get("ome", {}) if self._group.metadata.zarr_format == 3 else found
        if "bioformats2raw.layout" in ome:
            raise ImageFileError(f"{self.path} holds several images; give one, {self.path / '0'}")
        images = ome.get("multiscales") or [{}]
        version = str(ome.get("version") or images[0].get("version") or self.version)
        if version != self.version or not images[0].get("datasets"):
            what = f"OME-Zarr {version}" if images[0] else "no multiscale image"
            raise ImageFileError(f"{self.path} holds {what}; OME-Zarr 0.4 or 0.5 is expected")
        return dict(ome)

    @property
    def _multiscale(self) -> Mapping[str, Any]:
        return dict(self._attributes["multiscales"][0])

    @property
    def _axes(self) -> list[Mapping[str, Any]]:
        return list(self._multiscale.get("axes", []))

    @property
    def _datasets(self) -> list[Mapping[str, Any]]:
        return list(self._multiscale["datasets"])

    def _array(self, level: int) -> zarr.Array[Any]:
        name = str(self._datasets[level]["path"])
        with _reading(self.path):
            found = self._group.get(name)
        if not isinstance(found, zarr.Array):
            raise ImageFileError(
                f"{self.path} was written in part: its array {name} is not there; copy the volume "
                "again, or have it written to its end"
            )
        return found


def _chosen(
    path: Path, axes: list[str], shape: tuple[int, ...], at: Mapping[str, int]
) -> tuple[int, ...]:
    """The index along each axis before z, y and x."""
    lengths = dict(zip(axes, shape, strict=False))
    for name, index in at.items():
        if not 0 <= index < lengths.get(name, 0):
            found = f"{lengths[name]} along {name}" if name in lengths else f"no axis {name}"
            raise ValueError(f"{path} has {found}; {name}={index} names no volume of it")
    for name, length in lengths.items():
        if length > 1 and name not in at:
            raise ImageFileError(
                f"{path} has the axes {''.join(axes)}zyx {shape}; choose one of the {length} along "
                f"{name}, such as the first: --at {name}=0 (in Python at={{{name!r}: 0}}), or save "
                "it as a volume of its own"
            )
    return tuple(at.get(name, 0) for name in axes)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what Zarr raises about a damaged store into one line that names it."""
    try:
        yield
    except (ImageFileError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        found = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(
            f"{path} cannot be read as OME-Zarr ({found}); it is damaged or was written in part, "
            "copy it again or have it written to its end"
        ) from error
