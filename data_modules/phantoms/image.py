"""What every phantom returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PhantomImage:
    """A synthetic image with its truth.

    Attributes:
        image: (Y, X) float32 or (Y, X, 3) uint8.
        labels: Uint16 (Y, X) instance label map of the lacunae, 0 is background.
        pixel_size_um: Edge of a pixel in µm.
        truth: True measures, one column of ``truth.csv`` each.
    """

    image: NDArray[Any]
    labels: NDArray[np.uint16]
    pixel_size_um: float
    truth: dict[str, float | str]
