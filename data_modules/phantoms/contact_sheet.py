"""Contact sheet: images and, beside each, the same image with its lacunae outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.segmentation import find_boundaries

from data_modules.manifest import Record
from lotus.imaging.raster import read_image, read_label_map, write_image

OUTLINE = (0, 230, 110)
_TILE = 256
_CAPTION_HEIGHT = 16


def contact_sheet(
    images: Sequence[NDArray[Any]],
    labels: Sequence[NDArray[Any]],
    captions: Sequence[str] | None = None,
    columns: int = 3,
) -> NDArray[np.uint8]:
    """Arrange images and their outlined copies in a grid.

    Args:
        images: (Y, X) of any range or (Y, X, 3) uint8; of large images the 256 px with
            the most lacunae are shown.
        labels: Label maps of the same sizes.
        captions: One line above each image; none by default.
        columns: Pairs per row.

    Returns:
        RGB uint8 (Y, X, 3).

    Raises:
        ValueError: No images, or not as many label maps and captions as images.
    """
    names = list(captions) if captions is not None else [""] * len(images)
    if not images or not len(images) == len(labels) == len(names):
        raise ValueError(
            f"contact sheet of {len(images)} images, {len(labels)} label maps and {len(names)} "
            "captions; as many of each are needed, and at least one"
        )
    tiles = [_pair(*item) for item in zip(images, labels, names, strict=True)]
    rows = -(-len(tiles) // columns)
    height, width, _ = tiles[0].shape
    sheet = np.full((rows * height, min(columns, len(tiles)) * width, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = tile
    return sheet


def write_contact_sheet(path: Path, records: Sequence[Record]) -> None:
    """Write a contact sheet with the first image of each group, one row per modality.

    Args:
        path: PNG file.
        records: Images with label maps; volumes among them are left out.
    """
    records = [record for record in records if record.slice_spacing_um is None]
    modalities = sorted({record.modality for record in records})
    groups = list(dict.fromkeys(record.group for record in records))
    first = {(record.modality, record.group): record for record in reversed(records)}
    chosen = [first[key] for key in ((m, g) for m in modalities for g in groups) if key in first]
    chosen = [record for record in chosen if record.mask is not None]
    sheet = contact_sheet(
        [read_image(record.image).array for record in chosen],
        [read_label_map(record.mask) for record in chosen if record.mask is not None],
        [f"{record.modality}  {record.group}  {record.name}" for record in chosen],
        columns=len(groups),
    )
    write_image(path, sheet)


def _pair(image: NDArray[Any], labels: NDArray[Any], caption: str) -> NDArray[np.uint8]:
    """One image beside its outlined copy under a caption, of the same size for all images."""
    window = _richest_window(labels)
    plain = _to_rgb(image)[window]
    outlined = plain.copy()
    outlined[find_boundaries(labels[window], mode="outer")] = OUTLINE
    height, width, _ = plain.shape
    canvas = np.full((_TILE + _CAPTION_HEIGHT, 2 * _TILE + 6, 3), 255, np.uint8)
    canvas[_CAPTION_HEIGHT : _CAPTION_HEIGHT + height, 2 : 2 + width] = plain
    canvas[_CAPTION_HEIGHT : _CAPTION_HEIGHT + height, _TILE + 4 : _TILE + 4 + width] = outlined
    picture = Image.fromarray(canvas)
    ImageDraw.Draw(picture).text((4, 2), caption, fill=(0, 0, 0))
    return np.asarray(picture)


def _richest_window(labels: NDArray[Any]) -> tuple[slice, slice]:
    """The tile with the largest area of lacunae."""
    share = ndimage.uniform_filter((labels > 0).astype(np.float32), _TILE, mode="constant")
    free = [max(length - _TILE, 0) for length in labels.shape]
    start = [min(_TILE // 2, length // 2) for length in labels.shape]
    inner = share[start[0] : start[0] + free[0] + 1, start[1] : start[1] + free[1] + 1]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return slice(int(top), int(top) + _TILE), slice(int(left), int(left) + _TILE)


def _to_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """RGB as it is; grey stretched between its 0.5 % and 99.5 % percentiles."""
    if image.ndim == 3:
        return image.astype(np.uint8)
    low, high = np.percentile(image, [0.5, 99.5])
    grey = np.clip((image - low) / max(high - low, 1e-9), 0.0, 1.0)
    return np.repeat(np.rint(255 * grey).astype(np.uint8)[..., None], 3, axis=2)
