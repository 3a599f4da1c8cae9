"""Drawings: lines, polygons and points in an image, as ImageJ keeps them in ROI files.

Places are (y, x) in pixels with the origin at the upper left corner of the image, as in
``lotus.imaging.geojson``: the middle of the first pixel is at (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from lotus.atomic import atomic_path

Kind = Literal["polygon", "line", "points"]

_TYPES = {"polygon": ROI_TYPE.POLYGON, "line": ROI_TYPE.POLYLINE, "points": ROI_TYPE.POINT}


@dataclass(frozen=True)
class Drawing:
    """Something drawn.

    Attributes:
        name: What it is called.
        kind: Whether it is an area, a line or places.
        rings: (N, 2) places (y, x) in pixels: one ring of a polygon without holes, the places of a
            line, or points; further rings of a polygon are its holes and other parts.
    """

    name: str
    kind: Kind
    rings: tuple[NDArray[np.float64], ...]


def write_imagej_rois(path: Path, drawings: Iterable[Drawing]) -> None:
    """Write drawings as a set of ROIs that ImageJ's ROI Manager opens; it appears whole or not.

    Every ring is a ROI of its own, because ImageJ's lines and polygons have one. Places are kept to
    a fraction of a pixel.

    Args:
        path: Name ending in .zip.
        drawings: With names; those of later rings and of later drawings of one name get a number.

    Raises:
        ValueError: Another suffix, or nothing to write.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip":
        raise ValueError(f"{path} is to hold a set of ImageJ ROIs; use a name ending in .zip")
    rois, seen = [], dict[str, int]()
    for drawing in drawings:
        for ring in drawing.rings:
            seen[drawing.name] = count = seen.get(drawing.name, 0) + 1
            name = drawing.name if count == 1 else f"{drawing.name} {count}"
            roi = ImagejRoi.frompoints(np.asarray(ring, np.float64)[:, ::-1], name=name)
            roi.roitype = _TYPES[drawing.kind]
            rois.append(roi)
    if not rois:
        raise ValueError(f"{path}: there is no drawing to write")
    with atomic_path(path) as temporary:
        roiwrite(temporary, rois, mode="w")
