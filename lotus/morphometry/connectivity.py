"""Euler characteristic and connectivity of a structure, slice by slice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Euler:
    """Euler characteristic of a structure in a box: parts - tunnels + cavities.

    Attributes:
        characteristic: Of what lies in the box.
        corrected: What the box contributes to the characteristic of the structure that it is cut
            from (Odgaard & Gundersen, Bone 14, 1993): faces that the box's sides cut belong by half
            to this box, edges by a quarter, corners by an eighth. It adds up over boxes side by
            side.
    """

    characteristic: int
    corrected: float

    @property
    def connectivity(self) -> float:
        """Connections that could be cut without dividing the structure, as BoneJ: 1 - corrected."""
        return 1.0 - self.corrected


def euler(slices: Iterable[Mask]) -> Euler:
    """Euler characteristic of a structure whose voxels touch by faces, edges or corners.

    The structure is the union of closed voxels (26 neighbours), made of corners, edges, faces and
    voxels: χ is their alternating sum (Toriwaki & Yonekura, Forma 17, 2002). Those within a plane
    between two slices make up the 2-D characteristic of both slices together; those between planes
    that of one slice, negative.

    Args:
        slices: Bool (Y, X), all of one shape; a mask (Z, Y, X) is such slices.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.connectivity import euler
        >>> ring = np.ones((1, 3, 3), bool)
        >>> ring[0, 1, 1] = False
        >>> euler(ring).characteristic
        0
        >>> euler(np.ones((2, 2, 2), bool)).corrected  # all of the corners, edges and faces is cut
        0.0
    """
    whole, weighted = 0, 0.0
    before: Mask | None = None
    for plane in slices:
        between = plane if before is None else before | plane
        shared, own = _planar(between), _planar(plane)
        whole += shared[0] - own[0]
        weighted += (0.5 if before is None else 1.0) * shared[1] - own[1]
        before = plane
    if before is not None:
        last = _planar(before)
        whole, weighted = whole + last[0], weighted + 0.5 * last[1]
    return Euler(whole, weighted)


def _planar(plane: Mask) -> tuple[int, float]:
    """2-D Euler characteristic of a slice, and the same with what lies on the border by half."""
    beside = _touching(plane, 1)
    above = _touching(plane, 0)
    corners = _touching(beside, 0)
    pixels = np.count_nonzero(plane)
    whole = pixels - sum(map(np.count_nonzero, (beside, above))) + np.count_nonzero(corners)
    halves = np.ones(corners.shape)
    halves[[0, -1]] /= 2
    halves[:, [0, -1]] /= 2
    edges = halves[1, :] @ np.count_nonzero(beside, axis=0)
    edges += halves[:, 1] @ np.count_nonzero(above, axis=1)
    return int(whole), float(pixels - edges + halves[corners].sum())


def _touching(cells: Mask, axis: int) -> Mask:
    """Sides across an axis that belong to a cell before or behind them."""
    padding = [(0, 0), (0, 0)]
    padding[axis] = (1, 1)
    padded = np.pad(cells, padding)
    return np.asarray(
        np.delete(padded, 0, axis) | np.delete(padded, -1, axis),
        np.bool_,
    )
