"""What kind of file it is, with one clear line for every damaged or foreign file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURE_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"BM")
_EXPECTED = "a TIFF, PNG, JPEG or BMP file is expected"


class ImageFileError(ValueError):
    """A file that is not the image it should be; the message names it and what would be right."""


def is_tiff(path: Path) -> bool:
    """Tell a TIFF file from a PNG, JPEG or BMP by its first bytes; file name suffixes may lie.

    Args:
        path: An existing file.

    Raises:
        FileNotFoundError: There is no such file.
        ImageFileError: It is a folder, empty, or none of the four formats.
    """
    if path.is_dir():
        raise ImageFileError(f"{path} is a folder; an image file is expected")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    with path.open("rb") as stream:
        start = stream.read(8)
    if not start:
        raise ImageFileError(f"{path} is empty (0 bytes); {_EXPECTED}")
    if start.startswith(_TIFF_STARTS):
        return True
    if start.startswith(_PICTURE_STARTS):
        return False
    raise ImageFileError(f"{path} starts with {start!r}, which is no image; {_EXPECTED}")


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
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    except ImageFileError:
        raise
    except MemoryError as error:
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


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``array`` in the byte order of this machine, which PyTorch needs."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)
