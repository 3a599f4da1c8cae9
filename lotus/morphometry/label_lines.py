"""The middle lines of fluorescent labels, from a mask of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage.morphology import skeletonize

from lotus.morphometry.lines import (
    STEP_PX,
    Line,
    Points,
    Spacing,
    even_line,
    resampled,
    smoothed,
)
from lotus.morphometry.skeleton_paths import SkeletonPath, skeleton_paths

MARCH_PX = 0.25
"""Distance of the places at which the edge of a label is sought."""
HAIRPIN_DEGREES = 90.0
"""A line that turns by more, within one and a half of its label's width to both sides, is two:
labels that meet at their ends."""
_HAIRPIN_WIDTHS = 1.5
_SHORTEST_WIDTHS = 1.5


@dataclass(frozen=True)
class LabelLines:
    """Labels as lines.

    Attributes:
        lines: One per label, or per part of it between junctions, in the middle of its width.
        junctions: Where labels touch or cross, (J, 2) in µm.
    """

    lines: list[Line]
    junctions: Points


def label_lines(mask: NDArray[np.bool_], spacing: Spacing) -> LabelLines:
    """Thin labels to lines and move these to the middle between the edges, below a pixel's size.

    The skeleton of the mask (Lee, Kashyap & Chu, CVGIP 1994) without its spurs (branches no longer
    than the label is wide) is taken apart at junctions and hairpins. Each line is moved across
    itself to the middle between the label's two edges, and its free ends go on to the end of the
    label, where thinning stops short.
    What is not half as long again as it is wide is a speck and left out.

    Args:
        mask: Bool (Y, X), of one label or of several.
        spacing: Size of a pixel (Y, X) in µm.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.label_lines import label_lines
        >>> mask = np.zeros((40, 120), bool)
        >>> mask[10:16, 10:110] = True
        >>> [line] = label_lines(mask, (0.5, 0.5)).lines
        >>> round(line.length, 1), round(float(line.points[:, 0].mean()), 2)
        (50.1, 6.5)
    """
    if not mask.any():
        return LabelLines([], np.zeros((0, 2)))
    padded = np.pad(mask, 1)
    radii, values = edt.edt(padded), mask.astype(np.float32)
    skeleton = skeleton_paths(_without_spurs(skeletonize(padded, method="lee"), radii))
    found: list[Line] = []
    for path in skeleton.paths:
        line = even_line(_joined(path, skeleton.junctions) - 1.0, spacing)
        if line is None:
            continue
        own = radii[tuple(path.pixels.T)]
        width = 2.0 * float(np.mean(own)) * float(np.mean(spacing))
        reach = 2.0 * float(own.max()) + 1.0
        centred = _centred(line, values, spacing, reach)
        free = (path.junctions[0] < 0, path.junctions[1] < 0)
        whole = _to_the_ends(centred, free, width, values, spacing, reach)
        parts = _without_hairpins(whole, width)
        found += [part for part in parts if part.length > _SHORTEST_WIDTHS * width]
    return LabelLines(found, (skeleton.junctions - 0.5) * np.asarray(spacing))


def _joined(path: SkeletonPath, junctions: Points) -> Points:
    """Places (N, 2) of a path from the middle of one junction to that of the other."""
    pixels = path.pixels.astype(np.float64)
    if path.closed:
        return np.concatenate([pixels, pixels[:1]])
    first, last = (junctions[[at]] if at >= 0 else junctions[:0] for at in path.junctions)
    return np.concatenate([first, pixels, last])


def _without_spurs(skeleton: NDArray[np.bool_], radii: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Take away branches to a free end that are no longer than the label is wide at their root."""
    kept = skeleton.copy()
    found = skeleton_paths(skeleton)
    for path in found.paths:
        if path.is_spur:
            root = found.junctions[max(path.junctions)].round().astype(int)
            if len(path.pixels) <= 2.0 * radii[tuple(root)]:
                kept[tuple(path.pixels.T)] = False
    return np.asarray(skeletonize(kept, method="lee") > 0)


