"""Pictures of the report: best, median and worst image, and files as data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from lotus.imaging.raster import read_image, read_label_map, read_pixel_size
from lotus.metrics.catalogue import counts, headline_distance, headlines, score_of
from lotus.reports.overlays import overlay, to_rgb
from lotus.reports.tables import score_text
from lotus.runs import RunFolder

DISPLAYED_EDGE = 640
LARGEST_EDGE = 1100
LARGEST_SHEET = 1600
LARGEST_PNG = 350_000


@dataclass(frozen=True)
class Example:
    """One image of the report, or the reason why it cannot be shown."""

    role: str
    name: str
    summary: str
    image_uri: str = ""
    overlay_uri: str = ""
    reason: str = ""


def ranking_score(scores: pd.DataFrame) -> str | None:
    """Column to rank images by: Dice, else AJI; None if neither is ever defined."""
    for column in ("dice", "aji"):
        if column in scores and scores[column].notna().any():
            return column
    return None


def choose_examples(scores: pd.DataFrame, column: str) -> list[tuple[str, int]]:
    """Best, median (the lower of two) and worst image by a score.

    Returns:
        Role and number of the row; fewer than three where there are fewer images.
    """
    ranked = scores[column].reset_index(drop=True).dropna().sort_values(kind="stable")
    places = {"best": len(ranked) - 1, "median": (len(ranked) - 1) // 2, "worst": 0}
    chosen: dict[int, str] = {}
    for role, place in places.items():
        index = int(ranked.index[place])
        chosen[index] = f"{chosen[index]} and {role}" if index in chosen else role
    return [(role.capitalize(), index) for index, role in chosen.items()]


def show_examples(run: RunFolder, scores: pd.DataFrame) -> list[Example]:
    """Draw the best, median and worst image of a run."""
    column = ranking_score(scores)
    if column is None:
        return []
    rows = scores.to_dict("records")
    return [_show(run, role, rows[place]) for role, place in choose_examples(scores, column)]


def picture_uri(picture: NDArray[np.uint8]) -> str:
    """A picture as a data address: PNG, or JPEG where that would be large."""
    image = Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    kind = "png"
    if buffer.tell() > LARGEST_PNG:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=88, subsampling=0)
        kind = "jpeg"
    return data_uri(buffer.getvalue(), f"image/{kind}")


def file_uri(path: Path) -> str:
    """An image file as a data address, made smaller where it is very large."""
    picture = Image.fromarray(to_rgb(read_image(path).array))
    picture.thumbnail((LARGEST_SHEET, LARGEST_SHEET))
    return picture_uri(np.array(picture, dtype=np.uint8))


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes as a data address."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _show(run: RunFolder, role: str, row: Mapping[Hashable, Any]) -> Example:
    name = str(row["name"])
    shown = [*headlines(row), *headline_distance(row), *counts(row)]
    summary = ", ".join(f"{score_of(key).heading} {score_text(key, row[key])}" for key in shown)
    try:
        image = to_rgb(read_image(run.image_of(name)).array)
        prediction = read_label_map(run.prediction_of(name))
        size = read_pixel_size(run.prediction_of(name))
        spacing = None if size is None else size.spacing_um
        target = read_label_map(run.target_of(name))
        image, prediction, target, spacing = _reduce(image, prediction, target, spacing)
        magnification = max(1, round(DISPLAYED_EDGE / max(image.shape[:2])))
        drawn = overlay(image, prediction, target, spacing_um=spacing, magnification=magnification)
    except (ValueError, OSError) as error:
        return Example(role, name, summary, reason=str(error).replace(f"{run.path}/", ""))
    if spacing is None:
        summary += "; no pixel size, so no scale bar"
    plain = image.repeat(magnification, axis=0).repeat(magnification, axis=1)
    return Example(role, name, summary, picture_uri(plain), picture_uri(drawn))


def _reduce(
    image: NDArray[np.uint8],
    prediction: NDArray[np.integer],
    target: NDArray[np.integer],
    spacing_um: tuple[float, float] | None,
) -> tuple[NDArray[np.uint8], NDArray[np.integer], NDArray[np.integer], tuple[float, float] | None]:
    """Make a very large image smaller by a whole factor, before outlines are drawn."""
    step = -(-max(image.shape[:2]) // LARGEST_EDGE)
    if step == 1:
        return image, prediction, target, spacing_um
    prediction, target = prediction[::step, ::step], target[::step, ::step]
    size = (prediction.shape[1], prediction.shape[0])
    small = np.array(Image.fromarray(image).resize(size, Image.Resampling.BOX), dtype=np.uint8)
    spacing = None if spacing_um is None else (spacing_um[0] * step, spacing_um[1] * step)
    return small, prediction, target, spacing
