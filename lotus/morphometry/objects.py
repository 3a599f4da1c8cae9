"""One row of measurements per object of a label map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import regionprops_table

_SHAPE = ("axis_major_length", "axis_minor_length", "orientation", "eccentricity")
_PIXELS = ("label", "bbox", "centroid", "area", "perimeter_crofton", "solidity", *_SHAPE)
_ROUND = 1e-9


def object_table(
    labels: NDArray[np.integer],
    probability: NDArray[np.floating] | None = None,
    spacing_um: tuple[float, float] | None = None,
    offset_yx: tuple[int, int] = (0, 0),
) -> pd.DataFrame:
    """Measure every object of a label map.

    Columns: ``label``; ``centroid_y_px``, ``centroid_x_px`` (the middle of the first pixel of the
    whole image is 0, 0); the bounding box ``y_min_px``, ``x_min_px``, ``y_max_px``, ``x_max_px``
    (the latter two excluded); ``area_px``; ``perimeter_px`` (Crofton's formula in 4 directions);
    ``major_axis_px``, ``minor_axis_px`` (of the ellipse with the same second moments; 0 across
    objects one pixel wide); ``orientation_rad`` (of the major axis against the rows' axis Y,
    counterclockwise, -pi/2 to pi/2); ``eccentricity`` (0 circle to 1 line); ``solidity`` (share of
    the convex hull, 0 to 1). With a probability map ``mean_probability``; with a pixel size
    ``centroid_y_um``, ``centroid_x_um``, ``area_um2``, ``perimeter_um``, ``major_axis_um``,
    ``minor_axis_um``.

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
        ValueError: Not a 2-D array of integers, a probability map of another shape, or a pixel size
            that is not positive.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"a label map is a 2-D array of integers, not {labels.dtype} {labels.shape}"
        )
    if probability is not None and probability.shape != labels.shape:
        raise ValueError(
            f"the probability map has the shape {probability.shape}, the label map {labels.shape}"
        )
    if spacing_um is not None and not all(0 < side < math.inf for side in spacing_um):
        raise ValueError(f"the pixel size is {spacing_um} µm; two positive numbers are expected")
    names = None
    if labels.size and labels.max() > labels.size:
        # scikit-image keeps a list as long as the greatest label.
        names, labels = _numbered(labels)
    found = regionprops_table(labels, properties=_PIXELS)
    table = _pixel_columns(found, offset_yx)
    if probability is not None:
        table["mean_probability"] = _means(labels, probability, found)
    if spacing_um is not None:
        _add_micrometres(table, labels, spacing_um)
    if names is not None:
        table["label"] = names[table["label"]]
    return table


def _numbered(
    labels: NDArray[np.integer],
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the labels in use, 0 first, and the label map of their positions in that list."""
    names, positions = np.unique(np.append(0, labels.astype(np.int64)), return_inverse=True)
    return names, positions[1:].reshape(labels.shape)


def _pixel_columns(found: dict[str, NDArray[Any]], offset_yx: tuple[int, int]) -> pd.DataFrame:
    """Name the columns, move them to the whole image and mark what is undefined."""
    y, x = offset_yx
    table = pd.DataFrame(
        {
            "label": found["label"],
            "centroid_y_px": found["centroid-0"] + y,
            "centroid_x_px": found["centroid-1"] + x,
            "y_min_px": found["bbox-0"] + y,
            "x_min_px": found["bbox-1"] + x,
            "y_max_px": found["bbox-2"] + y,
            "x_max_px": found["bbox-3"] + x,
            "area_px": found["area"].astype(np.int64),
            "perimeter_px": found["perimeter_crofton"],
            "major_axis_px": found["axis_major_length"],
            "minor_axis_px": found["axis_minor_length"],
        }
    )
    table["orientation_rad"], table["eccentricity"] = _directions(found)
    table["solidity"] = found["solidity"]
    return table


def _directions(found: dict[str, NDArray[Any]]) -> tuple[NDArray[np.floating], ...]:
    """Return orientation and eccentricity with NaN where the ellipse does not define them."""
    major, minor = found["axis_major_length"], found["axis_minor_length"]
    orientation = np.where(major - minor > _ROUND * major, found["orientation"], np.nan)
    return orientation, np.where(major > 0, found["eccentricity"], np.nan)


def _means(
    labels: NDArray[np.integer], probability: NDArray[np.floating], found: dict[str, NDArray[Any]]
) -> NDArray[np.floating]:
    """Return the mean probability of every object."""
    inside = labels > 0
    row = np.searchsorted(found["label"], labels[inside])
    sums = np.bincount(row, weights=probability[inside], minlength=len(found["label"]))
    return np.asarray(sums / found["area"], np.float64)


def _add_micrometres(
    table: pd.DataFrame, labels: NDArray[np.integer], spacing_um: tuple[float, float]
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
    found = regionprops_table(labels, properties=_SHAPE, spacing=spacing_um)
    table["perimeter_um"] = np.nan
    table["major_axis_um"] = found["axis_major_length"]
    table["minor_axis_um"] = found["axis_minor_length"]
    table["orientation_rad"], table["eccentricity"] = _directions(found)
