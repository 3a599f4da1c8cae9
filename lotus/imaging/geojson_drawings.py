"""Drawings from GeoJSON, as QuPath exports them ("Export objects as GeoJSON")."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lotus.imaging.drawing import Drawing, Kind, Places, checked_rings

_KINDS: dict[str, Kind] = {
    "Polygon": "polygon",
    "MultiPolygon": "polygon",
    "LineString": "line",
    "MultiLineString": "line",
    "Point": "points",
    "MultiPoint": "points",
}


def read_geojson(path: Path) -> list[Drawing]:
    """Read the objects of a GeoJSON file; places are (x, y) in pixels of the full image.

    Args:
        path: A FeatureCollection, a list of features, a feature or a geometry.

    Returns:
        One drawing per object, with the name and the class that QuPath gave it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not GeoJSON, another geometry, or one of too few places.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; GeoJSON is expected")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not GeoJSON: {error}") from error
    drawings = []
    for number, feature in enumerate(_features(content), 1):
        try:
            drawings.append(_drawing(feature))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"{path}: object {number} cannot be read: {error}") from error
    if not drawings:
        raise ValueError(f"{path} holds no object")
    return drawings


def _features(content: Any) -> Iterator[Any]:
    """Features, or geometries without one, whatever holds them."""
    if isinstance(content, list):
        yield from content
    elif isinstance(content, Mapping) and content.get("type") == "FeatureCollection":
        yield from content.get("features", [])
    else:
        yield content


def _drawing(feature: Mapping[str, Any]) -> Drawing:
    is_feature = feature.get("type") == "Feature"
    geometry = feature["geometry"] if is_feature else feature
    properties = (feature.get("properties") or {}) if is_feature else {}
    found = str(geometry.get("type"))
    kind = _KINDS.get(found)
    if kind is None:
        raise ValueError(f"its geometry is {found}; known are {', '.join(_KINDS)}")
    return Drawing(
        str(properties.get("name") or ""),
        kind,
        checked_rings(kind, _rings(found, geometry["coordinates"])),
        _classification(properties.get("classification") or {}),
    )


def _rings(found: str, coordinates: Any) -> list[Places]:
    """Places (y, x) of each ring, part or set of points."""
    match found:
        case "MultiPolygon":
            parts = [ring for polygon in coordinates for ring in polygon]
        case "Polygon" | "MultiLineString":
            parts = coordinates
        case "Point":
            parts = [[coordinates]]
        case _:
            parts = [coordinates]
    # A third coordinate would be a height.
    return [np.array([[place[1], place[0]] for place in part], np.float64) for part in parts]


def _classification(stored: Mapping[str, Any]) -> str:
    """QuPath's name of a class; one derived from another has several, joined as it shows them."""
    return str(stored.get("name") or ": ".join(stored.get("names") or []))
