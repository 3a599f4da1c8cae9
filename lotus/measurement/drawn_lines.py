"""Drawings as lines in µm, with the length that they have as they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lotus.imaging.drawing import Drawing
from lotus.morphometry.lines import Line, Points, kept_parts, resampled
from lotus.morphometry.outline import line_length, ring_perimeter

_FINE_PX = 0.25
"""Distance of places for distances to an outline."""


@dataclass(frozen=True)
class DrawnLine:
    """A line or outline.

    Attributes:
        line: With points about a pixel apart, in µm.
        length: In µm, as it is drawn.
    """

    line: Line
    length: float

    def kept(self, mask: NDArray[np.bool_]) -> list[DrawnLine]:
        """The stretches whose points are kept, with their share of the length.

        Args:
            mask: (N,).
        """
        whole = self.line.length
        if not mask.any() or not whole > 0:
            return []
        share = float(self.line.shares[mask].sum()) / whole
        parts = kept_parts(self.line, mask)
        total = sum(part.length for part in parts)
        return [DrawnLine(part, self.length * share * part.length / total) for part in parts]


def all_lines(drawings: Sequence[Drawing], pixel_size_um: float) -> list[DrawnLine]:
    """Each ring and each part of a line.

    Args:
        drawings: Polygons and lines.
        pixel_size_um: Edge of a pixel.
    """
    found = []
    for drawing in drawings:
        closed = drawing.kind == "polygon"
        for ring in drawing.rings:
            length = ring_perimeter(ring) if closed else line_length(ring)
            places = _evenly(ring, closed, 1.0) * pixel_size_um
            found.append(DrawnLine(Line(places, closed), length * pixel_size_um))
    return found


def places_of(drawings: Sequence[Drawing], pixel_size_um: float) -> cKDTree:
    """Places on the outlines of areas in µm, close together, for distances.

    Args:
        drawings: Polygons; at least one.
        pixel_size_um: Edge of a pixel.
    """
    rings = [ring for drawing in drawings for ring in drawing.rings]
    found = [_evenly(ring, True, _FINE_PX) * pixel_size_um for ring in rings]
    return cKDTree(np.concatenate(found))


def widths_of(lines: Sequence[DrawnLine], otherwise: Points) -> tuple[NDArray[np.float64], Points]:
    """Lengths of lines that were drawn across something, and their ends.

    Args:
        lines: Drawn ones.
        otherwise: Ends (M, 2, 2) of those that stand for them where none is drawn.

    Returns:
        Lengths (M,) in µm and ends (M, 2, 2).
    """
    if not lines:
        return np.linalg.norm(otherwise[:, 1] - otherwise[:, 0], axis=1), otherwise
    lengths = np.array([each.length for each in lines])
    return lengths, np.stack([each.line.points[[0, -1]] for each in lines])


def _evenly(ring: Points, closed: bool, step: float) -> Points:
    """A line with points at even distances in pixels; as it is where it is too short for that."""
    even = resampled(ring, closed, step)
    return ring if even is None else even
