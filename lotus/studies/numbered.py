"""The number of a repetition in the place of its placeholder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

RepeatedBy = Literal["fold", "seed"]
"""What tells repetitions apart, and the placeholder of its number."""

FoldCount = int | Literal["pairs"]
"""A number of folds, or as many as leave one patient of every group out at a time."""


def numbered(texts: Sequence[str], by: RepeatedBy, number: int) -> list[str]:
    """Texts with a number in place of ``{fold}`` or ``{seed}``.

    >>> numbered(["runs/fold{fold}", "x"], "fold", 2)
    ['runs/fold2', 'x']
    """
    return [text.replace(f"{{{by}}}", str(number)) for text in texts]
