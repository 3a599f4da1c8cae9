"""The middle lines of fluorescent labels, from a mask of the labels."""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage.morphology import skeletonize

from lotus.masks import connected_components
from lotus.morphometry.lines import Line, Points, Spacing, even_line, resampled, smoothed

MARCH_PX = 0.25
"""Distance of the places at which the edge of a label is sought."""
HAIRPIN_DEGREES = 90.0
"""A line that turns by more, within one and a half of its label's width to both sides, is two:
labels that meet at their ends."""
_HAIRPIN_WIDTHS = 1.5


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

    The skeleton of the mask without its spurs (branches no longer than the label is wide) is taken
    apart at junctions and hairpins. Each line is moved across itself to the middle between the
    label's two edges, and its free ends go on to the end of the label, where thinning stops short.
    What is shorter than it is wide is a speck and left out.

    Args:
        mask: Bool (Y, X), of one label or of several.
        spacing: Size of a pixel (Y, X) in µm.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.label_lines import label_lines
        >>> mask = np.zeros((40, 120), bool)
        >>> mask[10:16, 10:110] = True
        >>> [line] = label_lines(mask, (0.5, 0.5)).lines
        >>> round(line.length, 1), round(line.points[:, 0].mean(), 2)
        (50.0, 6.5)
    """
    if not mask.any():
        return LabelLines([], np.zeros((0, 2)))
    padded = np.pad(mask, 1)
    radii, values = edt.edt(padded), mask.astype(np.float32)
    paths, junctions = _paths(_without_spurs(skeletonize(padded), radii))
    found: list[Line] = []
    for path in paths:
        line = even_line(path.astype(np.float64) - 1.0, spacing)
        if line is None:
            continue
        width = 2.0 * float(np.mean(radii[tuple(path.T)])) * float(np.mean(spacing))
        reach = 2.0 * float(radii[tuple(path.T)].max()) + 1.0
        centred = _centred(line, values, spacing, reach)
        whole = _to_the_ends(centred, values, spacing, reach)
        found += [part for part in _without_hairpins(whole, width) if part.length > width]
    return LabelLines(found, (junctions - 0.5) * np.asarray(spacing))


def _paths(skeleton: NDArray[np.bool_]) -> tuple[list[NDArray[np.int64]], Points]:
    """Pixels (N, 2) of each path between ends and junctions, and the middles of junctions."""
    skeleton = connected_components(skeleton, minimum_size=3) > 0
    if not skeleton.any():
        return [], np.zeros((0, 2))
    from skan import Skeleton

    graph = Skeleton(skeleton.view(np.uint8), keep_images=False)
    places = np.asarray(graph.coordinates, np.int64)
    paths = [places[graph.path(number)] for number in range(graph.n_paths)]
    crossings = np.zeros_like(skeleton)
    crossings[tuple(places[graph.degrees > 2].T)] = True
    numbered = connected_components(crossings)
    y, x = np.nonzero(numbered)
    count = np.maximum(np.bincount(numbered[y, x])[1:], 1)
    middles = [np.bincount(numbered[y, x], along)[1:] / count for along in (y, x)]
    return paths, np.stack(middles, axis=1).astype(np.float64)


def _without_spurs(skeleton: NDArray[np.bool_], radii: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Take away branches to a free end that are no longer than the label is wide at their root."""
    from skan import Skeleton

    if np.count_nonzero(skeleton) < 3:
        return skeleton
    graph = Skeleton(skeleton.view(np.uint8), keep_images=False)
    places = np.asarray(graph.coordinates, np.int64)
    kept = skeleton.copy()
    for number in range(graph.n_paths):
        path = np.asarray(graph.path(number))
        degrees = graph.degrees[path[[0, -1]]]
        if sorted(degrees > 2) == [False, True] and degrees.min() == 1:
            root = path[-1] if degrees[1] > 2 else path[0]
            if len(path) - 1 <= 2.0 * radii[tuple(places[root])]:
                kept[tuple(places[path[path != root]].T)] = False
    return np.asarray(skeletonize(kept), np.bool_)


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


def _to_the_ends(line: Line, mask: NDArray[np.float32], spacing: Spacing, reach: float) -> Line:
    """An open line made longer up to the ends of its label."""
    if line.closed:
        return line
    points, last = line.points, min(4, len(line.points) - 1)
    directions = np.stack([points[0] - points[last], points[-1] - points[-1 - last]])
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    further = _edge(mask, points[[0, -1]], directions, spacing, reach)[:, None] * directions
    longer = np.concatenate([points[:1] + further[:1], points, points[-1:] + further[1:]])
    even = resampled(longer, False, float(np.mean(spacing)))
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
    pairs = zip(cuts[:-1], cuts[1:], strict=True)
    return [Line(points[first : last + 1]) for first, last in pairs if last - first >= 2]
