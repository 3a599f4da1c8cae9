"""Drawings as files: which there are, of which case, and what they are meant as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lotus.imaging.drawing_roles import assign_roles
from lotus.imaging.drawings import DRAWING_SUFFIXES, read_drawings
from lotus.measurement.class_map_files import MapSettings
from lotus.measurement.drawn_section import ROLES, measure_drawings
from lotus.measurement.histomorphometry import Drawn, Region
from lotus.measurement.region_files import by_name, cases_of, files_in
from lotus.morphometry.section import Section

_MARGIN_PX = 20


def find_drawings(path: Path) -> dict[str, Path]:
    """The files of drawings that a path means, by the name of their region.

    Args:
        path: ImageJ ROIs or GeoJSON, or a folder of such files.

    Raises:
        FileNotFoundError: There is nothing.
        ValueError: Two files of one name.
    """
    files = files_in(path, DRAWING_SUFFIXES, what="drawings")
    return by_name((each.stem, each) for each in files)


def measured_drawings(
    files: Mapping[str, Path],
    roles: Mapping[str, str],
    settings: MapSettings,
    cases: Mapping[str, str] | None,
) -> Iterator[Region]:
    """Measure drawings, one file after another.

    Args:
        files: Of :func:`find_drawings`.
        roles: Of :func:`~lotus.imaging.drawing_roles.read_roles`.
        settings: How.
        cases: Of each region; None: each is a case of its own.

    Raises:
        ValueError: No pixel size, or drawings that cannot be measured so; the message begins with
            their file.
    """
    size = settings.pixel_size_um
    if size is None or not size > 0:
        said = "no pixel size" if size is None else f"a pixel size of {size:g} µm"
        raise ValueError(f"drawings are in pixels, and there is {said}; give --pixel-size-um")
    case = cases_of(files, cases)
    for roi, path in files.items():
        drawings = read_drawings(path)
        try:
            assigned = assign_roles(drawings, roles)
            section = measure_drawings(
                assigned.drawings,
                size,
                looked_for={role for role in roles.values() if role in ROLES},
                largest_interlabel_um=settings.largest_interlabel_um,
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        unused = [f"nothing is called {pattern}" for pattern in assigned.unused]
        yield Region(
            roi=roi,
            case=case[roi],
            primary=section.primary,
            pixel_size_um=(size, size),
            drawn=_shown(section, size),
            doubts=[*unused, *section.doubts],
        )


def _shown(section: Section, pixel_um: float) -> Drawn | None:
    """The lines on black, as large as what they reach to; None where there is no line."""
    lines = [line.points for line in (*section.surface, *section.labels.lines)]
    pairs = (section.interlabel, section.seams.perpendiculars)
    places = np.concatenate([*lines, *[each.reshape(-1, 2) for each in pairs]])
    if not len(places):
        return None
    height, width = np.ceil(np.maximum(places.max(axis=0), 0) / pixel_um).astype(int) + _MARGIN_PX
    return Drawn(section, np.zeros((height, width), np.uint8), (pixel_um, pixel_um))
