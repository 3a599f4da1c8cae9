"""The skeleton of a plane mask as paths between its ends and junctions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lotus.masks import connected_components

Integers = NDArray[np.int64]

_STRAIGHT = ((-1, 0), (0, -1), (0, 1), (1, 0))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class SkeletonPath:
    """Pixels of a skeleton, one after another.

    Attributes:
        pixels: (N, 2) indices (y, x), without those of junctions.
        closed: Whether the last is followed by the first.
        junctions: Number of the junction at its beginning and at its end, -1 where it ends freely.
    """

    pixels: Integers
    closed: bool
    junctions: tuple[int, int]

    @property
    def is_spur(self) -> bool:
        """Whether it leads from a junction to a free end."""
        return (self.junctions[0] < 0) != (self.junctions[1] < 0)


@dataclass(frozen=True)
class SkeletonPaths:
    """A skeleton taken apart.

    Attributes:
        paths: Between ends and junctions.
        junctions: Their middles (J, 2) in pixels.
    """

    paths: list[SkeletonPath]
    junctions: NDArray[np.float64]


def skeleton_paths(skeleton: NDArray[np.bool_]) -> SkeletonPaths:
    """Take a skeleton apart at its junctions.

    Neighbours are those on the four sides, and those at corners that have no neighbour in common
    (mixed adjacency), so that a corner of a staircase is no junction. Junctions are pixels of three
    neighbours or more; touching ones are one.

    Args:
        skeleton: Bool (Y, X), one pixel wide.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.skeleton_paths import skeleton_paths
        >>> cross = np.zeros((9, 9), bool)
        >>> cross[4] = cross[:, 4] = True
        >>> found = skeleton_paths(cross)
        >>> [len(path.pixels) for path in found.paths], found.junctions.tolist()
        ([4, 4, 4, 4], [[4.0, 4.0]])
    """
    padded = np.pad(skeleton, 1)
    flat = np.flatnonzero(padded)
    width = padded.shape[1]
    steps, ways = _ways(padded.ravel(), flat, width)
    crossing = np.zeros_like(padded)
    crossing.ravel()[flat[ways.sum(axis=0) > 2]] = True
    numbered = connected_components(crossing).ravel().astype(np.int64)
    at = np.flatnonzero(numbered)
    size = np.bincount(numbered[at])[1:]
    middles = [np.bincount(numbered[at], along)[1:] / size - 1.0 for along in np.divmod(at, width)]
    following = {
        int(pixel): [int(pixel) + steps[way] for way in np.flatnonzero(ways[:, place])]
        for place, pixel in enumerate(flat)
        if not numbered[pixel]
    }
    return SkeletonPaths(_walked(following, numbered, width), np.stack(middles, axis=1))


def _ways(
    padded: NDArray[np.bool_], flat: Integers, width: int
) -> tuple[list[int], NDArray[np.bool_]]:
    """Eight steps in the raveled image, and for each pixel whether a neighbour is there, (8, P)."""
    beside = {step: padded[flat + step[0] * width + step[1]] for step in _STRAIGHT}
    found = [beside[step] for step in _STRAIGHT]
    for down, right in _DIAGONAL:
        corner = padded[flat + down * width + right]
        found.append(corner & ~beside[(down, 0)] & ~beside[(0, right)])
    steps = [down * width + right for down, right in (*_STRAIGHT, *_DIAGONAL)]
    return steps, np.stack(found)


def _walked(
    following: dict[int, list[int]], at_junction: Integers, width: int
) -> list[SkeletonPath]:
    """Walk from end to end of every path, then around what is closed."""
    is_inner = {
        pixel: sum(other in following for other in others) == 2
        for pixel, others in following.items()
    }
    paths: list[SkeletonPath] = []
    seen: set[int] = set()
    # Ends first: what is left then goes round.
    for start in sorted(following, key=lambda pixel: is_inner[pixel]):
        if start in seen:
            continue
        walk = _walk(start, following, seen)
        if len(walk) == 1:
            met = [int(at_junction[other]) - 1 for other in following[start] if at_junction[other]]
            touched = [*met, -1, -1][:2]
        else:
            touched = [_junction(pixel, following, at_junction) for pixel in (walk[0], walk[-1])]
        pixels = np.stack(np.divmod(np.array(walk), width), axis=1) - 1
        paths.append(SkeletonPath(pixels, is_inner[start], (touched[0], touched[1])))
    return paths


def _walk(start: int, following: dict[int, list[int]], seen: set[int]) -> list[int]:
    walk, here = [start], start
    seen.add(start)
    while ahead := [pixel for pixel in following[here] if pixel in following and pixel not in seen]:
        here = ahead[0]
        seen.add(here)
        walk.append(here)
    return walk


def _junction(pixel: int, following: dict[int, list[int]], at_junction: Integers) -> int:
    """Number of a junction beside a pixel, from 0; -1 where there is none."""
    return next((int(at_junction[o]) - 1 for o in following[pixel] if at_junction[o]), -1)
