"""One row of measurements per object of a label map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lotus.morphometry.shape import Runs, convex_areas, crofton_perimeters

MIDDLE = 0.5
"""Of a pixel, from its upper left corner."""
_ROUND = 1e-9


def object_table(
    labels: NDArray[np.integer],
    probability: NDArray[np.floating] | None = None,
    *,
    spacing_um: tuple[float, float] | None = None,
    offset_yx: tuple[int, int] = (0, 0),
) -> pd.DataFrame:
    """Measure every object of a label map.

    Places are distances from the upper left corner of the whole image, as in outlines: the middle
    of its first pixel is (0.5, 0.5).

    Columns: ``label``; ``centroid_y_px``, ``centroid_x_px``; the bounding box ``y_min_px``,
    ``x_min_px``, ``y_max_px``, ``x_max_px`` along the outer edges of pixels; ``area_px``;
    ``perimeter_px`` (Crofton's formula in 4 directions); ``major_axis_px``, ``minor_axis_px`` (of
    the ellipse with the same second moments; 0 across objects one pixel wide); ``orientation_rad``
    (of the major axis against the rows' axis Y, counterclockwise, -pi/2 to pi/2); ``eccentricity``
    (0 circle to 1 line); ``solidity`` (share of the convex hull, 0 to 1). With a probability map
    ``mean_probability``; with a pixel size ``centroid_y_um``, ``centroid_x_um``, ``area_um2``,
    ``perimeter_um``, ``major_axis_um``, ``minor_axis_um``.

    Undefined values are NaN: the orientation of round objects, the eccentricity of single pixels,
    and the perimeter in µm where pixels are not square, which Crofton's formula does not cover.
    Where pixels are not square, orientation and eccentricity are those of the physical shape.

    Args:
        labels: (Y, X) integers, 0 = background.
        probability: (Y, X) foreground probability in [0, 1].
        spacing_um: Pixel size (Y, X) in µm.
        offset_yx: Place of the first pixel in the whole image, in pixels.

    Returns:
        A row per object, by ascending label; without objects the same columns and no row.

    Raises:
        ValueError: Not a 2-D array of integers, a probability map of another shape, a pixel size
            that is not two positive numbers, or an offset that is not (Y, X).

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.objects import object_table
        >>> labels = np.zeros((4, 5), int)
        >>> labels[1:3, 1:4] = 7
        >>> table = object_table(labels, spacing_um=(0.5, 0.5))
        >>> columns = ["label", "centroid_y_px", "centroid_x_px", "area_px", "area_um2"]
        >>> table[columns].values.tolist()
        [[7.0, 2.0, 2.5, 6.0, 1.5]]
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"a label map is a 2-D array of integers, not {labels.dtype} {labels.shape}"
        )
    if probability is not None and probability.shape != labels.shape:
        raise ValueError(
            f"the probability map has the shape {probability.shape}, the label map {labels.shape}"
        )
    if spacing_um is not None and (
        len(spacing_um) != 2 or not all(0 < side < math.inf for side in spacing_um)
    ):
        raise ValueError(f"the pixel size is {spacing_um} µm; two positive numbers are expected")
    if len(offset_yx) != 2:
        raise ValueError(f"the offset is {offset_yx}; (Y, X) in pixels is expected")
    names, labels = _numbered(labels)
    ellipses = _Ellipses(labels, len(names))
    table = _pixel_columns(names, labels, ellipses, offset_yx)
    if probability is not None:
        table["mean_probability"] = ellipses.means(probability[labels > 0])
    if spacing_um is not None:
        _add_micrometres(table, ellipses, spacing_um)
    return table