def _edge(
    mask: NDArray[np.float32], points: Points, directions: Points, spacing: Spacing, reach: float
) -> NDArray[np.float64]:
    """How far the edge of the mask is from each point in its direction, in µm."""
    pixel = float(np.mean(spacing))
    distances = np.arange(0.0, reach + MARCH_PX, MARCH_PX) * pixel
    places = points[:, None] + distances[None, :, None] * directions[:, None]
    index = np.moveaxis(places / np.asarray(spacing) - 0.5, -1, 0)
    inside = map_coordinates(mask, index, order=1, mode="nearest") >= 0.5
    left = ~inside
    first = np.where(left.any(axis=1), left.argmax(axis=1), len(distances) - 1)
    return np.asarray(np.maximum(distances[first] - MARCH_PX / 2 * pixel, 0.0))


def _centred(line: Line, mask: NDArray[np.float32], spacing: Spacing, reach: float) -> Line:
    """A line moved to the middle between the edges of its label."""
    across = line.normals
    ahead = _edge(mask, line.points, across, spacing, reach)
    behind = _edge(mask, line.points, -across, spacing, reach)
    shift = (ahead - behind) / 2
    moved = line.points + shift[:, None] * across
    return Line(smoothed(moved, line.closed), line.closed)


def _to_the_ends(
    line: Line,
    free: tuple[bool, bool],
    width: float,
    mask: NDArray[np.float32],
    spacing: Spacing,
    reach: float,
) -> Line:
    """An open line with its free ends at the ends of its label.

    Thinning stops short of the end, or turns to one of its corners within half a width: that much
    is taken away first, and the line then goes straight on.
    """
    pixel = float(np.mean(spacing))
    cut = round(width / 2.0 / pixel / STEP_PX)
    if line.closed or len(line.points) < 4 * cut + 6:
        return line
    points = line.points[cut if free[0] else 0 : len(line.points) - (cut if free[1] else 0)]
    back = cut + 4
    ends = np.stack([points[0] - points[back], points[-1] - points[-1 - back]])
    directions = ends / np.maximum(np.linalg.norm(ends, axis=1, keepdims=True), 1e-9)
    further = _edge(mask, points[[0, -1]], directions, spacing, reach + cut)[:, None] * directions
    further[~np.array(free)] = 0.0
    longer = np.concatenate([points[:1] + further[:1], points, points[-1:] + further[1:]])
    even = resampled(longer, False, pixel * STEP_PX)
    return line if even is None else Line(even)


def _without_hairpins(line: Line, width: float) -> list[Line]:
    """The parts of a line between its hairpins."""
    points, count = line.points, len(line.points)
    step = line.length / max(len(line.segments), 1)
    reach = max(round(_HAIRPIN_WIDTHS * width / step), 2)
    if count < 4 * reach:
        return [line]
    number = np.arange(count)
    if line.closed:
        before, after = points[(number - reach) % count], points[(number + reach) % count]
    else:
        before = points[np.maximum(number - reach, 0)]
        after = points[np.minimum(number + reach, count - 1)]
    come, go = points - before, after - points
    size = np.linalg.norm(come, axis=1) * np.linalg.norm(go, axis=1)
    turn = np.where(size > 0, (come * go).sum(axis=1) / np.where(size > 0, size, 1.0), 1.0)
    sharp = turn < np.cos(np.radians(HAIRPIN_DEGREES))
    if not sharp.any():
        return [line]
    return _between(points, sharp, turn, line.closed)


def _between(
    points: Points, sharp: NDArray[np.bool_], turn: NDArray[np.float64], closed: bool
) -> list[Line]:
    """Cut a line at the sharpest place of each sharp stretch."""
    if closed:
        # The line then begins where it goes straight, in no stretch.
        start = int(np.argmax(turn))
        points = np.roll(points, -start, axis=0)
        sharp, turn = np.roll(sharp, -start), np.roll(turn, -start)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sharp.astype(np.int8), [0]])))
    cuts = [
        int(first + np.argmin(turn[first:stop]))
        for first, stop in zip(edges[::2], edges[1::2], strict=True)
    ]
    if closed:
        points = np.roll(points, -cuts[0], axis=0)
        points = np.concatenate([points, points[:1]])
        cuts = [0, *(cut - cuts[0] for cut in cuts[1:]), len(points) - 1]
    else:
        cuts = [0, *cuts, len(points) - 1]
    pairs = pairwise(cuts)
    return [Line(points[first : last + 1]) for first, last in pairs if last - first >= 2]
