"""Volumes written block by block by several processes, in the format that their name says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lotus.atomic import hidden_folder
from lotus.imaging.file_names import TIFF_SUFFIXES, ZARR_SUFFIX
from lotus.imaging.ome_zarr import LABELS
from lotus.imaging.ome_zarr_metadata import LabelClass, Version
from lotus.imaging.pyramid import block_depth
from lotus.imaging.tiff_volumes import TiffSlices
from lotus.imaging.voxels import Shape, Spacing, VolumeStore
from lotus.imaging.zarr_stores import ZarrLabelStore, ZarrStore


def volume_store(
    path: Path,
    hidden: Path,
    shape: Shape,
    dtype: DTypeLike,
    spacing_um: Spacing,
    *,
    classes: Sequence[LabelClass] | None = None,
    version: Version = "0.4",
) -> VolumeStore:
    """Where the blocks of a volume are written.

    Args:
        path: Name ending in .tif, .tiff or .zarr (also .ome.tif and .ome.zarr).
        hidden: Folder where it lies until it is finished, on the same file system.
        shape: (Z, Y, X) in voxels.
        dtype: Type of the voxels.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
        classes: What the values of a label map stand for, none where they are numbers of objects;
            None: it is an image.
        version: Of OME-Zarr; most programs open 0.4.

    Raises:
        ValueError: Another suffix.
    """
    suffix, depth, kind = path.suffix.lower(), block_depth(shape), np.dtype(dtype)
    if suffix == ZARR_SUFFIX:
        return ZarrStore(path, hidden, shape, kind, spacing_um, depth, version, classes)
    if suffix not in TIFF_SUFFIXES:
        raise ValueError(f"{path}: a volume is written as .ome.zarr or .ome.tif; give such a name")
    return TiffSlices(path, hidden, shape, kind, spacing_um, depth)


def write_volume(
    path: Path,
    voxels: NDArray[Any],
    spacing_um: Spacing = (None, None, None),
    *,
    classes: Sequence[LabelClass] | None = None,
    version: Version = "0.4",
) -> None:
    """Write a volume that is in memory; it appears whole or not at all.

    Args:
        path: As for :func:`volume_store`.
        voxels: (Z, Y, X).
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
        classes: As for :func:`volume_store`.
        version: Of OME-Zarr.

    Raises:
        ValueError: Another suffix, or shape and spacing are not those of a volume.
    """
    if voxels.ndim != 3:
        raise ValueError(f"{path}: the shape is {voxels.shape}; (Z, Y, X) is expected")
    depth, height, width = voxels.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(path.parent) as hidden:
        store = volume_store(
            path,
            hidden / path.name,
            (depth, height, width),
            voxels.dtype,
            spacing_um,
            classes=classes,
            version=version,
        )
        store.begin()
        for start in range(0, depth, store.depth):
            store.write(start, voxels[start : start + store.depth])
        store.finish()


def slice_stores(
    image: Path,
    mask: Path,
    hidden: Path,
    shape: Shape,
    spacing_um: Spacing,
) -> tuple[VolumeStore, VolumeStore]:
    """Where the slices of a float32 volume and of its mask are written, one at a time.

    Args:
        image: Name ending in .tif, .tiff or .zarr (also .ome.tif and .ome.zarr).
        mask: Likewise; or ``<image>/labels/<name>``, a label map inside the image's OME-Zarr.
        hidden: Folder for what is not finished, on the file system of ``image``.
        shape: (Z, Y, X) of both.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.

    Returns:
        The store of the image, float32, and that of the mask, uint8.
    """
    store = _slices(image, hidden / "image", shape, np.float32, spacing_um, None)
    if isinstance(store, ZarrStore) and mask.parent == image / LABELS:
        return store, ZarrLabelStore(store, mask.name, np.dtype(np.uint8))
    return store, _slices(mask, hidden / "mask", shape, np.uint8, spacing_um, ())


def _slices(
    path: Path,
    hidden: Path,
    shape: Shape,
    dtype: DTypeLike,
    spacing_um: Spacing,
    classes: Sequence[LabelClass] | None,
) -> TiffSlices | ZarrStore:
    if path.suffix.lower() == ZARR_SUFFIX:
        return ZarrStore(path, hidden, shape, np.dtype(dtype), spacing_um, 1, "0.5", classes)
    return TiffSlices(path, hidden, shape, np.dtype(dtype), spacing_um)
