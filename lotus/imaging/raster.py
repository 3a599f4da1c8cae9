"""2-D images and label maps: TIFF, OME-TIFF, PNG, JPEG and BMP files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from lotus.atomic import atomic_path
from lotus.imaging.decoder import decode, pixel_size, plane_size
from lotus.imaging.file_names import TIFF_SUFFIXES
from lotus.imaging.pixel_size import PixelSize
from lotus.imaging.stored_pixels import as_image, as_labels

_LABEL_TYPES = (np.uint8, np.uint16, np.uint32)
_TIFF_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")


@dataclass(frozen=True)
class Raster:
    """An image as it is in the file.

    Attributes:
        array: (Y, X) or (Y, X, 3), with the type and range of the file.
        spacing_um: Pixel size (Y, X) in µm, None where the file does not state it.
    """

    array: NDArray[Any]
    spacing_um: tuple[float, float] | None


def read_image(path: Path) -> Raster:
    """Read one grey or RGB image, as it is meant to be looked at.

    Reads TIFF and OME-TIFF (8, 16, 32-bit integers, floating point, either byte order, tiled,
    compressed; the finest level of a pyramid, the largest of several images), PNG (8 and 16 bit),
    JPEG and BMP. Indexed colours become RGB, or grey where all of them are grey; 1, 2 and 4 bits
    the full range of 8; white-is-zero is inverted; the orientation is applied; an opaque alpha
    channel is dropped. The pixel size comes from TIFF files only: the dots per inch of a picture
    say nothing about a microscope. See ``lotus.imaging.pixel_size`` for which TIFF fields count.

    Args:
        path: File to read.

    Returns:
        The pixels and, where stated, their size.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not an image, truncated, a stack, several images, with transparent pixels, or
            of complex numbers.
    """
    path = Path(path)
    decoded = decode(path)
    array = as_image(path, decoded.array, decoded.encoding)
    if array.ndim == 3 and array.shape[2] != 3:
        raise ValueError(f"{path} has {array.shape[2]} channels; grey (1) or RGB (3) is expected")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {array.dtype} values; integers or real numbers expected")
    size = decoded.pixel_size
    return Raster(array, None if size is None else size.spacing_um)


def read_label_map(path: Path) -> NDArray[np.integer[Any]]:
    """Read a label map: 0 is background, every other whole number one object or class.

    The values are those of the file, never what they look like: of indexed colours the indices, of
    2 and 4 bits 0 to 3 and 15, of white-is-zero the numbers as they stand. Files of floating point
    values are accepted if every value is whole.

    Args:
        path: TIFF, PNG or BMP file.

    Returns:
        (Y, X) integers, 0 or greater.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As for ``read_image``, and for RGB, JPEG, negative or fractional values.
    """
    path = Path(path)
    decoded = decode(path)
    labels = as_labels(path, decoded.array, decoded.encoding)
    if labels.ndim == 3:
        raise ValueError(
            f"{path} has {labels.shape[2]} channels; a label map has one, with whole numbers"
        )
    if decoded.encoding.lossy:
        raise ValueError(
            f"{path} is JPEG compressed, which alters labels; save the label map as PNG or TIFF"
        )
    if labels.dtype.kind == "f":
        fractional = labels[~(np.isfinite(labels) & (labels == np.round(labels)))]
        if fractional.size:
            raise ValueError(
                f"{path} holds {labels.dtype} values such as {fractional[0]:g}; a label map holds "
                "whole numbers"
            )
    elif labels.dtype.kind not in "iu":
        raise ValueError(f"{path} holds {labels.dtype} values; a label map holds whole numbers")
    if labels.min() < 0:
        raise ValueError(f"{path} holds the label {labels.min():g}; labels are 0 or greater")
    return labels.astype(label_type(int(labels.max()))) if labels.dtype.kind == "f" else labels


def read_size(path: Path) -> tuple[int, int]:
    """Return the size (Y, X) in pixels from the file's header, without decoding pixels.

    Args:
        path: TIFF, PNG, JPEG or BMP file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not an image, or a stack.
    """
    return plane_size(Path(path))


def read_pixel_size(path: Path) -> PixelSize | None:
    """Return the pixel size and where the file states it, from its header alone.

    Args:
        path: TIFF, PNG, JPEG or BMP file.

    Returns:
        The size; None where a TIFF file states none, and for the others.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not an image.
    """
    return pixel_size(Path(path))


def label_type(largest: int) -> type[np.unsignedinteger[Any]]:
    """Return the smallest of uint8, uint16 and uint32 that holds ``largest``.

    Args:
        largest: The greatest label.

    Raises:
        ValueError: It is beyond 32 bits.
    """
    for kind in _LABEL_TYPES:
        if largest <= np.iinfo(kind).max:
            return kind
    raise ValueError(f"the label {largest} does not fit 32 bits; number the objects from 1")


def write_label_map(
    path: Path, labels: NDArray[Any], spacing_um: tuple[float, float] | None = None
) -> None:
    """Write a label map, deflate compressed, in the smallest unsigned type that holds it.

    Args:
        path: Name ending in .tif, .tiff (also .ome.tif) or .png (up to 65535).
        labels: (Y, X) integers or truth values, 0 or greater.
        spacing_um: Pixel size (Y, X) in µm; kept in TIFF files only.

    Raises:
        ValueError: Not a 2-D array of such integers, or labels too great for the format.
    """
    path = Path(path)
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iub" or labels.size == 0:
        raise ValueError(
            f"{path}: a label map is a 2-D array of integers, not {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0:
        raise ValueError(f"{path}: found the label {labels.min()}; labels are 0 or greater")
    write_image(path, labels.astype(label_type(int(labels.max()))), spacing_um)


def write_image(
    path: Path, array: NDArray[Any], spacing_um: tuple[float, float] | None = None
) -> None:
    """Write a grey or RGB image; the file appears whole or not at all.

    TIFF files carry OME metadata and the TIFF resolution tags whatever their suffix, so that Fiji,
    QuPath and napari find the pixel size.

    Args:
        path: Name ending in .tif, .tiff or .png.
        array: (Y, X) or (Y, X, 3); for PNG uint8, or uint16 grey.
        spacing_um: Pixel size (Y, X) in µm; a PNG file cannot hold it.

    Raises:
        ValueError: Another suffix, shape, type or pixel size.
    """
    path = Path(path)
    array = np.asarray(array)
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ValueError(f"{path}: the shape {array.shape} is neither (Y, X) nor (Y, X, 3)")
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        if array.dtype.name not in _TIFF_TYPES:
            raise ValueError(
                f"{path}: {array.dtype} cannot be written; use {', '.join(_TIFF_TYPES)}"
            )
        with atomic_path(path) as temporary:
            tifffile.imwrite(
                temporary,
                array,
                photometric="minisblack" if array.ndim == 2 else "rgb",
                compression="zlib",
                ome=True,
                **pixel_size_fields("YX" if array.ndim == 2 else "YXS", spacing_um),
            )
    elif suffix == ".png":
        if array.dtype != np.uint8 and not (array.ndim == 2 and array.dtype == np.uint16):
            raise ValueError(
                f"{path}: PNG holds uint8, or uint16 in grey, not {array.dtype} {array.shape}; "
                "write a .tif file"
            )
        with atomic_path(path) as temporary:
            Image.fromarray(array).save(temporary)
    else:
        raise ValueError(f"{path}: unknown suffix {path.suffix!r}; use .tif, .ome.tif or .png")


def pixel_size_fields(axes: str, spacing_um: tuple[float, float] | None) -> dict[str, Any]:
    """Return the arguments of ``tifffile`` that store axes and pixel size.

    Args:
        axes: Axis letters of the array, as "YX".
        spacing_um: Pixel size (Y, X) in µm, or None.

    Raises:
        ValueError: A pixel size that is not two positive numbers.
    """
    if spacing_um is None:
        return {"metadata": {"axes": axes}}
    if len(spacing_um) != 2 or not all(0 < side < math.inf for side in spacing_um):
        raise ValueError(f"the pixel size is {spacing_um} µm; two positive numbers are expected")
    y, x = (float(side) for side in spacing_um)
    metadata = {
        "axes": axes,
        "PhysicalSizeY": y,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeX": x,
        "PhysicalSizeXUnit": "µm",
    }
    return {
        "metadata": metadata,
        "resolution": (1e4 / x, 1e4 / y),
        "resolutionunit": "CENTIMETER",
    }


def check_usable(array: NDArray[Any], path: Path) -> None:
    """Refuse an image that nothing can be learned from or measured in.

    Args:
        array: (Y, X) or (Y, X, C).
        path: The image's file, for the message.

    Raises:
        ValueError: Every value is NaN or infinite, every channel is constant, or it has other axes.
    """
    if array.ndim not in (2, 3):
        raise ValueError(f"{path} has the shape {array.shape}; (Y, X) or (Y, X, C) is expected")
    channels = array.reshape(-1, array.shape[2] if array.ndim == 3 else 1)
    if array.dtype.kind == "f":
        finite = np.isfinite(channels)
        if not finite.any():
            raise ValueError(f"{path} holds no finite value (all NaN); an image is expected")
        low = np.where(finite, channels, np.inf).min(axis=0)
        high = np.where(finite, channels, -np.inf).max(axis=0)
    else:
        low, high = channels.min(axis=0), channels.max(axis=0)
    if (low >= high).all():
        raise ValueError(
            f"{path} is constant (every pixel is {low[0]:g}); an image with contrast is expected"
        )
