"""How sure a network is of its foreground, patch by patch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr


@dataclass(frozen=True)
class Confidence:
    """Means over the tissue of a patch; NaN where it has none.

    Attributes:
        confidence: Mean of |2 p - 1| in [0, 1]: 0 where every pixel is undecided.
        foreground: Share of pixels that are labelled as foreground, in [0, 1].
        entropy: Mean of the binary entropy of p in bits, in [0, 1].
        tissue: Share of tissue in the patch, in [0, 1].
    """

    confidence: float
    foreground: float
    entropy: float
    tissue: float


def patch_confidences(
    probability: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    windows: Iterable[tuple[slice, slice]],
    tissue: NDArray[np.bool_] | None = None,
) -> list[Confidence]:
    """How sure a network is in each of several patches.

    Args:
        probability: Of foreground, float32 (Y, X) in [0, 1].
        foreground: Bool (Y, X), what was labelled from it.
        windows: The pixels (Y, X) of each patch.
        tissue: Bool (Y, X), the pixels that count; None: all.

    Returns:
        One each, in the order of the patches.
    """
    exact = probability.astype(np.float64)
    maps = np.stack(
        [np.abs(2 * exact - 1), foreground, (entr(exact) + entr(1 - exact)) / np.log(2)]
    )
    found = []
    for window in windows:
        counted = np.s_[:] if tissue is None else tissue[window].ravel()
        values = maps[:, *window].reshape(3, -1)
        pixels = values[:, counted]
        share = pixels.shape[1] / values.shape[1]
        sure, labelled, entropy = pixels.mean(axis=1).tolist() if share else [np.nan] * 3
        found.append(Confidence(sure, labelled, entropy, share))
    return found
