"""One channel of a fluorescence image of several."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import tifffile
from tifffile import PHOTOMETRIC

from lotus.imaging.decoder import decode
from lotus.imaging.image_files import decoding, is_tiff
from lotus.imaging.raster import Raster
from lotus.imaging.stored_pixels import as_image
from lotus.imaging.tiff_files import main_series

_NAME = re.compile(r"<(?:\w+:)?Channel\b[^>]*?\bName=\"([^\"]*)\"")


def separate_channels(path: Path) -> list[str]:
    """The channels of an image that are no colours: each is a picture of its own.

    Args:
        path: TIFF, PNG, JPEG or BMP file.

    Returns:
        The name of each where OME metadata name all of them, else ``channel N``; nothing for grey
        and for RGB, with opacity or without.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not an image, or a stack.
    """
    path = Path(path)
    if not is_tiff(path):
        return []
    with decoding(path), tifffile.TiffFile(path) as tiff:
        series = main_series(path, tiff)
        count = dict(zip(series.axes, series.shape, strict=True)).get("C", 1)
        if count == 1 or series.keyframe.photometric == PHOTOMETRIC.RGB:
            return []
        names = [unescape(name) for name in _NAME.findall(tiff.ome_metadata or "")]
    return names if len(names) == count else [f"channel {number}" for number in range(count)]


def read_channel(path: Path, channel: int) -> Raster:
    """Read one channel as a grey image; of RGB red is 0, green 1 and blue 2.

    Args:
        path: TIFF, PNG, JPEG or BMP file.
        channel: Its number, from 0.

    Returns:
        (Y, X) with the type and range of the file, and the pixel size where it is stated.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: There is no such channel, or the image cannot be read.
    """
    path = Path(path)
    decoded = decode(path)
    array = as_image(path, decoded.array, decoded.encoding)
    channels = array[..., None] if array.ndim == 2 else array
    if not 0 <= channel < channels.shape[2]:
        raise ValueError(
            f"{path}: no channel {channel}; expected 0 to {channels.shape[2] - 1}, of "
            f"{', '.join(separate_channels(path)) or 'grey or RGB'}"
        )
    size = decoded.pixel_size
    return Raster(channels[..., channel].copy(), None if size is None else size.spacing_um)
