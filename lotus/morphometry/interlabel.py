"""Single and double labels told apart, and how far the two labels of a double one are apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.draw import polygon2mask

from lotus.morphometry.lines import (
    Line,
    Points,
    Spacing,
    gathered_points,
    lies_between,
    nearest,
    shares_of,
)

LARGEST_INTERLABEL_UM = 60.0
"""What lies further apart is no double label."""
PERPENDICULAR_STEP_UM = 5.0
"""Distance of the places along a line at which a width is measured."""
_OBLIQUE, _OBLIQUE_TO_END = 0.5, 0.17
"""Greatest cosine between a line and the way to the other label: 30 degrees from a perpendicular,
10 where it leads to the end of the other label, beyond which there is none."""
_DEPTH_SHARE = 0.5
"""Of the distance of two labels, the least by which one lies deeper in the bone. Labels of opposite
surfaces of a trabecula are equally deep."""
_STRIP_POINTS = 12


@dataclass(frozen=True)
class Labels:
    """Label lines, and which parts of them are double.

    Attributes:
        lines: Of all labels.
        feet: For each line, (N, 2): the nearest place of the label that it is double with.
        partners: For each line, (N,): the number of that label's line; -1 where it is single.
        measured: For each line, (N,): where a width is measured: where it is double, and the
            nearest place is no end of the other label, to which the way would be oblique.
    """

    lines: Sequence[Line]
    feet: Sequence[Points]
    partners: Sequence[NDArray[np.int64]]
    measured: Sequence[NDArray[np.bool_]]

    @property
    def double(self) -> list[NDArray[np.bool_]]:
        """For each line, (N,): where it is double."""
        return [partner >= 0 for partner in self.partners]

    def perpendiculars(self) -> Points:
        """Pairs of places (M, 2, 2) every few µm along both lines of double labels."""
        pairs = [
            np.stack([line.points, foot], axis=1)[every_few(line, measured)]
            for line, foot, measured in zip(self.lines, self.feet, self.measured, strict=True)
        ]
        return np.concatenate(pairs) if pairs else np.zeros((0, 2, 2))


def every_few(line: Line, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of those wanted points of a line that lie every :data:`PERPENDICULAR_STEP_UM`.

    Args:
        line: With N points.
        wanted: (N,).

    Returns:
        Numbers of points, ascending.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.interlabel import every_few
        >>> from lotus.morphometry.lines import Line
        >>> line = Line(np.array([[0.0, x] for x in range(21)]))  # 20 µm
        >>> every_few(line, np.ones(21, bool)).tolist()
        [2, 7, 12, 17]
    """
    step = line.length / max(len(line.segments), 1)
    stride = max(round(PERPENDICULAR_STEP_UM / step), 1) if step > 0 else 1
    number = np.arange(len(line.points))
    return np.flatnonzero(wanted & (number % stride == min(stride // 2, len(number) - 1)))


def paired_labels(
    lines: Sequence[Line],
    kinds: Sequence[int],
    surface: Sequence[Line],
    bone: NDArray[np.bool_],
    spacing: Spacing,
    largest_um: float = LARGEST_INTERLABEL_UM,
) -> Labels:
    """Find for each place of each label the one that it is double with, by geometry.

    It is the nearest place of another label that is no further than ``largest_um``, lies across the
    label (within 30 degrees; 10 where it is that label's end), has bone between, and differs in
    depth below the bone surface by at least half their distance: labels of opposite surfaces do
    not.

    Args:
        lines: In the middle of labels.
        kinds: Which label each line is of, where labels were told apart already (double is what two
            different ones are); the same number for all where they were not.
        surface: Outlines of the bone; without any, depth is not asked for.
        bone: Bool (Y, X), labels included.
        spacing: Size of a pixel (Y, X) in µm.
        largest_um: Greatest distance.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.interlabel import paired_labels
        >>> from lotus.morphometry.label_lines import label_lines
        >>> from lotus.morphometry.lines import contours
        >>> bone = np.zeros((90, 200), bool)
        >>> bone[20:] = True
        >>> mask = np.zeros_like(bone)
        >>> mask[30:34, 20:180] = mask[45:49, 20:180] = True  # 15 µm from middle to middle
        >>> lines, surface = label_lines(mask, (1.0, 1.0)).lines, contours(bone, (1.0, 1.0))
        >>> labels = paired_labels(lines, [0, 0], surface, bone, (1.0, 1.0))
        >>> ends = labels.perpendiculars()
        >>> float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).mean().round(2))
        15.0
    """
    tree = cKDTree(gathered_points(surface)) if surface else None
    depths = [
        nearest(tree, line.points)[0] if tree else np.zeros(len(line.points)) for line in lines
    ]
    trees = [cKDTree(line.points) for line in lines]
    near = _are_near(lines, largest_um)
    feet, partners, measured = [], [], []
    told_apart = len(set(kinds)) > 1
    for one, line in enumerate(lines):
        best = np.full(len(line.points), np.inf)
        foot, partner = line.points.copy(), np.full(len(line.points), -1)
        inner = np.zeros(len(line.points), np.bool_)
        for other in np.flatnonzero(near[one]).tolist():
            if kinds[one] == kinds[other] if told_apart else one == other:
                continue
            opposite = lines[other]
            distance, index = nearest(trees[other], line.points, largest_um)
            found = np.isfinite(distance) & (distance < best) & (distance > 0)
            there = opposite.points[index]
            is_end = (index == 0) | (index == len(opposite.points) - 1)
            is_end &= not opposite.closed
            found &= _is_across(line, there, is_end)
            found &= lies_between(bone, line.points, there, spacing)
            if tree is not None:
                deeper = np.abs(depths[other][index] - depths[one])
                found &= deeper >= _DEPTH_SHARE * distance
            best[found], foot[found], partner[found] = distance[found], there[found], other
            inner[found] = ~is_end[found]
        feet.append(foot)
        partners.append(partner)
        measured.append(inner)
    return Labels(lines, feet, partners, measured)


def covered_surface(lines: Sequence[Line], surface: Sequence[Line]) -> list[NDArray[np.float64]]:
    """Bone surface that each point of each label stands for: labels projected on what is nearest.

    On a convex surface of radius r a label at depth d is shorter than its surface by d / r, and MS
    is a share of the surface. Where neighbouring points are nearest to places that are further
    apart than half their depth, so to different parts of the surface, the length along the label is
    taken.

    Args:
        lines: In the middle of labels, with N points each.
        surface: Outlines of the bone; without any, lengths are those along the label.

    Returns:
        Lengths in µm, (N,) for each line.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.interlabel import covered_surface
        >>> from lotus.morphometry.label_lines import label_lines
        >>> from lotus.morphometry.lines import contours
        >>> bone = np.zeros((90, 200), bool)
        >>> bone[20:] = True
        >>> mask = np.zeros_like(bone)
        >>> mask[30:34, 20:180] = mask[45:49, 20:180] = True  # 15 µm from middle to middle
        >>> lines, surface = label_lines(mask, (1.0, 1.0)).lines, contours(bone, (1.0, 1.0))
        >>> [float(covered.sum().round(-1)) for covered in covered_surface(lines, surface)]
        [160.0, 160.0]
    """
    if not surface:
        return [line.shares for line in lines]
    points = gathered_points(surface)
    tree = cKDTree(points)
    found = []
    for line in lines:
        depth, index = nearest(tree, line.points)
        there = points[index]
        ring = np.concatenate([there, there[:1]]) if line.closed else there
        projected = np.linalg.norm(np.diff(ring, axis=0), axis=1)
        along = line.segments
        far = projected > 4.0 * along + depth[: len(along)] / 2.0
        found.append(shares_of(np.where(far, along, projected), line.closed))
    return found


def interlabel_fill(labels: Labels, mask: NDArray[np.bool_], spacing: Spacing) -> float:
    """Interlabel width in µm by areas: (outer fill - half the labels' areas) / length.

    The outer fill is what lies between the lines of double labels together with the labels
    themselves, of which half belongs to the time before and after: without it two labels of 6 px
    whose middles are 15 px apart read 21 px. The length is the mean of both lines'.

    Args:
        labels: Of :func:`paired_labels`.
        mask: Bool (Y, X), where any label is.
        spacing: Size of a pixel (Y, X) in µm.

    Returns:
        The width; NaN without double labels.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.interlabel import interlabel_fill, paired_labels
        >>> from lotus.morphometry.label_lines import label_lines
        >>> from lotus.morphometry.lines import contours
        >>> bone = np.zeros((90, 200), bool)
        >>> bone[20:] = True
        >>> mask = np.zeros_like(bone)
        >>> mask[30:34, 20:180] = mask[45:49, 20:180] = True  # 15 µm from middle to middle
        >>> lines, surface = label_lines(mask, (1.0, 1.0)).lines, contours(bone, (1.0, 1.0))
        >>> labels = paired_labels(lines, [0, 0], surface, bone, (1.0, 1.0))
        >>> round(interlabel_fill(labels, mask, (1.0, 1.0)), 1)
        15.0
    """
    double = labels.double
    length = sum(
        float(line.shares[both].sum()) for line, both in zip(labels.lines, double, strict=True)
    )
    if not length:
        return math.nan
    y, x = np.nonzero(mask)
    middles = (np.stack([y, x], axis=1) + 0.5) * np.asarray(spacing)
    closest = nearest(cKDTree(gathered_points(labels.lines)), middles)[1]
    is_double = np.concatenate(double)[closest]
    own = np.zeros_like(mask)
    own[y[is_double], x[is_double]] = True
    outer = own.copy()
    for number in range(len(labels.lines)):
        for strip in _strips(labels, number):
            _fill(outer, strip / np.asarray(spacing) - 0.5)
    pixels = np.count_nonzero(outer) - 0.5 * np.count_nonzero(own)
    return float(pixels * spacing[0] * spacing[1] / (length / 2.0))


def _are_near(lines: Sequence[Line], largest_um: float) -> NDArray[np.bool_]:
    """Whether the boxes around two lines are no further apart than that, (L, L)."""
    if not lines:
        return np.zeros((0, 0), np.bool_)
    low = np.stack([line.points.min(axis=0) for line in lines])
    high = np.stack([line.points.max(axis=0) for line in lines])
    gap = np.maximum(low[:, None] - high[None], low[None] - high[:, None])
    return np.asarray((gap <= largest_um).all(axis=-1))


def _is_across(line: Line, there: Points, is_end: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the way to each place is across the line rather than along it."""
    way = there - line.points
    size = np.maximum(np.linalg.norm(way, axis=1), 1e-9)
    limit = np.where(is_end, _OBLIQUE_TO_END, _OBLIQUE)
    return np.asarray(np.abs((way * line.tangents).sum(axis=1)) <= limit * size)


def _strips(labels: Labels, number: int) -> Iterator[Points]:
    """Polygons between a line and each label that it is double with, a few points long."""
    line, foot, partner = labels.lines[number], labels.feet[number], labels.partners[number]
    points = line.points
    if line.closed:
        points, foot = (np.concatenate([each, each[:1]]) for each in (points, foot))
        partner = np.concatenate([partner, partner[:1]])
    starts = np.flatnonzero(np.diff(partner, prepend=-2))
    for first, stop in zip(starts, [*starts[1:], len(partner)], strict=True):
        if partner[first] < 0:
            continue
        # The time a polygon takes grows with its points and with the box around it.
        for begin in range(first, stop - 1, _STRIP_POINTS):
            end = min(begin + _STRIP_POINTS + 1, stop)
            yield np.concatenate([points[begin:end], foot[begin:end][::-1]])


def _fill(mask: NDArray[np.bool_], corners: Points) -> None:
    """Set the pixels whose middle lies within a polygon."""
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, mask.shape)
    if (high <= low).any():
        return
    window = mask[low[0] : high[0], low[1] : high[1]]
    window |= polygon2mask(window.shape, corners - low)
