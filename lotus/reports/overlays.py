"""Outlines of the true and the predicted objects drawn over an image."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeVar

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.segmentation import find_boundaries

# Blue, vermilion and yellow of Okabe and Ito (2008), told apart with every common form of colour
# blindness; the blue is lighter and the yellow deeper, to show on dark and on bright images alike.
TARGET_COLOUR = (0, 150, 255)
PREDICTION_COLOUR = (235, 94, 0)
AGREEMENT_COLOUR = (245, 220, 0)

# Pillow's own font has no µ.
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

Pixel = TypeVar("Pixel", bound=np.generic)


def overlay(
    image: NDArray[np.generic],
    prediction: NDArray[np.integer] | None,
    target: NDArray[np.integer] | None,
    *,
    spacing_um: tuple[float, float] | None = None,
    magnification: int = 1,
) -> NDArray[np.uint8]:
    """Draw the outlines of two label maps over an image.

    Outlines that lie within one image pixel of each other count as agreement, so a pixel is blue
    where only the target has an outline, orange where only the prediction has one, and yellow where
    both do.

    Args:
        image: (Y, X) or (Y, X, 3); 8-bit, or float in [0, 1].
        prediction: Label map (Y, X), 0 = background; None draws none.
        target: Label map (Y, X), 0 = background; None draws none.
        spacing_um: Pixel size (Y, X) in µm; adds a scale bar.
        magnification: Whole factor by which the image is enlarged before the outlines are drawn,
            so that they stay thin on a small image.

    Returns:
        RGB (Y * magnification, X * magnification, 3).

    Raises:
        ValueError: If the image is neither grey nor RGB, or a label map has another size.
    """
    canvas = _enlarge(to_rgb(image), magnification)
    lines = {
        "prediction": _outline(prediction, image.shape[:2], "prediction", magnification),
        "target": _outline(target, image.shape[:2], "target", magnification),
    }
    reach = np.ones((2 * magnification + 1, 2 * magnification + 1), dtype=bool)
    near = {name: ndimage.binary_dilation(line, reach) for name, line in lines.items()}
    canvas[lines["target"]] = TARGET_COLOUR
    canvas[lines["prediction"]] = PREDICTION_COLOUR
    agreement = (lines["target"] & near["prediction"]) | (lines["prediction"] & near["target"])
    canvas[agreement] = AGREEMENT_COLOUR
    if spacing_um is not None:
        return draw_scale_bar(canvas, spacing_um[1] / magnification)
    return canvas


def to_rgb(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Convert a grey or RGB image, 8-bit or float in [0, 1], to 8-bit RGB (Y, X, 3).

    Raises:
        ValueError: If the shape is neither (Y, X) nor (Y, X, 3).
    """
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"an image of shape {image.shape} cannot be drawn; give (Y, X) or (Y, X, 3)"
        )
    if image.dtype == np.uint8:
        return image.astype(np.uint8)
    scaled = np.clip(np.nan_to_num(image.astype(np.float64)), 0.0, 1.0) * 255
    return np.rint(scaled).astype(np.uint8)


def draw_scale_bar(image: NDArray[np.uint8], pixel_size_um: float) -> NDArray[np.uint8]:
    """Draw a labelled scale bar into the lower right corner.

    Its length is the largest of 1, 2, 5, 10, ... µm that takes no more than a quarter of the width.

    Args:
        image: RGB (Y, X, 3).
        pixel_size_um: Width of one pixel in µm.
    """
    height, width = image.shape[:2]
    length_um = scale_bar_length(width * pixel_size_um / 4)
    bar = max(1, round(length_um / pixel_size_um))
    margin, thickness = max(2, width // 40), max(2, height // 100)
    font = ImageFont.truetype(str(FONT), size=max(9, height // 24))
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    right, bottom = width - margin, height - margin
    pen.rectangle(
        (right - bar, bottom - thickness, right, bottom), fill="white", outline="black", width=1
    )
    pen.text(
        (right - bar / 2, bottom - thickness - 3),
        f"{length_um:g} µm",
        fill="white",
        font=font,
        anchor="mb",
        stroke_width=1,
        stroke_fill="black",
    )
    return np.array(picture, dtype=np.uint8)


def scale_bar_length(longest_um: float) -> float:
    """Largest of 1, 2 or 5 times a power of ten that is not above `longest_um` (µm)."""
    decade = 10.0 ** math.floor(math.log10(longest_um))
    return decade * max(step for step in (1, 2, 5) if step * decade <= longest_um * (1 + 1e-9))


def _outline(
    labels: NDArray[np.integer] | None, shape: tuple[int, ...], role: str, magnification: int
) -> NDArray[np.bool_]:
    """Inner boundary of the objects of a label map after enlargement; all False without a map."""
    if labels is None:
        return np.zeros((shape[0] * magnification, shape[1] * magnification), dtype=bool)
    if labels.shape != shape:
        raise ValueError(f"the {role} has shape {labels.shape}, the image {shape}; they must agree")
    large = _enlarge(labels, magnification)
    line = np.asarray(find_boundaries(large, mode="inner"), dtype=bool)
    if magnification > 1:  # two pixels wide, still inside the object
        line = ndimage.binary_dilation(line, np.ones((3, 3), dtype=bool)) & (large > 0)
    return line


def _enlarge(array: NDArray[Pixel], factor: int) -> NDArray[Pixel]:
    return array.repeat(factor, axis=0).repeat(factor, axis=1)
