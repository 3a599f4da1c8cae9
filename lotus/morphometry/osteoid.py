"""Osteoid on bone surfaces: how much of the surface it covers and how wide the seams are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lotus.morphometry.interlabel import every_few
from lotus.morphometry.lines import Line, Points, Spacing, gathered_points, nearest, sample

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
    where that side is the smoother one.

    Args:
        surface: Outlines of the bone, osteoid included.
        interface: Outlines of the bone without osteoid.
        osteoid: Bool (Y, X).
        spacing: Size of a pixel (Y, X) in µm.
    """
    covered = [_has(osteoid, line, spacing, 1.0) for line in surface]
    if not interface or not any(each.any() for each in covered):
        return OsteoidSeams(covered, np.zeros((0, 2, 2)))
    outer, inner = gathered_points(surface), gathered_points(interface)
    outer_tree, inner_tree = cKDTree(outer), cKDTree(inner)
    is_covered = np.concatenate(covered)
    found: list[Points] = []
    for line, seam in zip(surface, covered, strict=True):
        start = line.points[every_few(line, seam)]
        found.append(np.stack([start, inner[nearest(inner_tree, start)[1]]], axis=1))
    for line in interface:
        start = line.points[every_few(line, _has(osteoid, line, spacing, -1.0))]
        closest = nearest(outer_tree, start)[1]
        # Specks of osteoid within bone are no seam.
        is_seam = is_covered[closest]
        found.append(np.stack([outer[closest], start], axis=1)[is_seam])
    return OsteoidSeams(covered, np.concatenate(found))


def _has(
    mask: NDArray[np.bool_], line: Line, spacing: Spacing, side: float
) -> NDArray[np.bool_]:
    """Whether a mask comes within two pixels on one side of each point of an outline."""
    pixel, found = float(np.mean(spacing)), np.zeros(len(line.points), np.bool_)
    for depth in _DEPTHS_PX:
        found |= sample(mask, line.points + side * depth * pixel * line.normals, spacing).astype(
            np.bool_
        )
    return found
