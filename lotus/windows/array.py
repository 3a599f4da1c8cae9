"""The objects of an image that is in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.masks import UnionFind
from lotus.schemes import InstanceScheme
from lotus.windows.blending import Predict, blend_windows, read_bands
from lotus.windows.grid import WindowGrid
from lotus.windows.label_bands import decode_bands
from lotus.windows.object_numbers import ObjectNumbers


def segment_array(
    predict: Predict,
    image: NDArray[Any],
    scheme: InstanceScheme,
    grid: WindowGrid,
    *,
    channels: int,
    batch_size: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Segment an image as one that is larger than memory is.

    Args:
        predict: Gives the probabilities of windows (B, C, Y, X), and after those K maps any others
            that are to be blended, (B, K + K', Y, X).
        image: (C, Y, X).
        scheme: Finds the objects in the probabilities.
        grid: The windows.
        channels: K.
        batch_size: Most windows predicted at once.

    Returns:
        The label map (Y, X), 0 background, objects 1..N; and all blended maps (K + K', Y, X).
    """
    windows = read_bands(lambda start, stop: image[:, start:stop], grid)
    bands = list(blend_windows(predict, windows, grid, batch_size))
    labels = _label_map((band[:channels] for band in bands), scheme, grid)
    return labels, np.concatenate(bands, axis=1)


def _label_map(
    bands: Iterable[NDArray[np.float32]], scheme: InstanceScheme, grid: WindowGrid
) -> NDArray[np.int32]:
    same = UnionFind()
    numbers = ObjectNumbers(same)
    found = []
    for band in decode_bands(bands, scheme, height=grid.size[0], halo=grid.halo, same=same):
        numbers.add(band)
        found.append(band)
    return np.concatenate([numbers.final_labels(band) for band in found])
