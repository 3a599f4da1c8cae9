"""The lines behind the numbers of a section, by the measure that they are behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lotus.imaging.drawings import Drawing
from lotus.morphometry.lines import Line, kept_parts
from lotus.morphometry.section import Section
from lotus.reports.section_picture import Layer

COLOURS = {
    "B.Pm": (235, 235, 235),
    "O.Pm": (235, 94, 0),
    "O.Wi": (255, 170, 190),
    "sL.Pm": (245, 220, 0),
    "dL.Pm": (0, 200, 130),
    "Ir.L.Wi": (0, 150, 255),
}
"""After Okabe and Ito (2008), as in the other overlays."""
MEANINGS = {
    "B.Pm": "bone surface",
    "O.Pm": "with osteoid",
    "O.Wi": "osteoid width",
    "sL.Pm": "single label",
    "dL.Pm": "double label",
    "Ir.L.Wi": "interlabel width",
}


def section_lines(section: Section) -> dict[str, list[Line]]:
    """All lines of a section, in µm.

    Args:
        section: What was measured.

    Returns:
        Lines by the name of their measure: B.Pm (where no osteoid is), O.Pm, O.Wi, sL.Pm, dL.Pm
        and Ir.L.Wi; of the widths each perpendicular is a line of two points.
    """
    covered, double = section.seams.covered, section.labels.double
    return {
        "B.Pm": _parts(section.surface, [~each for each in covered]),
        "O.Pm": _parts(section.surface, covered),
        "O.Wi": [Line(pair) for pair in section.seams.perpendiculars],
        "sL.Pm": _parts(section.labels.lines, [~each for each in double]),
        "dL.Pm": _parts(section.labels.lines, double),
        "Ir.L.Wi": [Line(pair) for pair in section.interlabel],
    }


def layers(lines: Mapping[str, Sequence[Line]], spacing_um: tuple[float, float]) -> list[Layer]:
    """Lines as they are drawn upon a picture.

    Args:
        lines: Of :func:`section_lines`.
        spacing_um: Size of a pixel (Y, X).
    """
    return [
        Layer(
            f"{name} {MEANINGS[name]}",
            COLOURS[name],
            [_in_pixels(line, spacing_um) for line in found],
            thin=name.endswith("Wi"),
        )
        for name, found in lines.items()
        if found
    ]


def drawings(lines: Mapping[str, Sequence[Line]], spacing_um: tuple[float, float]) -> list[Drawing]:
    """Lines as ImageJ ROIs, each called by its measure and a number.

    Args:
        lines: Of :func:`section_lines`.
        spacing_um: Size of a pixel (Y, X).
    """
    return [
        Drawing(
            f"{name} {number}",
            "polygon" if line.closed else "line",
            (line.points / np.asarray(spacing_um),),
        )
        for name, found in lines.items()
        for number, line in enumerate(found, 1)
    ]


def _parts(lines: Sequence[Line], kept: Sequence[NDArray[np.bool_]]) -> list[Line]:
    return [
        part
        for line, mask in zip(lines, kept, strict=True)
        if mask.any()
        for part in kept_parts(line, mask)
    ]


def _in_pixels(line: Line, spacing_um: tuple[float, float]) -> NDArray[np.float64]:
    points = np.concatenate([line.points, line.points[:1]]) if line.closed else line.points
    return np.asarray(points / np.asarray(spacing_um))
