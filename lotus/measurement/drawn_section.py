"""Histomorphometry of what a person drew: areas, perimeters, labels and widths by their roles."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lotus.imaging.drawing import Drawing, Kind
from lotus.measurement.drawn_labels import (
    SINGLE_DOUBLE,
    label_perimeters,
    labels_as_drawn,
    paired_drawings,
)
from lotus.measurement.drawn_lines import DrawnLine, all_lines, places_of, widths_of
from lotus.morphometry.histomorphometry import PrimaryMeasures
from lotus.morphometry.interlabel import LARGEST_INTERLABEL_UM
from lotus.morphometry.lines import Line, nearest
from lotus.morphometry.osteoid import OsteoidSeams
from lotus.morphometry.outline import polygon_area, ring_perimeter
from lotus.morphometry.section import Section
from lotus.morphometry.spread import Spread

Drawings = Mapping[str, Sequence[Drawing]]

_AREAS: tuple[Kind, ...] = ("polygon",)
_LINES: tuple[Kind, ...] = ("line", "polygon")
ROLES: Mapping[str, tuple[Kind, ...]] = {
    "tissue": _AREAS,
    "bone": _AREAS,
    "marrow": _AREAS,
    "pore": _AREAS,
    "osteoid": _AREAS,
    "bone_perimeter": _LINES,
    "osteoid_perimeter": _LINES,
    "single_label": _LINES,
    "double_label": _LINES,
    "label1": _LINES,
    "label2": _LINES,
    "interlabel_line": ("line",),
    "osteoid_line": ("line",),
}
"""What a drawing may be meant as, and of which kinds it may be."""
_BORDER_PX = 1.0
"""Bone outlines so near to the outline of the tissue are its border, not surfaces."""
_SEAM_PX = 2.0
"""Bone outlines so near to drawn osteoid are covered by it."""


def measure_drawings(
    drawings: Drawings,
    pixel_size_um: float,
    *,
    looked_for: Collection[str] = (),
    largest_interlabel_um: float = LARGEST_INTERLABEL_UM,
) -> Section:
    """Measure drawings by their roles, as they are drawn.

    Areas of one role are added up. Bone is drawn around its osteoid; ``marrow`` and ``pore`` are
    taken off it. B.Pm are the lines ``bone_perimeter``, else the outlines of bone and marrow
    without what runs along the outline of the tissue. O.Pm are the lines ``osteoid_perimeter``,
    else the part of B.Pm within 2 pixels of osteoid. O.Wi are the lengths of ``osteoid_line``,
    else O.Ar / O.Pm. sL.Pm and dL.Pm are the lengths of ``single_label`` and ``double_label`` (one
    line of each double label); where neither is drawn, ``label1`` and ``label2`` are told apart by
    :func:`~lotus.morphometry.interlabel.paired_labels`, and a double label counts as the mean of
    its two lines. Ir.L.Wi are the lengths of ``interlabel_line``, else perpendiculars between
    ``label1`` and ``label2``. Outlines along the edges of pixels have the perimeter of
    :func:`~lotus.morphometry.outline.ring_perimeter`.

    Args:
        drawings: Of each role of :data:`ROLES`.
        pixel_size_um: Edge of a pixel.
        looked_for: Roles that there might have been: without a drawing they are 0, others NaN.
        largest_interlabel_um: Labels further apart are no double label.

    Returns:
        Measures and lines; ``fill_width`` is NaN.

    Raises:
        ValueError: A role that is not known, or a drawing of a kind that its role cannot have.
    """
    check_kinds(drawings)
    lines = {role: all_lines(drawings.get(role, ()), pixel_size_um) for role in ROLES}
    surface = _surface(drawings, lines, pixel_size_um)
    bone_perimeter = _total(surface) if surface else math.nan
    covered = _osteoid(drawings, lines, surface, pixel_size_um)
    pairs, doubts = paired_drawings(lines, pixel_size_um, largest_interlabel_um)
    labels = labels_as_drawn(lines) if any(lines[role] for role in SINGLE_DOUBLE) else pairs
    single, double = label_perimeters(labels, lines, {*drawings, *looked_for})
    areas = _areas(drawings, {*drawings, *looked_for}, pixel_size_um**2)
    osteoid = _total(covered) if covered or "osteoid_area" in areas else math.nan
    between = widths_of(lines["interlabel_line"], pairs.perpendiculars())
    seams = widths_of(lines["osteoid_line"], np.zeros((0, 2, 2)))
    primary = PrimaryMeasures(
        **areas,
        bone_perimeter=bone_perimeter,
        osteoid_perimeter=osteoid,
        single_label_perimeter=single,
        double_label_perimeter=double,
        osteoid_width=_osteoid_width(seams[0], areas, osteoid, drawings),
        interlabel_width=Spread.of(between[0]),
    )
    return Section(
        primary,
        math.nan,
        [each.line for each in (*surface, *covered)],
        OsteoidSeams(_flags(surface, False) + _flags(covered, True), seams[1]),
        labels,
        between[1],
        [*doubts, *_doubts(primary)],
    )


def check_kinds(drawings: Drawings) -> None:
    """Refuse roles that there are not, and drawings that cannot have theirs.

    Args:
        drawings: Of each role.

    Raises:
        ValueError: Names the drawing.
    """
    for role, found in drawings.items():
        if role not in ROLES:
            raise ValueError(f"{role} is no role; known are {', '.join(ROLES)}")
        for drawing in found:
            if drawing.kind not in ROLES[role]:
                said = {"line": "an open line", "polygon": "an area", "points": "points"}
                wanted = "a closed outline" if ROLES[role] == _AREAS else "a line"
                raise ValueError(
                    f"{drawing.title} is {said[drawing.kind]}, and its role {role} needs {wanted}"
                )


def _areas(drawings: Drawings, looked_for: Collection[str], pixel: float) -> dict[str, float]:
    """Of :class:`PrimaryMeasures`, in µm²; what nobody looked for is left out."""
    area = {
        role: pixel * sum(polygon_area(each.rings) for each in drawings.get(role, ()))
        for role, kinds in ROLES.items()
        if kinds == _AREAS and role in looked_for
    }
    found = {f"{role}_area": area[role] for role in ("tissue", "osteoid", "pore") if role in area}
    if "bone" in area:
        bone = area["bone"] - area.get("marrow", 0.0) - area.get("pore", 0.0)
        found["bone_area"] = bone
        if "osteoid" in area:
            found["mineralised_area"] = bone - area["osteoid"]
    if "pore" in area:
        pores = drawings.get("pore", ())
        rings = [ring for each in pores for ring in each.rings]
        found["pore_perimeter"] = math.sqrt(pixel) * sum(map(ring_perimeter, rings))
        found["pore_number"] = float(len(pores))
    return found


def _surface(
    drawings: Drawings, lines: Mapping[str, Sequence[DrawnLine]], pixel_um: float
) -> list[DrawnLine]:
    """Lines of the bone surface."""
    if lines["bone_perimeter"]:
        return list(lines["bone_perimeter"])
    outlines = [*lines["bone"], *lines["marrow"]]
    if not lines["tissue"]:
        return outlines
    border = places_of(drawings["tissue"], pixel_um)
    return [
        part
        for outline in outlines
        for part in outline.kept(~_is_near(outline.line, border, _BORDER_PX * pixel_um))
    ]


def _osteoid(
    drawings: Drawings,
    lines: Mapping[str, Sequence[DrawnLine]],
    surface: Sequence[DrawnLine],
    pixel_um: float,
) -> list[DrawnLine]:
    """Lines of the surface that osteoid covers."""
    if lines["osteoid_perimeter"] or not lines["osteoid"]:
        return list(lines["osteoid_perimeter"])
    seams = places_of(drawings["osteoid"], pixel_um)
    return [
        part
        for outline in surface
        for part in outline.kept(_is_near(outline.line, seams, _SEAM_PX * pixel_um))
    ]


def _osteoid_width(
    lengths: NDArray[np.float64], areas: Mapping[str, float], perimeter: float, drawings: Drawings
) -> Spread:
    """Of lines across the osteoid where they are drawn, else by area and length."""
    if len(lengths) or not perimeter > 0 or "osteoid_area" not in areas:
        return Spread.of(lengths)
    return Spread(areas["osteoid_area"] / perimeter, math.nan, len(drawings.get("osteoid", ())))


def _is_near(line: Line, tree: cKDTree, reach: float) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(nearest(tree, line.points, reach)[0]))


def _total(lines: Sequence[DrawnLine]) -> float:
    return float(sum(each.length for each in lines))


def _flags(lines: Sequence[DrawnLine], value: bool) -> list[NDArray[np.bool_]]:
    return [np.full(len(each.line.points), value) for each in lines]


def _doubts(primary: PrimaryMeasures) -> list[str]:
    surface = primary.bone_perimeter
    labelled = primary.single_label_perimeter + primary.double_label_perimeter
    doubts = []
    if math.isnan(surface):
        doubts.append("neither bone nor bone_perimeter is drawn: no B.Pm, MS/BS, OS/BS")
    if labelled > surface:
        doubts.append(
            f"labels of {labelled:.1f} µm are longer than the surface of {surface:.1f} µm"
        )
    if primary.bone_area < 0 or primary.mineralised_area < 0:
        doubts.append("marrow, pores and osteoid are larger than the bone that they lie in")
    return doubts
