"""What every phantom returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lotus.masks import USUAL_VALUES, MaskValues


@dataclass(frozen=True)
class PhantomImage:
    """A synthetic image with its truth.

    Attributes:
        image: (Y, X) float32 or (Y, X, 3) uint8.
        labels: (Y, X) label map of the lacunae, uint16, or class map of tissues, uint8; 0 is
            background.
        pixel_size_um: Edge of a pixel in µm.
        truth: True measures, one column of ``truth.csv`` each.
        mask_kind: What ``labels`` is.
        mask_values: What the values of a class map stand for.
    """

    image: NDArray[Any]
    labels: NDArray[np.uint16] | NDArray[np.uint8]
    pixel_size_um: float
    truth: dict[str, float | str]
    mask_kind: Literal["instances", "semantic"] = "instances"
    mask_values: MaskValues = USUAL_VALUES
