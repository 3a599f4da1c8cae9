"""Osteoid on bone surfaces: how much of the surface it covers and how wide the seams are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lotus.morphometry.interlabel import every_few
from lotus.morphometry.lines import (
    Line,
    Points,
    Spacing,
    gathered_points,
    lies_between,
    nearest,
    sample,
)

_STEEP = 0.8
"""Least cosine between a way across a seam and the normal of the line that it starts from."""
_DEPTHS_PX = (0.5, 1.0, 1.5, 2.0)
"""How far from an outline osteoid is looked for; it may lie beneath a faulty skin of a pixel."""


@dataclass(frozen=True)
class OsteoidSeams:
    """Osteoid along the bone surface.

    Attributes:
        covered: For each outline of the bone, (N,): where osteoid lies beneath it.
        perpendiculars: Pairs of places (M, 2, 2) in µm: the surface and the mineralised bone
            nearest to it, and the other way round, every few µm.
    """

    covered: Sequence[NDArray[np.bool_]]
    perpendiculars: Points

    @property
    def widths(self) -> NDArray[np.float64]:
        """(M,) in µm."""
        return np.asarray(np.linalg.norm(np.diff(self.perpendiculars, axis=1)[:, 0], axis=1))


def osteoid_seams(
    surface: Sequence[Line],
    interface: Sequence[Line],
    osteoid: NDArray[np.bool_],
    spacing: Spacing,
) -> OsteoidSeams:
    """Find where osteoid covers the surface, and its width by perpendiculars from both sides.

    The width at a place of the surface is the distance of the nearest mineralised bone, and at a
    place of the interface that of the nearest surface; taken from one side alone it is too small
    where that side is the smoother one. A way counts that is across the line that it starts from
    (within 37 degrees) and through osteoid: the end of a seam and specks within bone do not.

    Args:
        surface: Outlines of the bone, osteoid included.
        interface: Outlines of the bone without osteoid.
        osteoid: Bool (Y, X).
        spacing: Size of a pixel (Y, X) in µm.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.lines import contours
        >>> from lotus.morphometry.osteoid import osteoid_seams
        >>> bone, osteoid = np.zeros((2, 80, 100), bool)
        >>> bone[20:], osteoid[20:30] = True, True
        >>> both = contours(bone, (1.0, 1.0)), contours(bone & ~osteoid, (1.0, 1.0))
        >>> float(osteoid_seams(*both, osteoid, (1.0, 1.0)).widths.mean().round(2))
        10.0
    """
    covered = [_has(osteoid, line, spacing, 1.0) for line in surface]
    if not interface or not any(each.any() for each in covered):
        return OsteoidSeams(covered, np.zeros((0, 2, 2)))
    ways = [
        *_ways(surface, covered, interface, osteoid, spacing),
        *_ways(
            interface,
            [_has(osteoid, line, spacing, -1.0) for line in interface],
            surface,
            osteoid,
            spacing,
        ),
    ]
    return OsteoidSeams(covered, np.concatenate(ways))


def _ways(
    lines: Sequence[Line],
    wanted: Sequence[NDArray[np.bool_]],
    others: Sequence[Line],
    osteoid: NDArray[np.bool_],
    spacing: Spacing,
) -> list[Points]:
    """Pairs of places (M, 2, 2): those wanted of each line, and what is nearest of others."""
    opposite = gathered_points(others)
    tree = cKDTree(opposite)
    found = []
    for line, each in zip(lines, wanted, strict=True):
        number = every_few(line, each)
        here = line.points[number]
        there = opposite[nearest(tree, here)[1]]
        way = there - here
        along = np.abs((way * line.normals[number]).sum(axis=1))
        kept = along >= _STEEP * np.linalg.norm(way, axis=1)
        kept &= lies_between(osteoid, here, there, spacing)
        found.append(np.stack([here, there], axis=1)[kept])
    return found


def _has(mask: NDArray[np.bool_], line: Line, spacing: Spacing, side: float) -> NDArray[np.bool_]:
    """Whether a mask comes within two pixels on one side of each point of an outline."""
    pixel, found = float(np.mean(spacing)), np.zeros(len(line.points), np.bool_)
    for depth in _DEPTHS_PX:
        found |= sample(mask, line.points + side * depth * pixel * line.normals, spacing).astype(
            np.bool_
        )
    return found
