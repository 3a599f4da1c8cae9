"""Objects as GeoJSON for QuPath.

One feature per object, in pixels of the full-resolution image with the origin at its upper left
corner, as QuPath reads with "Import objects from file". Outlines run along pixel edges, so areas
are exact and holes are kept; see ``lotus.imaging.outlines``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

from lotus.atomic import atomic_path
from lotus.imaging.outlines import Polygon, outline_objects, ring_area

ObjectType = Literal["detection", "annotation"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "lotus-bone")


class Geometry(TypedDict):
    """Outline of an object, in pixels (x, y).

    Attributes:
        type: A MultiPolygon has several 4-connected parts.
        coordinates: Rings of the polygon, or those of each.
    """

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: Polygon | list[Polygon]


class Properties(TypedDict):
    """What QuPath shows of an object.

    Attributes:
        objectType: QuPath's "detection" or "annotation".
        name: The label.
        classification: The class under ``name``.
        measurements: Values by name and unit.
    """

    objectType: str
    name: str
    classification: dict[str, str]
    measurements: dict[str, float]


class Feature(TypedDict):
    """One object.

    Attributes:
        type: Always "Feature".
        id: UUID; the same for the same object.
        geometry: Its outline.
        properties: What is known of it.
    """

    type: Literal["Feature"]
    id: str
    geometry: Geometry
    properties: Properties


def object_features(
    labels: NDArray[np.integer],
    class_name: str,
    offset_yx: tuple[int, int] = (0, 0),
    spacing_um: tuple[float, float] | None = None,
    object_type: ObjectType = "detection",
) -> Iterator[Feature]:
    """Yield one GeoJSON feature per object, by ascending label.

    The feature's id follows from class, label and place alone, so the same objects always have the
    same ids. An object of several 4-connected parts is a MultiPolygon, any other a Polygon.

    Args:
        labels: (Y, X) label map, 0 = background; a whole image or a window that cuts no object.
        class_name: QuPath classification of all objects.
        offset_yx: Place of the window's first pixel in the whole image, in pixels.
        spacing_um: Pixel size (Y, X) in µm; adds the area in µm².
        object_type: QuPath's "detection" (light, for many objects) or "annotation" (editable).

    Raises:
        ValueError: Not a 2-D array of integers, an offset or pixel size that is not (Y, X), or
            another object type.
    """
    if object_type not in get_args(ObjectType):
        raise ValueError(f"object_type is {object_type!r}; use 'detection' or 'annotation'")
    if spacing_um is not None and len(spacing_um) != 2:
        raise ValueError(f"the pixel size is {spacing_um} µm; (Y, X) is expected")
    for label, polygons in outline_objects(labels, offset_yx).items():
        area = sum(ring_area(ring) for polygon in polygons for ring in polygon)
        measurements: dict[str, float] = {"Area px^2": area}
        if spacing_um is not None:
            measurements["Area µm^2"] = area * spacing_um[0] * spacing_um[1]
        yield {
            "type": "Feature",
            "id": _identifier(class_name, label, polygons),
            "geometry": {
                "type": "Polygon" if len(polygons) == 1 else "MultiPolygon",
                "coordinates": polygons[0] if len(polygons) == 1 else polygons,
            },
            "properties": {
                "objectType": object_type,
                "name": str(label),
                "classification": {"name": class_name},
                "measurements": measurements,
            },
        }


def write_features(path: Path, features: Iterable[Feature]) -> None:
    """Write a FeatureCollection, one feature per line, holding one feature at a time.

    Args:
        path: File to write, usually ending in .geojson; it appears whole or not at all.
        features: Features, for instance those of one window after the other.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for feature in features:
            stream.write(separator + json.dumps(feature, ensure_ascii=False))
            separator = ",\n"
        stream.write("\n]}\n")


def write_geojson(
    path: Path,
    labels: NDArray[np.integer],
    class_name: str,
    offset_yx: tuple[int, int] = (0, 0),
    spacing_um: tuple[float, float] | None = None,
) -> None:
    """Write all objects of a label map as QuPath detections.

    Args:
        path: File to write; it appears whole or not at all.
        labels: (Y, X) label map, 0 = background.
        class_name: QuPath classification of all objects.
        offset_yx: Place of the first pixel in the whole image, in pixels.
        spacing_um: Pixel size (Y, X) in µm; adds the area in µm².

    Raises:
        ValueError: Not a 2-D array of integers.
    """
    write_features(path, object_features(labels, class_name, offset_yx, spacing_um))


def _identifier(class_name: str, label: int, polygons: list[Polygon]) -> str:
    x, y = polygons[0][0][0]
    return str(uuid.uuid5(_NAMESPACE, f"{class_name}/{label}/{x},{y}"))
