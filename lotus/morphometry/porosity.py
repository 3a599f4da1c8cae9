"""Porosity of bone by its lacuna-canalicular network (LCN), whole and slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def slice_counts(labels: NDArray[np.integer], classes: Sequence[int]) -> NDArray[np.int64]:
    """Count the voxels of each class in every slice; those of blocks of slices stack up.

    Args:
        labels: (Z, Y, X) integers from 0.
        classes: Values of the K classes.

    Returns:
        Voxels (Z, K).

    Raises:
        ValueError: Not three axes of integers.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.porosity import slice_counts
        >>> slice_counts(np.array([[[1, 3, 3]], [[1, 1, 0]]]), classes=(1, 3)).tolist()
        [[1, 2], [2, 0]]
    """
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise ValueError(f"a label volume is (Z, Y, X) integers, not {labels.dtype} {labels.shape}")
    counts = [[np.count_nonzero(plane == value) for value in classes] for plane in labels]
    return np.array(counts, np.int64).reshape(len(labels), len(classes))


def porosity_of_bone(lcn: ArrayLike, bone: ArrayLike) -> NDArray[np.float64]:
    """LCN / bone: volume of the network per volume of mineralised bone, without the network.

    Args:
        lcn: Voxels or volume of the network, (...).
        bone: Of the bone around it, in the same unit, (...).

    Returns:
        Ratio (...) from 0; NaN where there is no bone.

    Example:
        >>> from lotus.morphometry.porosity import porosity_of_bone
        >>> porosity_of_bone(1, 49).round(4).item()
        0.0204
    """
    lcn, bone = np.asarray(lcn, np.float64), np.asarray(bone, np.float64)
    return np.asarray(lcn / np.where(bone > 0, bone, np.nan))


def porosity_of_tissue(lcn: ArrayLike, bone: ArrayLike) -> NDArray[np.float64]:
    """LCN / (bone + LCN): volume of the network per volume of tissue, the network included.

    Args:
        lcn: Voxels or volume of the network, (...).
        bone: Of the bone around it, in the same unit, (...).

    Returns:
        Fraction (...) in [0, 1]; NaN where there is neither.

    Example:
        >>> from lotus.morphometry.porosity import porosity_of_tissue
        >>> porosity_of_tissue(1, 49).item()
        0.02
    """
    return porosity_of_bone(lcn, np.asarray(lcn, np.float64) + np.asarray(bone, np.float64))


def porosity_profile(
    lcn: NDArray[np.int64], bone: NDArray[np.int64], slice_spacing_um: float | None = None
) -> pd.DataFrame:
    """Porosity of every slice along z.

    Args:
        lcn: Voxels of the network in each slice, (Z,).
        bone: Voxels of the bone in each slice, (Z,).
        slice_spacing_um: Distance of neighbouring slices in µm.

    Returns:
        A row per slice: ``slice`` from 0, ``z_um`` of its middle where the distance is known,
        ``lcn_px``, ``bone_px``, ``lcn_per_bone``, ``lcn_per_tissue``.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.porosity import porosity_profile
        >>> profile = porosity_profile(np.array([1, 0]), np.array([3, 0]), slice_spacing_um=0.5)
        >>> profile[["z_um", "lcn_per_tissue"]].values.tolist()
        [[0.25, 0.25], [0.75, nan]]
    """
    table = pd.DataFrame({"slice": np.arange(len(lcn))})
    if slice_spacing_um is not None:
        table["z_um"] = (table["slice"] + 0.5) * slice_spacing_um
    table["lcn_px"], table["bone_px"] = lcn, bone
    table["lcn_per_bone"] = porosity_of_bone(lcn, bone)
    table["lcn_per_tissue"] = porosity_of_tissue(lcn, bone)
    return table
