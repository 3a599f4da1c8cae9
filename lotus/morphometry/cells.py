"""One row of measurements per cell, lacuna or pore of a volume."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lotus.masks import Moments

AXES = "zyx"
_ROUND = 1e-9


def cell_table(
    moments: Moments,
    shape: Sequence[int],
    spacing_um: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Measure cells by the sums over their voxels, which is all that is needed of them.

    Places are distances from the corner of the volume: the middle of its first voxel is (0.5, 0.5,
    0.5). Columns: ``label``; ``centroid_z_px``, ``..._y_px``, ``..._x_px``; the bounding box
    ``z_min_px``, ``y_min_px``, ``x_min_px``, ``z_max_px``, ``y_max_px``, ``x_max_px`` along the
    outer faces of voxels; ``volume_px``; the eigenvalues of the covariance of the voxels' middles
    ``eigenvalue_0_px2`` >= ``eigenvalue_1_px2`` >= ``eigenvalue_2_px2``; ``major_axis_px``,
    ``middle_axis_px``, ``minor_axis_px``, whole axes of the ellipsoid with the same moments, 2 √(5
    λ); ``stretch`` and ``oblateness``; ``direction_z``, ``direction_y``, ``direction_x``, the unit
    vector of the major axis, its largest component positive; ``touches_border``: the cell is cut
    by the volume's edge, perhaps, and what is measured is a part of it.

    With a voxel size there are ``centroid_z_um`` and so on and ``volume_um3`` besides, and
    eigenvalues and axes are in µm² and µm in place of voxels, so that shape and direction are those
    of the physical cell where voxels are not cubes. Without one voxels are taken to be cubes.

    Undefined values are NaN: the direction where the two largest eigenvalues are equal, stretch of
    a single voxel, oblateness where all eigenvalues are equal.

    Args:
        moments: Of the cells 1 to N, see :func:`~lotus.masks.object_moments` and
            :func:`~lotus.masks.label_in_blocks`. Cells without voxels are left out.
        shape: (Z, Y, X) of the whole volume.
        spacing_um: Voxel size (Z, Y, X) in µm.

    Returns:
        A row per cell, by ascending label; without cells the same columns and no row.

    Raises:
        ValueError: A voxel size that is not three positive numbers.

    Example:
        >>> import numpy as np
        >>> from lotus.masks import object_moments
        >>> from lotus.morphometry.cells import cell_table
        >>> labels = np.zeros((5, 6, 9), int)
        >>> labels[1:4, 2:5, 2:7] = 1
        >>> table = cell_table(object_moments(labels, 1), labels.shape, (0.5, 0.5, 0.5))
        >>> table[["centroid_z_px", "centroid_x_um", "volume_um3", "stretch"]].round(4).values
        array([[2.5   , 2.25  , 5.625 , 0.4226]])
        >>> table[["direction_z", "direction_y", "direction_x"]].values.tolist()
        [[0.0, 0.0, 1.0]]
    """
    if spacing_um is not None and (
        len(spacing_um) != 3 or not all(0 < side < math.inf for side in spacing_um)
    ):
        raise ValueError(
            f"the voxel size is {tuple(spacing_um)} µm; three positive numbers are expected"
        )
    found = np.flatnonzero(moments.count)
    centroids = moments.centroids[found] + 0.5
    lower, upper = moments.lower[found], moments.upper[found]
    table: dict[str, NDArray[np.generic]] = {"label": found + 1}
    table |= {f"centroid_{axis}_px": centroids[:, i] for i, axis in enumerate(AXES)}
    table |= {f"{axis}_min_px": lower[:, i] for i, axis in enumerate(AXES)}
    table |= {f"{axis}_max_px": upper[:, i] for i, axis in enumerate(AXES)}
    table["volume_px"] = moments.count[found]
    if spacing_um is not None:
        for i, axis in enumerate(AXES):
            table[f"centroid_{axis}_um"] = centroids[:, i] * spacing_um[i]
        table["volume_um3"] = moments.count[found] * math.prod(spacing_um)
    side = np.ones(3) if spacing_um is None else np.array(spacing_um)
    unit = "px" if spacing_um is None else "um"
    table |= _shape_columns(moments.covariances[found] * side[:, None] * side, unit)
    table["touches_border"] = ((lower == 0) | (upper == np.array(shape))).any(axis=1)
    return pd.DataFrame(table)


def stretch(eigenvalues: ArrayLike) -> NDArray[np.float64]:
    """How much longer than thick a cell is: 0 of a sphere, towards 1 of a thread or a plate.

    1 − √(e2 / e0) with e0 >= e1 >= e2 (Mader et al., Bone 2013).

    Args:
        eigenvalues: (..., 3) of the covariance, in descending order.

    Returns:
        Stretch (...) in [0, 1]; NaN where e0 is 0.

    Example:
        >>> from lotus.morphometry.cells import stretch
        >>> stretch([[4.0, 1.0, 1.0], [1.0, 1.0, 1.0]]).tolist()
        [0.5, 0.0]
    """
    e0, _, e2 = np.moveaxis(np.asarray(eigenvalues, np.float64), -1, 0)
    return np.asarray(1 - np.sqrt(e2 / np.where(e0 > 0, e0, np.nan)))


def oblateness(eigenvalues: ArrayLike) -> NDArray[np.float64]:
    """Whether a cell is rather a rod (−1) or rather a plate (1).

    2 (√e1 − √e2) / (√e0 − √e2) − 1 with e0 >= e1 >= e2 (Mader et al., Bone 2013).

    Args:
        eigenvalues: (..., 3) of the covariance, in descending order.

    Returns:
        Oblateness (...) in [−1, 1]; NaN where all three are equal.

    Example:
        >>> from lotus.morphometry.cells import oblateness
        >>> oblateness([[4.0, 1.0, 1.0], [4.0, 4.0, 1.0], [9.0, 4.0, 1.0]]).tolist()
        [-1.0, 1.0, 0.0]
    """
    a, b, c = np.moveaxis(np.sqrt(np.asarray(eigenvalues, np.float64)), -1, 0)
    return np.asarray(2 * (b - c) / np.where(a - c > _ROUND * a, a - c, np.nan) - 1)


def _shape_columns(covariances: NDArray[np.float64], unit: str) -> dict[str, NDArray[np.generic]]:
    """Eigenvalues, axes, shape and direction of covariances (N, 3, 3)."""
    ascending, vectors = np.linalg.eigh(covariances)
    largest = ascending[:, -1:]
    # What is left of a flat cell's variance across is rounding.
    eigenvalues = np.where(ascending > _ROUND * largest, ascending, 0.0)[:, ::-1]
    direction = vectors[:, :, -1]
    main = np.take_along_axis(direction, np.abs(direction).argmax(axis=1)[:, None], axis=1)
    is_unique = eigenvalues[:, :1] - eigenvalues[:, 1:2] > _ROUND * largest
    direction = np.where(is_unique, direction * np.sign(main), np.nan)
    axes = 2 * np.sqrt(5 * eigenvalues)
    names = ("major", "middle", "minor")
    return {
        **{f"eigenvalue_{i}_{unit}2": eigenvalues[:, i] for i in range(3)},
        **{f"{name}_axis_{unit}": axes[:, i] for i, name in enumerate(names)},
        "stretch": stretch(eigenvalues),
        "oblateness": oblateness(eigenvalues),
        **{f"direction_{axis}": direction[:, i] for i, axis in enumerate(AXES)},
    }
