"""A pseudo-label as a mask: what the network drew, and what a person said of its patches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.review import Place, Verdict
from lotus.imaging.mask_files import read_mask
from lotus.inference.segmenter import Segmenter
from lotus.masks import MaskValues
from lotus.schemes import ConnectedComponents

BACKGROUND, FOREGROUND, IGNORED = 0, 255, 128
"""What a pseudo-label holds: every viewer shows these apart."""
VALUES = MaskValues(BACKGROUND, (("object", FOREGROUND),), IGNORED)
_CORRECTED = MaskValues(ignore=IGNORED)
"""Of a file by hand: all that is neither 0 nor to be ignored is foreground, as 1 or 255."""


def scheme_of(segmenter: Segmenter, threshold: float | None) -> ConnectedComponents:
    """How foreground is read from a network's probability.

    Args:
        segmenter: The trained network.
        threshold: A pixel is foreground from this probability on; None: as trained.

    Raises:
        ValueError: Several classes, or objects that are more than pixels above a threshold.
    """
    scheme = segmenter.instances
    if not isinstance(scheme, ConnectedComponents) or len(segmenter.class_names) != 1:
        raise ValueError(
            "pseudo-labels are of one class and its connected components; this checkpoint has "
            f"{type(scheme).__name__} and the classes {', '.join(segmenter.class_names)}"
        )
    if threshold is None:
        return scheme
    return ConnectedComponents(scheme.minimum_size, threshold=threshold)


def reviewed_mask(
    foreground: NDArray[np.bool_], verdicts: Mapping[Place, Verdict]
) -> NDArray[np.uint8]:
    """What a network drew, without what was rejected, and with what was corrected.

    Where patches overlap, a correction goes before a rejection, and that before what was accepted.

    Args:
        foreground: Bool (Y, X), of one image.
        verdicts: What is said of its patches.

    Returns:
        uint8 (Y, X) with the values of :data:`VALUES`.

    Raises:
        ValueError: A corrected file has neither the size of its patch nor that of the image.
    """
    mask = np.where(foreground, np.uint8(FOREGROUND), np.uint8(BACKGROUND))
    for place, verdict in verdicts.items():
        if verdict.decision == "reject":
            mask[place.window] = IGNORED
    for place, verdict in verdicts.items():
        if verdict.file is not None:
            mask[place.window] = _corrected(verdict.file, place, foreground.shape)
    return mask


def _corrected(file: Path, place: Place, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """The values of a corrected file in a patch; it shows the patch alone or the whole image."""
    labels = read_mask(file, _CORRECTED)
    values = np.where(labels.values > 0, FOREGROUND, BACKGROUND).astype(np.uint8)
    if labels.ignored is not None:
        values[labels.ignored] = IGNORED
    if values.shape == (place.size, place.size):
        return values
    if values.shape == size:
        return values[place.window]
    found, whole = (" x ".join(map(str, shape)) for shape in (values.shape, size))
    raise ValueError(
        f"{file} is {found} px; expected {place.size} x {place.size} as the patch at y={place.y}, "
        f"x={place.x} in slice '{place.name}', or {whole} as the slice"
    )
