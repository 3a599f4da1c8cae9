"""PNG, JPEG and BMP files, decoded by Pillow to the numbers that they store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from lotus.imaging.image_files import ImageFileError, decoding, native
from lotus.imaging.stored_pixels import Encoding

_FORMATS: dict[bytes, type[ImageFile]] = {b"\xff\xd8\xff": JpegImageFile, b"BM": BmpImageFile}
_PNG_SIGNATURE_BYTES = 8
_PNG_BITS = 24
"""Where the header of a PNG file says how many bits a sample has."""


def decode_picture(path: Path) -> tuple[NDArray[Any], Encoding]:
    """Read a PNG, JPEG or BMP file.

    Args:
        path: The file.

    Returns:
        (Y, X) or (Y, X, C) as stored, native byte order, and what its numbers mean.

    Raises:
        ImageFileError: Truncated, damaged, animated, or CMYK.
    """
    with _opened(path) as picture:
        lossy = isinstance(picture, JpegImageFile)
        bits = _bits(path, picture)
        frames = 1 if lossy else getattr(picture, "n_frames", 1)
        if frames > 1:
            raise ImageFileError(f"{path} is a stack of {frames} pictures; one image is expected")
        if picture.mode == "CMYK":
            raise ImageFileError(
                f"{path} has 4 channels (CMYK); grey or RGB is expected, convert it to RGB"
            )
        palette, orientation = _palette(picture), _orientation(path, picture)
        if bits == 16 and picture.mode != "I;16":  # Pillow would cut 16-bit colours to 8 bits
            array = native(imagecodecs.png_decode(path.read_bytes()))
        else:
            array = native(np.asarray(picture))
        if picture.mode == "L" and bits < 8:  # Pillow stretches them to 8 bits
            array = array // np.uint8(255 // (2**bits - 1))
    alpha = array.ndim == 3 and array.shape[2] in (2, 4)
    return array, Encoding(bits, palette, alpha, orientation=orientation, lossy=lossy)


def picture_size(path: Path) -> tuple[int, int]:
    """Return the upright (Y, X) of a picture from its header; raises as decoding does."""
    with _opened(path) as picture:
        width, height = picture.size
        return (width, height) if _orientation(path, picture) >= 5 else (height, width)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open by format, without the limit that ``Image.open`` sets: memory is the limit here."""
    with path.open("rb") as stream:
        start = stream.read(max(map(len, _FORMATS)))
    kind = next((kind for first, kind in _FORMATS.items() if start.startswith(first)), PngImageFile)
    with decoding(path), kind(path) as picture:
        yield picture


def _bits(path: Path, picture: ImageFile) -> int:
    """Bits of a sample: Pillow tells them only of one and eight."""
    if not isinstance(picture, PngImageFile):
        return 1 if picture.mode == "1" else 8
    with path.open("rb") as stream:
        return stream.read(_PNG_BITS + 1)[_PNG_BITS]


def _palette(picture: ImageFile) -> NDArray[np.uint8] | None:
    """Colours (256, 3), or (256, 4) where some are transparent."""
    colours = picture.getpalette("RGB") if picture.mode == "P" else None
    if colours is None:
        return None
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours) // 3] = np.reshape(colours, (-1, 3))
    transparency = picture.info.get("transparency")
    if transparency is None:
        return palette
    alpha = np.full((256, 1), 255, np.uint8)
    if isinstance(transparency, bytes):
        alpha[: len(transparency), 0] = np.frombuffer(transparency, np.uint8)
    else:
        alpha[transparency] = 0
    return np.hstack([palette, alpha])


def _orientation(path: Path, picture: ImageFile) -> int:
    """Orientation of the EXIF data; a PNG file is only asked if it has any: it takes decoding."""
    if isinstance(picture, PngImageFile) and not _has_exif(path):
        return 1
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _has_exif(path: Path) -> bool:
    """Whether a PNG file has a chunk of EXIF data, in whatever place."""
    with path.open("rb") as stream:
        stream.seek(_PNG_SIGNATURE_BYTES)
        while len(header := stream.read(8)) == 8:
            if header[4:] == b"eXIf":
                return True
            stream.seek(int.from_bytes(header[:4], "big") + 4, 1)
    return False
