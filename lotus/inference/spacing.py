"""The pixel size of an image and that of the model."""

from __future__ import annotations

from collections.abc import Callable

from lotus.imaging import Slide
from lotus.imaging.pixel_size import in_um
from lotus.inference.segmenter import TakesImages
from lotus.transforms.resampling import Resampling, Spacing, resampling

MOST_SPACING_DIFFERENCE = 0.2
"""Above this relative difference to the pixel size of the training images there is a warning."""


def image_spacing(
    slide: Slide, given_um: float | None, notify: Callable[[str], None]
) -> Spacing | None:
    """The pixel size (Y, X) in µm that counts, with a word if the file states another.

    Args:
        slide: An open image.
        given_um: Side of a pixel by hand; goes before what the file states.
        notify: Receives the line.
    """
    stated = slide.spacing_um
    if given_um is None:
        return stated
    given = (given_um, given_um)
    if stated is not None and _difference(given, stated) > 0.01:
        notify(
            f"note: {slide.path.name}: the file states {in_um(stated)} per pixel; the given "
            f"{in_um(given)} is used"
        )
    return given


def to_model(
    slide: Slide,
    spacing_um: Spacing | None,
    segmenter: TakesImages,
    resample: bool,
    notify: Callable[[str], None],
) -> Resampling | None:
    """How an image comes to the pixel size of the model; None where it stays as it is.

    Args:
        slide: An open image.
        spacing_um: Its pixel size (Y, X) in µm, where it is known.
        segmenter: Knows the pixel size of its training images, and whether they were resampled.
        resample: Whether to resample at all.
        notify: Receives a line on what is done, or what is wrong with not doing it.

    Raises:
        ValueError: The pixel sizes are too far apart.
    """
    trained, name = segmenter.spacing_um, slide.path.name
    if spacing_um is None or trained is None:
        return None
    if segmenter.resample and resample:
        try:
            grids = resampling(slide.shape, spacing_um, trained)
        except ValueError as error:
            raise ValueError(
                f"{slide.path}: {error}; give its true size with --pixel-size-um, or --no-resample"
            ) from error
        if grids is not None:
            notify(
                f"note: {name} is resampled from {in_um(spacing_um)} to {in_um(trained)} per "
                "pixel, as the training images had; --no-resample takes it as it is"
            )
        return grids
    if _difference(spacing_um, trained) > MOST_SPACING_DIFFERENCE:
        advice = "leave --no-resample out" if segmenter.resample else "rescale the image"
        notify(
            f"warning: {name} has {in_um(spacing_um)} per pixel, the training images had "
            f"{in_um(trained)}; {advice}, or do not trust the result"
        )
    return None


def _difference(first: Spacing, second: Spacing) -> float:
    return max(abs(a / b - 1.0) for a, b in zip(first, second, strict=True))
