"""What the numbers of an image file mean, and the image or label map they stand for.

Files say in tags beside the pixels how to look at them: which value is white, which colours the
values point to, which channel is opacity, which corner comes first. An image is what these tags
make of the numbers. A label map is the numbers: no tag and no reader changes one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.imaging.image_files import ImageFileError


@dataclass(frozen=True)
class Encoding:
    """How the numbers of a file stand for what is seen.

    Attributes:
        bits: Bits per sample.
        palette: Colours (N, 3), or (N, 4) with opacity, uint8, that the numbers point to; None
            where they are grey or colour themselves.
        alpha: The last channel is opacity.
        white_is_zero: 0 is white and the greatest number black.
        orientation: Where the first row and column belong, 1 to 8 as in TIFF and EXIF.
        lossy: JPEG compressed, so that numbers are only nearly what was saved.
    """

    bits: int
    palette: NDArray[np.uint8] | None = None
    alpha: bool = False
    white_is_zero: bool = False
    orientation: int = 1
    lossy: bool = False

    @property
    def is_turned(self) -> bool:
        """Whether rows and columns change places."""
        return self.orientation >= 5

    @property
    def is_plain(self) -> bool:
        """Whether any window of the image can be made of the same window of the file alone."""
        return self.orientation == 1 and self.palette is None and self.bits >= 8


def as_image(path: Path, array: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
    """Make the image of stored numbers.

    Indexed colours become RGB, or grey where all of them are grey; 1, 2 and 4 bits the full range
    of 8; white-is-zero is inverted; an opaque alpha channel is dropped.

    Args:
        path: The file, for messages.
        array: (Y, X) or (Y, X, C) as stored, upright.
        encoding: What its numbers mean.

    Returns:
        (Y, X) or (Y, X, C).

    Raises:
        ImageFileError: Some of it is transparent, or white-is-zero is said of numbers that have no
            greatest one.
    """
    if encoding.palette is not None:
        array = encoding.palette[array.astype(np.intp)]
        array = _opaque(path, array) if array.shape[-1] == 4 else array
        return array[..., 0] if (array == array[..., :1]).all() else array
    array = _opaque(path, array) if encoding.alpha else array
    if encoding.bits < 8:
        array = array.astype(np.uint8) * np.uint8(255 // (2**encoding.bits - 1))
    if encoding.white_is_zero:
        if array.dtype.kind != "u":
            raise ImageFileError(
                f"{path} is white-is-zero with {array.dtype} values, of which none is black; save "
                "it as black-is-zero (in Fiji: Invert LUT)"
            )
        array = array.dtype.type(2 ** max(encoding.bits, 8) - 1) - array
    return array


def as_labels(path: Path, array: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
    """Make the label map of stored numbers: they are taken as they are, whatever they look like.

    The one exception are files of one bit, for which white-is-zero is how scanners and printers
    store black objects on white paper as ones: there white is 1, as everywhere.

    Args:
        path: The file, for messages.
        array: (Y, X) or (Y, X, C) as stored, upright.
        encoding: What its numbers mean.

    Returns:
        (Y, X) or (Y, X, C) of the same type, truth values as uint8.

    Raises:
        ImageFileError: Some of it is transparent.
    """
    array = _opaque(path, array) if encoding.alpha else array
    if encoding.bits > 1:
        return array
    return np.asarray(array != encoding.white_is_zero, np.uint8)


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored rows and columns so that the first is at the top and left.

    Args:
        array: (Y, X) or (Y, X, C) as stored.
        orientation: 1 to 8 as in TIFF and EXIF: 3 is upside down, 6 and 8 lie on a side, 2, 4, 5
            and 7 are mirror images of 1, 3, 6 and 8.

    Returns:
        (Y, X) or (Y, X, C); of 5 to 8 the stored columns are rows.
    """
    if orientation == 1:
        return array
    turned = array.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else array
    turned = turned[::-1] if orientation in (3, 4, 7, 8) else turned
    turned = turned[:, ::-1] if orientation in (2, 3, 6, 7) else turned
    return np.ascontiguousarray(turned)


def _opaque(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    """Drop the last channel, which is opacity; whatever it would hide is refused."""
    alpha, count = array[..., -1], array.shape[-1]
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
    if (alpha != full).any():
        kind, wanted = ("grey + alpha", "grey") if count == 2 else ("RGBA", "RGB")
        raise ImageFileError(
            f"{path} has {count} channels ({kind}) and transparent pixels; an opaque image is "
            f"expected, convert it to {wanted}"
        )
    return array[..., 0] if count == 2 else array[..., :-1]
