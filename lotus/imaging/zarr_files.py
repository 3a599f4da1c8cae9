"""Parts of a Zarr array, read and written file by file.

Of several files at a time of which one fails, Zarr goes on to tell of the others in its own way,
where one line is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from lotus.imaging.image_files import ImageFileError
from lotus.imaging.voxels import Window

_BLOSC_HEADER = 16
_BLOSC_BYTES = slice(12, 16)
"""Where a Blosc buffer says how long it is."""


def read_part(
    array: zarr.Array[Any], folder: Path, leading: tuple[int, ...], window: Window
) -> NDArray[Any]:
    """Read a part of an array.

    Args:
        array: Of the axes before Z, then (Z, Y, X).
        folder: Where its files lie.
        leading: Index along each axis before Z.
        window: (Z, Y, X).

    Returns:
        (Z, Y, X), in the type of the array.

    Raises:
        ImageFileError: A chunk ends too early.
    """
    sizes = file_shape(array)
    spans = [
        range(*part.indices(side)) for part, side in zip(window, array.shape[-3:], strict=True)
    ]
    found = np.empty([len(span) for span in spans], array.dtype)
    is_blosc = _ends_in_blosc(array)
    for pieces in product(*map(_pieces, spans, sizes[-3:])):
        there, here = zip(*pieces, strict=True)
        if is_blosc:
            first = (*leading, *(part.start for part in there))
            number = tuple(index // size for index, size in zip(first, sizes, strict=True))
            _refuse_truncated(folder / array.metadata.encode_chunk_key(number))
        part: tuple[int | slice, ...] = (*leading, *there)
        found[here] = array[part]
    return found


def write_block(array: zarr.Array[Any], first: int, block: NDArray[Any]) -> None:
    """Write slices of an array (Z, Y, X) that are whole files.

    Args:
        array: Open for writing.
        first: Number of the first slice.
        block: (Z, Y, X) of its type.
    """
    slices = slice(first, first + len(block))
    _, rows, columns = file_shape(array)
    for y in range(0, block.shape[1], rows):
        for x in range(0, block.shape[2], columns):
            part = np.s_[y : y + rows, x : x + columns]
            array[slices, *part] = block[:, *part]


def file_shape(array: zarr.Array[Any]) -> tuple[int, ...]:
    """How much of an array is in a file: a shard, or a chunk where there are none.

    Args:
        array: Any.
    """
    return array.shards or array.chunks


def _pieces(span: range, size: int) -> Iterator[tuple[slice, slice]]:
    """Parts of a span that lie in a file each: where in the array, and where in the span."""
    for first in range(span.start // size * size, span.stop, size):
        start, stop = max(first, span.start), min(first + size, span.stop)
        yield slice(start, stop), slice(start - span.start, stop - span.start)


def _ends_in_blosc(array: zarr.Array[Any]) -> bool:
    """Whether a file is a Blosc buffer; those of shards carry a checksum."""
    if array.shards or not array.compressors:
        return False
    last = array.compressors[-1]
    return isinstance(last, BloscCodec) or getattr(last, "codec_id", "") == "blosc"


def _refuse_truncated(chunk: Path) -> None:
    """Refuse a chunk that Blosc would read on beyond its end, without an error."""
    if not chunk.is_file():
        return
    with chunk.open("rb") as stream:
        header = stream.read(_BLOSC_HEADER)
    found = chunk.stat().st_size
    if len(header) < _BLOSC_HEADER or found < int.from_bytes(header[_BLOSC_BYTES], "little"):
        raise ImageFileError(
            f"{chunk} is truncated: it has {found} bytes; copy the volume again, or have it "
            "written to its end"
        )
