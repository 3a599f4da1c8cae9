"""Masks that are drawn: ImageJ ROIs and QuPath's GeoJSON as class maps."""

from __future__ import annotations

from pathlib import Path

from data_modules.adapters.overrides import Overrides
from lotus.imaging.drawing_roles import assign_roles, read_roles
from lotus.imaging.drawings import DRAWING_SUFFIXES, read_drawings
from lotus.imaging.raster import read_size, write_label_map
from lotus.imaging.rasterise import rasterise_classes


def is_drawn(mask: Path) -> bool:
    """Whether the file holds drawings, by its name."""
    return mask.suffix.lower() in DRAWING_SUFFIXES


def drawn_mask(drawn: Path, image: Path, path: Path, overrides: Overrides) -> None:
    """Write the class map of the drawings in an image.

    The classes are those that ``overrides.mask_values`` name, in the order in which they are
    painted: where two drawings overlap, the later class stands. A drawing is of the class whose
    name it, or its class in QuPath, has, alone or followed by anything but a letter or a digit
    (``osteoid 3``); ``overrides.roles`` says otherwise.

    Args:
        drawn: ImageJ's ``.roi`` or ``.zip``, or QuPath's ``.geojson``.
        image: What was drawn into.
        path: The label map, with the values of the classes and 0 elsewhere.
        overrides: Names and values of the classes, roles, and the width of lines.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No classes are named, or drawings cannot be used; names the file.
    """
    classes = dict(overrides.mask_values.objects)
    if not classes:
        raise ValueError(
            f"{drawn}: drawings have names and no values; give their classes in the order in which "
            "they are painted, such as --mask-values mineralised=1 osteoid=2 label=3"
        )
    if overrides.roles is None:
        patterns = {f"{name}{end}": name for name in classes for end in ("", "[!a-zA-Z0-9]*")}
    else:
        patterns = read_roles(overrides.roles, classes)
    drawings = read_drawings(drawn)
    try:
        meant = assign_roles(drawings, patterns)
        labels = rasterise_classes(
            meant.drawings, classes, read_size(image), line_width_px=overrides.line_width_px
        )
    except ValueError as error:
        raise ValueError(f"{drawn}: {error}") from error
    write_label_map(path, labels)
