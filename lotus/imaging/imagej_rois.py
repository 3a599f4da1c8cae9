"""ImageJ's ROI files: ``.roi`` and the sets (``.zip``) of the ROI Manager.

ImageJ counts the places of areas from the corners of pixels, as :class:`Drawing` does, and those of
lines and points from their middles: these are shifted by half a pixel, both ways.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi
from scipy.interpolate import CubicSpline

from lotus.atomic import atomic_path
from lotus.imaging.drawing import Drawing, Kind, Places, checked_rings

_KINDS: dict[ROI_TYPE, Kind] = {
    ROI_TYPE.POLYGON: "polygon",
    ROI_TYPE.FREEHAND: "polygon",
    ROI_TYPE.TRACED: "polygon",
    ROI_TYPE.RECT: "polygon",
    ROI_TYPE.OVAL: "polygon",
    ROI_TYPE.LINE: "line",
    ROI_TYPE.FREELINE: "line",
    ROI_TYPE.POLYLINE: "line",
    ROI_TYPE.ANGLE: "line",
    ROI_TYPE.POINT: "points",
}
_TYPES = {"polygon": ROI_TYPE.POLYGON, "line": ROI_TYPE.POLYLINE, "points": ROI_TYPE.POINT}
_DECORATIONS = (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE)
_OVAL_POINTS = 360
_SPLINE_POINTS = 10
"""Per knot."""
_MOVE_TO, _LINE_TO, _CLOSE = 0.0, 1.0, 4.0


def read_imagej_rois(path: Path) -> list[Drawing]:
    """Read a ROI or a set of ROIs.

    Ovals become polygons of 360 places, and lines and polygons with a fitted spline follow a cubic
    spline through their knots, as on ImageJ's screen. Text and pictures of an overlay are left out.

    Args:
        path: Name ending in .roi or .zip.

    Returns:
        Drawings in the order of the file; one without a name has that of its file in the set.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No ROIs, or one that is broken, of an unknown type or of too few places.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; ImageJ ROIs (.roi, .zip) are expected")
    drawings = []
    for name, content in _contents(path):
        place = path if path.suffix.lower() == ".roi" else f"{path}: {name}"
        try:
            roi = ImagejRoi.frombytes(content)
            if roi.subtype not in _DECORATIONS:
                drawings.append(_drawing(roi, name))
        except (ValueError, TypeError, RuntimeError, struct.error) as error:
            raise ValueError(f"{place} cannot be read as an ImageJ ROI: {error}") from error
    if not drawings:
        raise ValueError(f"{path} holds no ROI")
    return drawings


def write_imagej_rois(path: Path, drawings: Iterable[Drawing]) -> None:
    """Write drawings as a set of ROIs that ImageJ's ROI Manager opens; it appears whole or not.

    A polygon of several rings is a composite ROI, of a line each part is a ROI of its own. Places
    are kept to a fraction of a pixel.

    Args:
        path: Name ending in .zip.
        drawings: With names; those that come again get a number.

    Raises:
        ValueError: Another suffix, or nothing to write.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip":
        raise ValueError(f"{path} is to hold a set of ImageJ ROIs; use a name ending in .zip")
    rois, seen = [], set[str]()
    for drawing in drawings:
        parts = [drawing.rings] if drawing.kind == "polygon" else [(r,) for r in drawing.rings]
        for rings in parts:
            name = _unused(drawing.name or drawing.classification or drawing.kind, seen)
            rois.append(_roi(name, drawing.kind, rings))
    if not rois:
        raise ValueError(f"{path}: there is no drawing to write")
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for roi in rois:
            archive.writestr(f"{roi.name.replace('/', '_')}.roi", roi.tobytes())


def _contents(path: Path) -> Iterable[tuple[str, bytes]]:
    """Name and bytes of each ROI."""
    if path.suffix.lower() == ".roi":
        return [(path.stem, path.read_bytes())]
    try:
        with zipfile.ZipFile(path) as archive:
            return [
                (PurePosixPath(name).stem, archive.read(name))
                for name in archive.namelist()
                if name.lower().endswith(".roi") and not name.startswith("__MACOSX/")
            ]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no zip file of ImageJ ROIs: {error}") from error


def _drawing(roi: ImagejRoi, name: str) -> Drawing:
    kind = _KINDS.get(roi.roitype)
    if kind is None:
        raise ValueError(f"its type is {int(roi.roitype)}; areas, lines and points are known")
    rings = [np.asarray(each, np.float64)[:, ::-1] for each in _places(roi)]
    if roi.options & ROI_OPTIONS.SPLINE_FIT and kind != "points":
        rings = [_spline(ring, closed=kind == "polygon") for ring in rings]
    shift = 0.0 if kind == "polygon" else 0.5
    return Drawing(roi.name or name, kind, checked_rings(kind, [ring + shift for ring in rings]))


def _places(roi: ImagejRoi) -> list[NDArray[np.generic]]:
    """Places (x, y) of each part, as ImageJ counts them."""
    if roi.roitype not in (ROI_TYPE.RECT, ROI_TYPE.OVAL) or roi.composite:
        return [np.asarray(each) for each in roi.coordinates(multi=True)]
    if roi.subpixelrect:
        x, y, width, height = roi.xd, roi.yd, roi.widthd, roi.heightd
    else:
        x, y, width, height = roi.left, roi.top, roi.right - roi.left, roi.bottom - roi.top
    if roi.roitype == ROI_TYPE.RECT:
        shares = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    else:
        angle = np.linspace(0.0, 2.0 * np.pi, _OVAL_POINTS, endpoint=False)
        shares = (1.0 + np.stack([np.cos(angle), np.sin(angle)], axis=1)) / 2.0
    return [shares * (width, height) + (x, y)]


def _spline(knots: Places, closed: bool) -> Places:
    """A cubic spline through knots, whose parameter is their number."""
    if len(knots) < 3:
        return knots
    through = np.concatenate([knots, knots[:1]]) if closed else knots
    steps = (len(through) - 1) * _SPLINE_POINTS
    curve = CubicSpline(
        np.arange(len(through)), through, bc_type="periodic" if closed else "natural"
    )
    return np.asarray(curve(np.linspace(0.0, len(through) - 1, steps + 1)), np.float64)


def _roi(name: str, kind: Kind, rings: tuple[Places, ...]) -> ImagejRoi:
    shift = 0.0 if kind == "polygon" else 0.5
    places = [np.asarray(ring, np.float64)[:, ::-1] - shift for ring in rings]
    roi = ImagejRoi.frompoints(np.concatenate(places), name=name)
    roi.roitype = _TYPES[kind]
    if len(places) > 1:
        path = np.concatenate([_path(ring) for ring in places]).astype(np.float32)
        roi.roitype, roi.shape_roi_size, roi.multi_coordinates = ROI_TYPE.RECT, len(path), path
        roi.n_coordinates = 0
        roi.integer_coordinates = roi.subpixel_coordinates = None
        roi.options = ROI_OPTIONS.NONE
    return roi


def _path(ring: Places) -> NDArray[np.float64]:
    """A closed ring as ImageJ's path: an operation before each place, and one that closes."""
    operations = np.full((len(ring), 1), _LINE_TO)
    operations[0] = _MOVE_TO
    return np.append(np.concatenate([operations, ring], axis=1).ravel(), _CLOSE)


def _unused(name: str, seen: set[str]) -> str:
    """The name, or with the first number that makes it another than those seen."""
    chosen, number = name, 1
    while chosen in seen:
        number += 1
        chosen = f"{name} {number}"
    seen.add(chosen)
    return chosen
