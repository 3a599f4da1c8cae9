"""Opening and decoding of image files, with one clear line for every damaged or foreign file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from lotus.imaging.pixel_size import tiff_pixel_size

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_START = b"\x89PNG"
_JPEG_START = b"\xff\xd8\xff"
_PNG_RGB16 = b"\x10\x02"  # bit depth 16, colour type 2, at byte 24 of the header
_JPEG_COMPRESSIONS = (6, 7)


class ImageFileError(ValueError):
    """A file that is not the image it should be; the message names it and what would be right."""


@dataclass(frozen=True)
class Plane:
    """Size of one 2-D image inside a file.

    Attributes:
        height: Rows.
        width: Columns.
        channels: 1 for grey, 3 for RGB, any number for fluorescence channels.
        channels_first: Channels are the first axis of the stored array, not the last.
    """

    height: int
    width: int
    channels: int
    channels_first: bool = False


@dataclass(frozen=True)
class Decoded:
    """Pixels as stored.

    Attributes:
        array: (Y, X) or (Y, X, C), native byte order.
        palette: Colours (N, 3) uint8 that the values of ``array`` point to, None without a palette.
        spacing_um: Pixel size (Y, X) in µm, None where the file states none.
        lossy: JPEG compressed, so that values are only nearly what was saved.
    """

    array: NDArray[Any]
    palette: NDArray[np.uint8] | None
    spacing_um: tuple[float, float] | None
    lossy: bool


def is_tiff(path: Path) -> bool:
    """Tell a TIFF file from a PNG or JPEG by its first bytes; file name suffixes may lie.

    Args:
        path: An existing file.

    Raises:
        FileNotFoundError: There is no such file.
        ImageFileError: It is a folder, empty, or none of the three formats.
    """
    if path.is_dir():
        raise ImageFileError(f"{path} is a folder; an image file is expected")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    with path.open("rb") as stream:
        start = stream.read(8)
    if not start:
        raise ImageFileError(f"{path} is empty (0 bytes); a TIFF, PNG or JPEG image is expected")
    if start.startswith(_TIFF_STARTS):
        return True
    if start.startswith((_PNG_START, _JPEG_START)):
        return False
    raise ImageFileError(
        f"{path} starts with {start!r}, which is no image; a TIFF, PNG or JPEG file is expected"
    )


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn what a decoder raises or logs about a bad file into one line that names the file.

    The decoders of TIFF, deflate, LZW, JPEG and PNG each raise types of their own, so anything
    except an error of the operating system is put down to the file.

    Args:
        path: The file that the body decodes.

    Raises:
        ImageFileError: The body failed on the content of the file.
    """

    def drop(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(drop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except ImageFileError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise ImageFileError(
            f"{path} is too large to be read as one image; save it as a tiled OME-TIFF"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        found = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(
            f"{path} cannot be decoded ({found}); the file is truncated, damaged or of an "
            "unsupported kind, save it again as TIFF or PNG"
        ) from error
    finally:
        logger.removeFilter(drop)


def plane_of(path: Path, axes: str, shape: tuple[int, ...]) -> Plane:
    """Check that a TIFF series is one 2-D image.

    Args:
        path: File, for the message.
        axes: Axis letters of tifffile: Y, X, S (samples of a pixel), C (channels), others.
        shape: Length of every axis.

    Raises:
        ImageFileError: A stack of several pages, an alpha channel, or no image at all.
    """
    lengths = dict(zip(axes, shape, strict=True))
    if "Y" not in lengths or "X" not in lengths or 0 in shape:
        raise ImageFileError(f"{path} has the shape {shape}; a 2-D image (Y, X) is expected")
    height, width = lengths.pop("Y"), lengths.pop("X")
    samples, channels = lengths.pop("S", 1), lengths.pop("C", 1)
    pages = int(np.prod(list(lengths.values()), dtype=np.int64))
    if pages > 1:
        raise ImageFileError(
            f"{path} is a stack of {pages} pages of {height} x {width} pixels; one 2-D image is "
            "expected, save its slices as separate files"
        )
    if samples in (2, 4):
        refuse_alpha(path, samples)
    if samples > 1 and channels > 1:
        raise ImageFileError(f"{path} holds {channels} colour images; one 2-D image is expected")
    first = channels > 1 or (samples > 1 and axes.index("S") < axes.index("Y"))
    return Plane(height, width, samples * channels, first)


def refuse_alpha(path: Path, channels: int) -> None:
    """Raise the error for a file with an alpha or a fourth channel."""
    kind, wanted = ("grey + alpha", "grey") if channels == 2 else ("RGBA or CMYK", "RGB")
    raise ImageFileError(
        f"{path} has {channels} channels ({kind}); grey or RGB is expected, convert it to {wanted}"
    )


def refuse_truncated(path: Path, tiff: tifffile.TiffFile) -> None:
    """Raise an error if the first image's data go on beyond the end of the file.

    Decoders notice most missing bytes, but JPEG decoders fill what is missing with grey.

    Args:
        path: File, for the message.
        tiff: The open file.
    """
    end = max(
        offset + count
        for page in tiff.series[0].pages
        if page is not None
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
    )
    if end > tiff.filehandle.size:
        raise ImageFileError(
            f"{path} is truncated: it has {tiff.filehandle.size} bytes of at least {end}; copy it "
            "again from its source"
        )


def decode(path: Path) -> Decoded:
    """Read the first image of a TIFF, PNG or JPEG file.

    Args:
        path: File to read. Of a pyramid the finest level is read.

    Raises:
        FileNotFoundError: There is no such file.
        ImageFileError: Not an image, truncated, a stack, or with an alpha channel.
    """
    return _decode_tiff(path) if is_tiff(path) else _decode_picture(path)


def plane_size(path: Path) -> tuple[int, int]:
    """Return (Y, X) of the first image from the header alone; raises like ``decode``."""
    if is_tiff(path):
        with decoding(path), tifffile.TiffFile(path) as tiff:
            plane = plane_of(path, tiff.series[0].axes, tiff.series[0].shape)
        return plane.height, plane.width
    with decoding(path), Image.open(path) as picture:
        return picture.height, picture.width


def tiff_palette(tiff: tifffile.TiffFile) -> NDArray[np.uint8] | None:
    """Return the colours (N, 3) of an indexed-colour TIFF, None for grey and RGB.

    A colour table written by ImageJ is only how a grey image was looked at, so it is not a palette.

    Args:
        tiff: An open file.
    """
    page = tiff.pages.first
    if tiff.is_imagej or page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    return (page.colormap.T >> 8).astype(np.uint8)


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``array`` in the byte order of this machine, which PyTorch needs."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _decode_tiff(path: Path) -> Decoded:
    with decoding(path), tifffile.TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.pages.first
        plane = plane_of(path, series.axes, series.shape)
        refuse_truncated(path, tiff)
        spacing, palette = tiff_pixel_size(tiff), tiff_palette(tiff)
        array = native(series.asarray())
    if plane.channels == 1:
        array = array.reshape(plane.height, plane.width)
    else:
        array = np.moveaxis(array, 0, -1) if plane.channels_first else array
    if array.dtype == np.bool_ and page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        array = ~array
    return Decoded(array, palette, spacing, page.compression in _JPEG_COMPRESSIONS)


def _decode_picture(path: Path) -> Decoded:
    with path.open("rb") as stream:
        header = stream.read(26)
    lossy = header.startswith(_JPEG_START)
    with decoding(path), Image.open(path) as picture:
        mode = picture.mode
        colours = picture.getpalette("RGB") if mode == "P" else None
        array = np.asarray(picture)
    if mode not in ("1", "L", "P", "RGB", "I", "F") and not mode.startswith("I;16"):
        refuse_alpha(path, Image.getmodebands(mode))
    if header[24:26] == _PNG_RGB16:  # Pillow would cut 16-bit colours to 8 bits
        with decoding(path):
            array = imagecodecs.png_decode(path.read_bytes())
    palette = None
    if colours is not None:
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(colours) // 3] = np.reshape(colours, (-1, 3))
    return Decoded(native(array), palette, None, lossy)
