"""Drawings as pixels: a pixel belongs to what its middle lies in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lotus.imaging.drawing import Drawing, Places
from lotus.imaging.raster import label_type

Window = tuple[slice, slice]


def rasterise(
    drawing: Drawing, shape: tuple[int, int], *, line_width_px: float | None = None
) -> NDArray[np.bool_]:
    """The pixels of a drawing.

    A pixel belongs to a polygon where its middle lies within an odd number of the rings. A middle
    that lies on a side belongs to what is right of it or below, so areas that share a side share no
    pixel and leave none out, and the outlines of ``lotus.imaging.geojson`` give back the very
    pixels that they were drawn around. What lies beyond the image is cut off.

    Args:
        drawing: A polygon, or a line with a width.
        shape: Of the image (Y, X).
        line_width_px: What lines are as wide as; their ends are round.

    Returns:
        Bool (Y, X).

    Raises:
        ValueError: It is beyond the image altogether, or has no area.
    """
    mask = np.zeros(shape, np.bool_)
    window, part = _pixels(drawing, shape, line_width_px)
    mask[window] = part
    return mask


def rasterise_classes(
    drawings: Mapping[str, Sequence[Drawing]],
    classes: Mapping[str, int],
    shape: tuple[int, int],
    *,
    line_width_px: float | None = None,
) -> NDArray[np.unsignedinteger]:
    """A class map of drawings.

    Args:
        drawings: Of each class.
        classes: Names to values, in the order in which they are painted: where two overlap, the
            later one stands, so bone goes before the osteoid that is drawn upon it.
        shape: Of the image (Y, X).
        line_width_px: What lines are as wide as.

    Returns:
        (Y, X) in the smallest unsigned type, 0 where nothing is drawn.

    Raises:
        ValueError: A class without a value, or a drawing that :func:`rasterise` refuses.
    """
    strange = [name for name in drawings if name not in classes]
    if strange:
        known = " ".join(f"{name}={value}" for name, value in classes.items())
        raise ValueError(f"{strange[0]} is drawn and has no value; the classes are {known}")
    labels = np.zeros(shape, label_type(max(classes.values(), default=0)))
    for name, value in classes.items():
        for drawing in drawings.get(name, ()):
            window, part = _pixels(drawing, shape, line_width_px)
            labels[window][part] = value
    return labels


def _pixels(
    drawing: Drawing, shape: tuple[int, int], line_width_px: float | None
) -> tuple[Window, NDArray[np.bool_]]:
    """The pixels of a drawing, in a window around it."""
    if drawing.kind == "points" or (drawing.kind == "line" and line_width_px is None):
        wanted = "a width in pixels is needed" if drawing.kind == "line" else "draw an area"
        raise ValueError(f"{drawing.title} is a {drawing.kind} and covers no pixels; {wanted}")
    margin = 0.0 if drawing.kind == "polygon" else (line_width_px or 0.0) / 2.0
    places = np.concatenate(drawing.rings)
    low = np.clip(np.floor(places.min(axis=0) - margin).astype(np.int64), 0, shape)
    high = np.clip(np.ceil(places.max(axis=0) + margin).astype(np.int64), 0, shape)
    if (low >= high).any():
        y, x = places[0]
        raise ValueError(
            f"{drawing.title} lies outside of the image of {shape[0]} x {shape[1]} pixels (Y, X); "
            f"it begins at y {y:g}, x {x:g}"
        )
    window = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
    size = int(high[0] - low[0]), int(high[1] - low[1])
    parts = [ring - low for ring in drawing.rings]
    if drawing.kind == "polygon":
        return window, _within(parts, size)
    return window, _along(parts, size, margin)


def _within(rings: Sequence[Places], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Even-odd rule: each side that a row of middles crosses turns what is right of it over."""
    height, width = size
    begin = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    low, high = np.minimum(begin[:, 0], end[:, 0]), np.maximum(begin[:, 0], end[:, 0])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    stop = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    count = np.maximum(stop - first, 0)
    side = np.repeat(np.arange(len(begin)), count)
    row = first[side] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    (y, x), (dy, dx) = begin[side].T, (end - begin)[side].T
    crossing = x + (row + 0.5 - y) * dx / dy
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    turns = np.bincount(row * (width + 1) + column, minlength=height * (width + 1))
    inside = np.cumsum(turns.reshape(height, width + 1), axis=1) % 2 == 1
    return np.asarray(inside[:, :width])


def _along(parts: Sequence[Places], size: tuple[int, int], reach: float) -> NDArray[np.bool_]:
    """Pixels whose middle is no further than ``reach`` from a line."""
    mask = np.zeros(size, np.bool_)
    for part in parts:
        for begin, end in pairwise(part):
            low = np.clip(np.floor(np.minimum(begin, end) - reach).astype(np.int64), 0, size)
            high = np.clip(np.ceil(np.maximum(begin, end) + reach).astype(np.int64), 0, size)
            y = np.arange(low[0], high[0])[:, None] + 0.5 - begin[0]
            x = np.arange(low[1], high[1])[None] + 0.5 - begin[1]
            dy, dx = end - begin
            along = np.clip((y * dy + x * dx) / max(dy**2 + dx**2, 1e-12), 0.0, 1.0)
            near = (y - along * dy) ** 2 + (x - along * dx) ** 2 <= reach**2
            mask[low[0] : high[0], low[1] : high[1]] |= near
    return mask
