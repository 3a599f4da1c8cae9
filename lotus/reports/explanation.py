"""Maps over the patches that they explain, and an explanation in the report of its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from lotus.metrics.catalogue import score_of
from lotus.reports.overlays import FONT, TARGET_COLOUR, to_rgb
from lotus.reports.pictures import file_uri
from lotus.reports.tables import Table
from lotus.runs import RunFolder

COLOURS = matplotlib.colormaps["inferno"]
STRENGTH = 0.55
"""Of the colours of a map over its patch."""
TILE = 224
"""Least side of a drawn patch in pixels."""
GAP, CAPTION = 6, 18


def heat_overlay(
    image: NDArray[np.floating[Any]],
    heat: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.uint8]:
    """A patch, and beside it the same patch under its map, with annotated objects outlined.

    Args:
        image: (Y, X, C) in [0, 1]; another number of channels than three is drawn by the first.
        heat: (Y, X), at least 0; its maximum has the brightest colour.
        mask: (Y', X') of the same field; None where nobody annotated it.

    Returns:
        RGB (Y · m, 2 · X · m + 6, 3), enlarged by a whole factor m where it is small.
    """
    grey = to_rgb(image if image.shape[2] == 3 else image[..., 0])
    scaled = heat / heat.max() if heat.any() else heat
    colours = COLOURS(scaled)[..., :3] * 255
    mixed = np.rint((1 - STRENGTH) * grey + STRENGTH * colours).astype(np.uint8)
    factor = max(1, TILE // max(heat.shape))
    plain, drawn = (part.repeat(factor, 0).repeat(factor, 1) for part in (grey, mixed))
    if mask is not None:
        drawn[find_boundaries(_in_pixels_of(drawn, mask), mode="thick")] = TARGET_COLOUR
    gap = np.full((len(plain), GAP, 3), 255, np.uint8)
    return np.concatenate((plain, gap, drawn), axis=1)


def explanation_sheet(
    pictures: Sequence[NDArray[np.uint8]], captions: Sequence[str], columns: int = 3
) -> NDArray[np.uint8]:
    """Pictures of one size in a grid, each under a line of text.

    Args:
        pictures: RGB (Y, X, 3), at least one.
        captions: As many.
        columns: Pictures per row.

    Returns:
        RGB (Y, X, 3).

    Raises:
        ValueError: There is none, or not as many texts.
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(f"a sheet of {len(pictures)} pictures and {len(captions)} captions")
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    size = (min(columns, len(pictures)) * (width + 2 * GAP), rows * (height + CAPTION + GAP))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(FONT), size=11)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = number % columns * (width + 2 * GAP)
        top = number // columns * (height + CAPTION + GAP)
        pen.text((left + 2, top + 2), _fitting(caption, width, font), fill="black", font=font)
        sheet.paste(Image.fromarray(picture), (left, top + CAPTION))
    return np.array(sheet, dtype=np.uint8)


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """As much of a text as a line of so many pixels holds."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def spread(patients: Sequence[str], most: int) -> list[int]:
    """Numbers of at most so many patches, as many of each patient as of the others.

    Args:
        patients: Of every patch.
        most: At least one per patient is shown, also where that is more.
    """
    names = list(dict.fromkeys(patients))
    each = max(1, most // max(1, len(names)))
    chosen: list[int] = []
    for name in names:
        own = [number for number, patient in enumerate(patients) if patient == name]
        places = np.linspace(0, len(own) - 1, min(each, len(own))).round().astype(int)
        chosen += [own[place] for place in places]
    return chosen


def explanation_content(run: RunFolder) -> dict[str, Any] | None:
    """What the report of a run shows of its explanation; None without one."""
    folder = run.explanation
    if not folder.explained_summary.is_file():
        return None
    summary = pd.read_csv(folder.explained_summary)
    rows = [
        [
            score_of(str(row["score"])).label,
            f"{row['mean']:.3f} ± {row['sd']:.3f}",
            f"{row['chance']:.3f}" if np.isfinite(row["chance"]) else "",
            f"{row['p_t']:.3g}" if np.isfinite(row["p_t"]) else "",
            str(row["patients"]),
            str(row["patches"]),
            score_of(str(row["score"])).meaning,
        ]
        for row in summary.to_dict("records")
    ]
    header = ["score", "mean ± SD", "chance", "p against chance", "patients", "patches", "meaning"]
    sheet = folder.explained_sheet
    return {
        "table": Table(header, rows),
        "sheet": file_uri(sheet) if sheet.is_file() else "",
    }


def _in_pixels_of(image: NDArray[np.generic], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask of the same field by the nearest of its pixels."""
    rows, columns = (
        ((np.arange(large) + 0.5) * small / large).astype(int)
        for large, small in zip(image.shape[:2], mask.shape, strict=True)
    )
    found: NDArray[np.bool_] = mask[np.ix_(rows, columns)]
    return found
