"""The report of an enhancement: what was done, and the slices that look wrong as thumbnails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from lotus.atomic import atomic_path
from lotus.imaging import open_volume
from lotus.reports.overlays import overlay
from lotus.reports.pictures import picture_uri
from lotus.reports.tables import Table

THUMBNAIL_EDGE = 400
MOST_SHOWN = 24
ROUTES = {"otsu": "Otsu", "kmeans": "k-means", "": "blank"}


@dataclass(frozen=True)
class ReportedSlice:
    """A slice as the report tells of it.

    Attributes:
        name: Of its file, without suffix.
        number: Within its volume, from 0.
        route: ``otsu`` or ``kmeans``; empty where the slice is blank.
        bone_fraction: Bone in the field of view, 0 to 1.
        grey_range: Raw grey values that became 0 and 1; None where the slice is blank.
        suspect: Why it looks wrong; empty if it does not.
        source: Where the raw slice is.
        bone: Where its bone mask is.
    """

    name: str
    number: int
    route: str
    bone_fraction: float
    grey_range: tuple[float, float] | None
    suspect: str
    source: Path
    bone: Path


def write_enhancement_report(path: Path, title: str, slices: Sequence[ReportedSlice]) -> None:
    """Write the report as one HTML file that refers to nothing outside itself.

    Args:
        path: The file.
        title: What was enhanced.
        slices: All of them.
    """
    environment = Environment(
        loader=PackageLoader("lotus.reports", ""), autoescape=True, undefined=StrictUndefined
    )
    suspects = [each for each in slices if each.suspect]
    routes = Counter(ROUTES[each.route] for each in slices)
    text = environment.get_template("enhancement.html.j2").render(
        title=title,
        facts=[("slices", len(slices)), *routes.items(), ("suspect", len(suspects))],
        shown=[_thumbnail(each) for each in suspects[:MOST_SHOWN]],
        table=_table(suspects),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _table(suspects: Sequence[ReportedSlice]) -> Table:
    rows = [
        [
            each.name,
            str(each.number),
            ROUTES[each.route],
            f"{100 * each.bone_fraction:.1f} %",
            "" if each.grey_range is None else "{:.4g} to {:.4g}".format(*each.grey_range),
            each.suspect,
        ]
        for each in suspects
    ]
    header = ["file", "slice", "route", "bone", "grey range", "what looks wrong"]
    return Table(header, rows, "Slices are counted from 0.")


def _thumbnail(found: ReportedSlice) -> dict[str, str]:
    """The raw slice with the outline of its bone, made smaller by a whole factor."""
    with open_volume(found.source) as volume:
        raw = volume.read(found.number)
    with open_volume(found.bone) as volume:
        bone = volume.read(found.number)
    step = -(-max(raw.shape) // THUMBNAIL_EDGE)
    small = _stretched(raw[::step, ::step], found.grey_range)
    outlined = overlay(small, (bone[::step, ::step] > 0).astype(np.uint8), None)
    return {
        "title": f"{found.name}, slice {found.number}",
        "note": found.suspect,
        "uri": picture_uri(outlined),
    }


def _stretched(raw: NDArray[Any], grey_range: tuple[float, float] | None) -> NDArray[np.float32]:
    """Grey values in [0, 1]; black where there are none, and all of a blank slice."""
    if grey_range is None:
        return np.zeros(raw.shape, np.float32)
    low, high = grey_range
    stretched = (raw.astype(np.float32) - low) / (high - low)
    return np.asarray(np.clip(np.nan_to_num(stretched, nan=0.0), 0.0, 1.0), np.float32)
