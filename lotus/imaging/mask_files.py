"""Masks as files: read by what their values stand for, and looked at together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.imaging.decoder import decode
from lotus.imaging.raster import read_label_map
from lotus.imaging.stored_pixels import as_labels
from lotus.masks import Labels, MaskFacts, MaskValues, mask_facts


def read_mask(path: Path, values: MaskValues) -> Labels:
    """Read a mask and bring it to the usual values: 0 is background, nothing else is.

    Args:
        path: TIFF or PNG file; where there is a threshold also JPEG, real numbers, and grey stored
            as RGB.
        values: What the file's values stand for.

    Returns:
        The mask, and where nothing is known.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As for :func:`~lotus.imaging.read_label_map`; a value without a meaning; or
            nothing is known of any pixel.
    """
    path = Path(path)
    stored = read_label_map(path) if values.binarise_at is None else _read_shades(path)
    try:
        labels = values.apply(stored)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if labels.ignored is not None and labels.ignored.all():
        raise ValueError(
            f"{path}: every pixel is {values.ignore}, to be ignored; expected some that are not, "
            "or an image without a mask"
        )
    return labels


def look_at_masks(paths: Iterable[Path], values: MaskValues) -> Mapping[Path, MaskFacts]:
    """What masks look like in the usual values.

    A file that was looked at before and has not changed since is not read again.

    Args:
        paths: The files; one may be named several times.
        values: What their values stand for.

    Returns:
        The facts of each file.

    Raises:
        FileNotFoundError: One does not exist.
        ValueError: One cannot be read, see :func:`read_mask`.
    """
    return {path: look_at_mask(path, values) for path in paths}


def look_at_mask(path: Path, values: MaskValues) -> MaskFacts:
    """What one mask looks like; see :func:`look_at_masks`."""
    state = Path(path).stat()
    return _facts(Path(path), values, state.st_mtime_ns, state.st_size)


@cache
def _facts(path: Path, values: MaskValues, changed: int, size: int) -> MaskFacts:
    """The facts of a file in one state."""
    return mask_facts(read_mask(path, values))


def _read_shades(path: Path) -> NDArray[Any]:
    """The numbers of a file, whatever they are, (Y, X)."""
    decoded = decode(path)
    shades = as_labels(path, decoded.array, decoded.encoding)
    if shades.ndim == 3:
        if (shades != shades[..., :1]).any():
            raise ValueError(
                f"{path} has {shades.shape[2]} channels that differ; a mask has one, or is grey"
            )
        shades = shades[..., 0]
    if np.isnan(shades).any():
        raise ValueError(f"{path} holds NaN; a mask that has a threshold holds numbers")
    return shades
