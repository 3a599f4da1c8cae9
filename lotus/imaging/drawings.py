"""Files of drawings: ImageJ ROIs and QuPath's GeoJSON."""

from __future__ import annotations

from pathlib import Path

from lotus.imaging.drawing import Drawing, Kind
from lotus.imaging.geojson_drawings import read_geojson
from lotus.imaging.imagej_rois import read_imagej_rois, write_imagej_rois

__all__ = ["DRAWING_SUFFIXES", "Drawing", "Kind", "read_drawings", "write_imagej_rois"]

DRAWING_SUFFIXES = (".roi", ".zip", ".geojson", ".json")


def read_drawings(path: Path) -> list[Drawing]:
    """Read what was drawn into an image.

    Args:
        path: ImageJ's ``.roi`` or set of ROIs ``.zip``, or GeoJSON of QuPath (``.geojson``,
            ``.json``).

    Returns:
        Drawings in the order of the file, all with the origin of :class:`Drawing`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another suffix, nothing drawn, or something that cannot be read; the message
            says which.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".roi" | ".zip":
            return read_imagej_rois(path)
        case ".geojson" | ".json":
            return read_geojson(path)
        case _:
            raise ValueError(
                f"{path} holds no drawings that are known; use ImageJ's .roi or .zip, or QuPath's "
                ".geojson"
            )