class _Ellipses:
    """Area, centroid and second moments of all objects at once.

    Args:
        labels: (Y, X) label map with the labels 1..N.
        count: N.
    """

    def __init__(self, labels: NDArray[np.int32], count: int) -> None:
        pixel = np.flatnonzero(labels)
        self._object = labels.ravel()[pixel] - 1
        self.area = np.bincount(self._object, minlength=count)
        place = np.divmod(pixel, max(labels.shape[1], 1))
        self.centroid = [self.means(axis) for axis in place]
        y, x = (
            axis - centre[self._object] for axis, centre in zip(place, self.centroid, strict=True)
        )
        self._yy, self._xx, self._yx = self.means(y * y), self.means(x * x), self.means(y * x)

    def means(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Mean per object of a value per foreground pixel, row by row."""
        sums = np.bincount(self._object, weights=values, minlength=len(self.area))
        return np.asarray(sums / self.area, np.float64)

    def axes(self, spacing: tuple[float, float] = (1.0, 1.0)) -> tuple[NDArray[np.float64], ...]:
        """Major and minor axis, orientation and eccentricity, NaN where they are undefined.

        The variances along the axes of an ellipse are a sixteenth of the squared axes.
        """
        yy, xx = self._yy * spacing[0] ** 2, self._xx * spacing[1] ** 2
        yx = self._yx * (spacing[0] * spacing[1])
        middle, half_width = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
        major = 4 * np.sqrt(middle + half_width)
        # A difference of equal numbers: what is left of a line's variance is rounding.
        across = middle - half_width
        minor = 4 * np.sqrt(np.where(across > _ROUND * middle, across, 0.0))
        orientation = np.where(
            major - minor > _ROUND * major, np.arctan2(2 * yx, yy - xx) / 2, np.nan
        )
        ratio = np.divide(minor, major, out=np.full_like(major, np.nan), where=major > 0)
        return major, minor, orientation, np.sqrt(1 - ratio**2)


def _numbered(
    labels: NDArray[np.integer],
) -> tuple[NDArray[np.integer], NDArray[np.int32]]:
    """Return the labels in use, ascending and without 0, and the map with 1..N in their place."""
    if labels.min(initial=0) < 0:
        raise ValueError(f"a label map holds labels from 0, not {labels.min()}")
    greatest = int(labels.max(initial=0))
    if greatest > labels.size:
        names, positions = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
        return names[1:], positions[:-1].reshape(labels.shape).astype(np.int32)
    in_use = np.zeros(greatest + 1, np.bool_)
    in_use[labels.astype(np.intp, copy=False).ravel()] = True
    in_use[0] = False
    number = np.cumsum(in_use, dtype=np.int32)
    number[0] = 0
    return np.flatnonzero(in_use), number[labels.astype(np.intp, copy=False)]


def _pixel_columns(
    names: NDArray[np.integer],
    labels: NDArray[np.int32],
    ellipses: _Ellipses,
    offset_yx: tuple[int, int],
) -> pd.DataFrame:
    """Name the columns and move them to the whole image."""
    y, x = offset_yx
    runs = Runs(labels)
    y_min, x_min, y_max, x_max = runs.boxes()
    centroid_y, centroid_x = ellipses.centroid
    major, minor, orientation, eccentricity = ellipses.axes()
    return pd.DataFrame(
        {
            "label": names,
            "centroid_y_px": centroid_y + y + MIDDLE,
            "centroid_x_px": centroid_x + x + MIDDLE,
            "y_min_px": y_min + y,
            "x_min_px": x_min + x,
            "y_max_px": y_max + y,
            "x_max_px": x_max + x,
            "area_px": ellipses.area,
            "perimeter_px": crofton_perimeters(labels, len(names)),
            "major_axis_px": major,
            "minor_axis_px": minor,
            "orientation_rad": orientation,
            "eccentricity": eccentricity,
            "solidity": ellipses.area / convex_areas(runs),
        }
    )


def _add_micrometres(
    table: pd.DataFrame, ellipses: _Ellipses, spacing_um: tuple[float, float]
) -> None:
    """Add the columns in µm and, where pixels are not square, the direction of physical shapes."""
    y, x = spacing_um
    table["centroid_y_um"] = table["centroid_y_px"] * y
    table["centroid_x_um"] = table["centroid_x_px"] * x
    table["area_um2"] = table["area_px"] * (y * x)
    if math.isclose(y, x, rel_tol=1e-6):
        for name in ("perimeter", "major_axis", "minor_axis"):
            table[f"{name}_um"] = table[f"{name}_px"] * y
        return
    major, minor, orientation, eccentricity = ellipses.axes(spacing_um)
    table["perimeter_um"] = np.nan
    table["major_axis_um"], table["minor_axis_um"] = major, minor
    table["orientation_rad"], table["eccentricity"] = orientation, eccentricity
