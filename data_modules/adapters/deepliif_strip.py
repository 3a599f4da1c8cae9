"""One strip of DeepLIIF: its two images, its nuclei and their classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lotus.imaging.file_names import image_stem
from lotus.imaging.raster import read_image
from lotus.masks import without_small

TILES = ("ihc", "hematoxylin", "dapi", "lap2", "marker", "segmentation")
POSITIVE, NEGATIVE = 1, 2
SEGMENTATION_THRESHOLD, BOUNDARY_THRESHOLD = 150, 80
SIZE_THRESHOLD = 4
"""Components of up to so many pixels are artefacts of compression, as in DeepLIIF's own reading."""


class InputStripError(ValueError):
    """A strip that shows its IHC image six times, as what the tool is applied to: without truth."""


@dataclass(frozen=True)
class Field:
    """What one strip gives: two images of one field and its nuclei.

    Attributes:
        images: uint8 images by modality, ``ihc`` ``(Y, X, 3)`` and ``fluorescence`` ``(Y, X)``.
        instances: int32 ``(Y, X)``, nuclei 1 ... N.
        classes: uint8 ``(Y, X)``: 0 background, 1 positive, 2 negative.
    """

    images: dict[str, NDArray[np.uint8]]
    instances: NDArray[np.int32]
    classes: NDArray[np.uint8]


def read_field(path: Path, size_threshold: int = SIZE_THRESHOLD) -> Field:
    """Cut one strip.

    The fluorescence image is the pixelwise maximum of DAPI and marker, over the colour channels
    too, since the tiles are false-coloured. Nuclei are the 4-connected components of
    ``max(R, B) > 150 and G <= 80`` and have the colour of most of their pixels.

    Args:
        path: The strip, RGB, six times as wide as high.
        size_threshold: Nuclei have more pixels than this.

    Returns:
        The field.

    Raises:
        InputStripError: If all tiles are the same image.
        ValueError: If it is no such strip, or an image or the segmentation is empty.
    """
    tiles = dict(zip(TILES, _tiles(path), strict=True))
    images = {
        "ihc": np.ascontiguousarray(tiles["ihc"]),
        "fluorescence": np.maximum(tiles["dapi"], tiles["marker"]).max(axis=2),
    }
    for modality, image in images.items():
        if (image == image[:1, :1]).all():
            raise ValueError(f"the {modality} image is constant, expected one with contrast")
    if all((tile == tiles["ihc"]).all() for tile in tiles.values()):
        raise InputStripError(f"found one image {len(TILES)} times, expected different tiles")
    instances, classes = nuclei(tiles["segmentation"], size_threshold)
    # The release has fields without nuclei on purpose, and says so in their names.
    if not instances.any() and not image_stem(path).endswith("_empty"):
        raise ValueError(
            f"found no nucleus of more than {size_threshold} pixels in the segmentation tile, "
            "expected red or blue nuclei (or a name that ends in _empty)"
        )
    return Field(images, instances, classes)


def nuclei(
    segmentation: NDArray[np.uint8], size_threshold: int = SIZE_THRESHOLD
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Nuclei of a segmentation tile and their classes.

    Args:
        segmentation: ``(Y, X, 3)``, red positive, blue negative, green boundary.
        size_threshold: Nuclei have more pixels than this.

    Returns:
        Label map int32 ``(Y, X)`` and class map uint8 ``(Y, X)``: 0 background (with the boundary,
        which is a line between nuclei and no tissue), 1 positive, 2 negative; positive where red
        and blue pixels are equally many.
    """
    red, green, blue = (segmentation[..., channel] for channel in range(3))
    nucleus = (np.maximum(red, blue) > SEGMENTATION_THRESHOLD) & (green <= BOUNDARY_THRESHOLD)
    labels, count = ndimage.label(nucleus)
    # How many more red than blue pixels each nucleus has.
    sign = np.where(red >= blue, 1, -1)
    surplus = np.bincount(labels.ravel(), weights=sign.ravel(), minlength=count + 1)
    class_of = np.where(surplus >= 0, POSITIVE, NEGATIVE).astype(np.uint8)
    class_of[0] = 0
    instances = without_small(labels.astype(np.int32), size_threshold + 1)
    return instances, np.where(instances > 0, class_of[labels], 0).astype(np.uint8)


def _tiles(path: Path) -> list[NDArray[Any]]:
    strip = read_image(path).array
    height, width = strip.shape[:2]
    if strip.ndim != 3 or strip.dtype != np.uint8:
        raise ValueError(f"found {strip.dtype} {strip.shape}, expected 8-bit RGB")
    if width != len(TILES) * height:
        raise ValueError(
            f"found {width} x {height} pixels, expected {len(TILES)} square tiles side by side "
            f"({len(TILES) * height} x {height})"
        )
    return np.split(strip, len(TILES), axis=1)
