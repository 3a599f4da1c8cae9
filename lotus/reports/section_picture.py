"""Lines drawn upon a picture of a section, with a legend and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lotus.reports.overlays import FONT, draw_scale_bar, to_rgb

LONGEST_EDGE = 1600
SHORTEST_EDGE = 900
_FINER = 2
"""Lines are drawn on a picture that many times larger, which smooths them."""
_CLASS_COLOURS = np.array(
    [
        *[(24, 24, 28), (92, 112, 150), (150, 84, 84), (70, 120, 84), (62, 104, 128)],
        *[(120, 104, 150), (120, 120, 96), (96, 96, 96)],
    ],
    np.uint8,
)
"""Dull, so that lines stand out: background, then classes by their value."""


@dataclass(frozen=True)
class Layer:
    """Lines of one meaning.

    Attributes:
        name: For the legend.
        colour: RGB.
        lines: Places (N, 2) each, (y, x) in pixels from the upper left corner of the image.
        thin: Whether they are drawn thin, as perpendiculars are.
    """

    name: str
    colour: tuple[int, int, int]
    lines: Sequence[NDArray[np.float64]]
    thin: bool = False


def class_colours(class_map: NDArray[np.integer]) -> NDArray[np.uint8]:
    """A picture (Y, X, 3) of a class map (Y, X).

    Args:
        class_map: Integers from 0; beyond the seventh class colours come again.
    """
    kinds = len(_CLASS_COLOURS) - 1
    number = np.where(class_map == 0, 0, (class_map.astype(np.int64) - 1) % kinds + 1)
    return np.asarray(_CLASS_COLOURS[number])


def draw_section(
    picture: NDArray[np.generic],
    layers: Sequence[Layer],
    spacing_um: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """Draw lines upon a picture; a legend stands beneath it.

    Args:
        picture: Class map (Y, X) of integers, or RGB (Y, X, 3).
        layers: From the lowest to the uppermost.
        spacing_um: Size of a pixel (Y, X); adds a scale bar.

    Returns:
        RGB, the longest edge at most :data:`LONGEST_EDGE`, that of small pictures made larger.
    """
    colours = class_colours(picture.astype(np.int64)) if picture.ndim == 2 else to_rgb(picture)
    height, width = colours.shape[:2]
    longest = max(height, width)
    scale = min(LONGEST_EDGE / longest, max(1.0, SHORTEST_EDGE / longest))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    fine = (size[0] * _FINER, size[1] * _FINER)
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    canvas = Image.fromarray(colours).resize(fine, kind)
    pen = ImageDraw.Draw(canvas)
    for layer in layers:
        thickness = _FINER if layer.thin else 2 * _FINER
        for line in layer.lines:
            places = [(x * fine[0] / width, y * fine[1] / height) for y, x in line]
            pen.line(places, fill=layer.colour, width=thickness, joint="curve")
    drawn = np.array(canvas.resize(size, Image.Resampling.BOX), np.uint8)
    if spacing_um is not None:
        drawn = draw_scale_bar(drawn, spacing_um[1] * width / size[0])
    return np.concatenate([drawn, _legend(layers, size[0])])


def _legend(layers: Sequence[Layer], width: int) -> NDArray[np.uint8]:
    """A strip as wide as the picture that names the colours, in as many rows as it takes."""
    edge, gap = 18, 14
    font = ImageFont.truetype(str(FONT), size=15)
    places: list[tuple[int, int]] = []
    x, y = gap, gap
    for layer in layers:
        taken = edge + gap // 2 + round(font.getlength(layer.name)) + gap
        if x + taken > width and x > gap:
            x, y = gap, y + edge + gap // 2
        places.append((x, y))
        x += taken
    strip = Image.new("RGB", (width, y + edge + gap), (16, 16, 18))
    pen = ImageDraw.Draw(strip)
    for layer, (left, top) in zip(layers, places, strict=True):
        pen.rectangle((left, top + 4, left + edge, top + edge - 4), fill=layer.colour)
        pen.text((left + edge + gap // 2, top), layer.name, fill=(235, 235, 235), font=font)
    return np.array(strip, np.uint8)
