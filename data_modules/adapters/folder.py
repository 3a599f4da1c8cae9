"""Your own images: ``ROOT/images`` and ``ROOT/masks`` with files of equal stems.

Images without annotation go to ``ROOT/unlabelled``, so that a forgotten mask is never taken for
one. Without ``ROOT/masks`` all images are unlabelled. Of images of several channels, which no
network takes, one is asked for and written as a grey image. Masks may be drawings, ImageJ ROIs or
GeoJSON of QuPath, which are written as class maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from data_modules.adapters.drawn_masks import drawn_mask, is_drawn
from data_modules.adapters.overrides import Overrides, require_folder
from data_modules.adapters.staging import finish, staging
from data_modules.manifest import Record
from lotus.imaging.channels import read_channel, separate_channels
from lotus.imaging.drawings import DRAWING_SUFFIXES
from lotus.imaging.file_names import IMAGE_SUFFIXES, image_stem, images_in
from lotus.imaging.image_files import ImageFileError
from lotus.imaging.mask_files import look_at_masks
from lotus.imaging.raster import read_pixel_size, write_image
from lotus.masks import MaskKind, conclude

LAYOUT = (
    "ROOT/images and ROOT/masks with files of equal names (TIFF, PNG, JPEG or BMP; masks also "
    "ImageJ ROIs or GeoJSON)"
)


def prepare(root: Path, output: Path, overrides: Overrides | None = None) -> Path:
    """Write a manifest of a folder of images and masks.

    The patient is the file's stem unless a pattern is given, the group ``unknown``, the pixel
    size that of the file, the kind of mask what :func:`lotus.masks.conclude` says.

    Args:
        root: Folder with ``images`` and ``masks``.
        output: Folder for the manifest.
        overrides: Values that replace those found.

    Returns:
        Path of the manifest.

    Raises:
        FileNotFoundError: If there is no image.
        ValueError: If an image has no mask or a mask no image; names them. If the masks can be
            read in two ways, drawings cannot be used, or an image has several channels and none was
            chosen.
    """
    root = require_folder(Path(root), LAYOUT)
    overrides = overrides or Overrides()
    images = images_in(root / "images")
    masks: dict[str, Path] = {}
    if (root / "masks").is_dir():
        known = (*IMAGE_SUFFIXES, *DRAWING_SUFFIXES)
        masks = _pair_masks(images, images_in(root / "masks", known))
    with staging(Path(output)) as staged:
        paired = [
            (image, _painted(masks.get(image_stem(image)), image, staged.folder, overrides))
            for image in images
        ]
        kind = _mask_kind([mask for _, mask in paired if mask is not None], overrides)
        paired += [(image, None) for image in images_in(root / "unlabelled")]
        records = [
            Record(
                image=_taken(image, staged.folder, overrides.channel),
                mask=mask,
                mask_kind=kind,
                modality="microscopy",
                patient=image_stem(image),
                group="unknown",
                pixel_size_um=_pixel_size(image) if overrides.pixel_size_um is None else None,
            )
            for image, mask in paired
        ]
        return finish({"manifest.csv": records}, root, staged, overrides, LAYOUT)


def _taken(image: Path, converted: Path, channel: int | None) -> Path:
    """The image, or a grey one of the channel that was chosen."""
    if channel is not None:
        taken = read_channel(image, channel)
        path = converted / "images" / f"{image_stem(image)}.tif"
        write_image(path, taken.array, taken.spacing_um)
        return path
    # What cannot be read is listed later, with all else that is wrong.
    with suppress(ImageFileError, OSError):
        if names := separate_channels(image):
            listed = ", ".join(f"{number} {name}" for number, name in enumerate(names))
            raise ValueError(
                f"{image} has {len(names)} channels ({listed}); give the number of the one to "
                "take, such as that of the labels, with --channel"
            )
    return image


def _painted(mask: Path | None, image: Path, converted: Path, overrides: Overrides) -> Path | None:
    """The mask, or the class map of one that is drawn."""
    if mask is None or not is_drawn(mask):
        return mask
    path = converted / "masks" / f"{image_stem(image)}.png"
    drawn_mask(mask, image, path, overrides)
    return path


def _mask_kind(masks: Sequence[Path], overrides: Overrides) -> MaskKind:
    """The kind that was given, or that the masks are of by what they look like."""
    if overrides.mask_kind is not None or not masks:
        return overrides.mask_kind or "binary"
    return conclude(look_at_masks(masks, overrides.mask_values), overrides.mask_values).kind


def _pair_masks(images: Sequence[Path], masks: Sequence[Path]) -> dict[str, Path]:
    """Masks by stem; every image has one and every mask has its image."""
    for files in (images, masks):
        stems = [image_stem(path) for path in files]
        twice = sorted({name for name in stems if stems.count(name) > 1})
        if twice:
            raise ValueError(f"{files[0].parent}: several files are called {', '.join(twice)}")
    by_stem = {image_stem(path): path for path in masks}
    without = [path.name for path in images if image_stem(path) not in by_stem]
    if without:
        raise ValueError(
            f"{images[0].parent}: image without its mask: {', '.join(without)}; expected a file "
            "of the same name in masks (images without annotation belong into unlabelled)"
        )
    images_by_stem = {image_stem(path) for path in images}
    left_over = [path.name for name, path in by_stem.items() if name not in images_by_stem]
    if left_over:
        raise ValueError(f"{masks[0].parent}: mask without its image: {', '.join(left_over)}")
    return by_stem


def _pixel_size(image: Path) -> float | None:
    """Pixel size of the file where its pixels are square.

    A manifest holds one number per image; that pixels are not square, its file alone says.
    """
    size = read_pixel_size(image)
    if size is None or not np.isclose(*size.spacing_um, rtol=0.01):
        return None
    return float(np.mean(size.spacing_um))
