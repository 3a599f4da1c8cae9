"""The pixel sizes of a manifest's images, and the one that a network is to see them in."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from data_modules.manifest import Record
from lotus.imaging.pixel_size import in_um
from lotus.imaging.raster import read_pixel_size, read_size
from lotus.transforms.resampling import Resampling, Spacing, resampling

SpacingChoice = float | tuple[float, float] | Literal["median", "native"]
"""A pixel size in µm, square or (Y, X); the median of the images'; or each image as it is."""


def checked_choice(choice: SpacingChoice) -> SpacingChoice:
    """The same, if it can be a pixel size.

    Raises:
        ValueError: It cannot.
    """
    if isinstance(choice, str):
        known = choice in ("median", "native")
    else:
        sides = np.asarray(choice, np.float64)
        known = sides.shape in ((), (2,)) and bool(((sides > 0) & np.isfinite(sides)).all())
    if not known:
        raise ValueError(
            f"spacing_um is {choice}; expected a pixel size in µm, [Y, X] where pixels are not "
            "square, median, or native for images as they are"
        )
    return choice


def native_spacing(record: Record) -> Spacing | None:
    """Pixel size (Y, X) in µm of an image: the manifest's, else the file's, else None."""
    if record.pixel_size_um is not None:
        return record.pixel_size_um, record.pixel_size_um
    stated = read_pixel_size(record.image)
    return None if stated is None else stated.spacing_um


def median_spacing(records: Sequence[Record]) -> Spacing | None:
    """Median pixel size (Y, X) in µm of the images that have one; None where none has."""
    known = [size for record in records if (size := native_spacing(record)) is not None]
    if not known:
        return None
    y, x = np.median(known, axis=0).tolist()
    return y, x


def resampling_of(record: Record, spacing_um: Spacing | None) -> Resampling | None:
    """How an image comes to a pixel size; None where it stays as it is.

    An image whose pixel size nobody knows stays as it is.

    Args:
        record: The image.
        spacing_um: The pixel size (Y, X) in µm; None for that of the image.

    Raises:
        ValueError: The pixel sizes are too far apart; names the image.
    """
    return None if spacing_um is None else _between(record, native_spacing(record), spacing_um)


def _between(record: Record, found: Spacing | None, spacing_um: Spacing) -> Resampling | None:
    """How an image comes from the pixel size that was found to another."""
    if found is None or found == spacing_um:
        return None
    try:
        return resampling(read_size(record.image), found, spacing_um)
    except ValueError as error:
        raise ValueError(
            f"{record.image}: {error}; correct pixel_size_um in the manifest, or give "
            "spacing_um: native"
        ) from error


def said_of_sizes(records: Sequence[Record], spacing_um: Spacing) -> str | None:
    """A line on images that are resampled and on those of which nobody knows the pixel size.

    Args:
        records: Images that are to have one pixel size.
        spacing_um: That size (Y, X) in µm.

    Returns:
        The line; None where all have that size, and where none has any.
    """
    sizes = [native_spacing(record) for record in records]
    known = [size for size in sizes if size is not None]
    changed = sum(
        _between(record, size, spacing_um) is not None
        for record, size in zip(records, sizes, strict=True)
    )
    parts = []
    if changed:
        least, most = min(known), max(known)
        found = in_um(least) if least == most else f"{in_um(least)} to {in_um(most)}"
        parts.append(
            f"{changed} of {len(records)} images are resampled to {in_um(spacing_um)} per pixel "
            f"(found: {found}; spacing_um: native takes them as they are)"
        )
    if known and (unknown := len(records) - len(known)):
        parts.append(
            f"{unknown} of {len(records)} images have no pixel size and are taken to have "
            f"{in_um(spacing_um)}"
        )
    return "; ".join(parts) or None
