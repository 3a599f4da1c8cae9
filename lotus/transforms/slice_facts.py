"""What is known of every enhanced slice, and which of them look wrong, and why."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.atomic import atomic_path
from lotus.masks import fill_voids
from lotus.transforms.enhancement import EnhancedSlice

COLUMNS = (
    *("name", "slice", "source", "route", "bone_fraction", "grey_low", "grey_high", "padding"),
    "suspect",
)
LEAST_BONE = 0.001
"""Of the field of view; less is a speck."""
SMALLEST_SHARE_OF_SIDE = 0.75
"""How much of the grey range lies on the side of 0 that its route expects; noise crosses it."""
NEIGHBOURS = 2
"""On each side of a slice."""
SMALLEST_JUMP = 0.05
"""In bone fraction; smaller ones are anatomy."""
UNUSUAL = 5.0
"""Times the typical jump of the stack."""
RANGE_RATIO = 2.0
"""Of a grey range and its neighbours'."""


@dataclass(frozen=True)
class SliceFacts:
    """One slice of a volume, or an image.

    Attributes:
        name: Of the enhanced file, without suffix.
        slice: Number within the volume, from 0.
        source: The file it was read from.
        bone: The file of its bone mask.
        stack: What it shares with its neighbours: slices of one volume or series.
        route: ``otsu`` or ``kmeans``; empty where nothing could be done.
        bone_fraction: Bone in the field of view, 0 to 1.
        grey_low: Raw grey value that became 0; None where nothing could be done.
        grey_high: Raw grey value that became 1.
        padding: Value around the field of view; None where every pixel is data.
        problem: What looks wrong in the slice by itself; empty where nothing does.
    """

    name: str
    slice: int
    source: str
    bone: str
    stack: str
    route: str = ""
    bone_fraction: float = 0.0
    grey_low: float | None = None
    grey_high: float | None = None
    padding: float | None = None
    problem: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether nothing could be done: constant, or without values."""
        return not self.route


def bone_fraction(bone: NDArray[np.bool_], image: NDArray[Any]) -> float:
    """Bone as a fraction of the field of view.

    Args:
        bone: bool ``(Y, X)``.
        image: ``(Y, X)`` raw grey values, NaN where there are no data.
    """
    field = int(np.count_nonzero(np.isfinite(image)))
    return int(np.count_nonzero(bone)) / max(field, 1)


def problem_of(enhanced: EnhancedSlice, image: NDArray[Any]) -> str:
    """What looks wrong in a slice by itself, in words; empty where nothing does.

    Args:
        enhanced: The slice.
        image: ``(Y, X)`` raw grey values, NaN where there are no data.
    """
    fraction = bone_fraction(enhanced.bone, image)
    found = [_missing(image), _neither_route(enhanced)]
    if 0.0 < fraction < LEAST_BONE:
        found.append(f"hardly any bone ({100 * fraction:.2g} %)")
    elif fraction > 1.0 - LEAST_BONE:
        found.append("nothing but bone")
    elif fraction == 0.0:
        found.append("no bone")
    return "; ".join(filter(None, found))


def refuse_unusable(enhanced: EnhancedSlice, opening_px: int) -> None:
    """Refuse a lone image that is background alone, or of another kind of grey values.

    Args:
        enhanced: The slice.
        opening_px: Side of the opening's square.

    Raises:
        ValueError: Says what was found and what would be right.
    """
    if found := _neither_route(enhanced):
        raise ValueError(
            f"{found}; a slice in [0, 1] (Otsu) or in [-1, 0] (k-means) is expected, shift its "
            "grey values"
        )
    if not enhanced.bone.any():
        raise ValueError(
            f"found no bone: nothing bright is as large as the opening's {opening_px} px; leave "
            "the image out if it is background, or give a smaller --opening-px"
        )


def suspicions(facts: Sequence[SliceFacts]) -> list[str]:
    """What looks wrong in each slice, by itself and beside its neighbours.

    Neighbours are the two slices before and behind in the same stack. A bone fraction is unusual
    if it differs from their median by more than 0.05 and five times what is typical in the stack; a
    grey range if it is twice theirs, or half.

    Args:
        facts: Of all slices; those of a stack in their order.

    Returns:
        Words for each slice; empty where nothing looks wrong.
    """
    stacks: dict[str, list[int]] = defaultdict(list)
    for number, fact in enumerate(facts):
        stacks[fact.stack].append(number)
    reasons = [[fact.problem] if fact.problem else [] for fact in facts]
    for numbers in stacks.values():
        usable = [number for number in numbers if not facts[number].is_blank]
        for number, jump in zip(usable, _jumps([facts[n] for n in usable]), strict=True):
            reasons[number] += jump
    return ["; ".join(each) for each in reasons]


def write_slice_table(path: Path, facts: Sequence[SliceFacts]) -> None:
    """Write what is known of every slice as a CSV file; undefined values are left empty.

    Args:
        path: The CSV file.
        facts: Of all slices; those of a stack in their order.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for fact, suspect in zip(facts, suspicions(facts), strict=True):
            writer.writerow({**asdict(fact), "suspect": suspect})


def _missing(image: NDArray[Any]) -> str:
    """Pixels without a value inside the field of view."""
    missing = ~np.isfinite(image)
    if not missing.any():
        return ""
    inside = missing & fill_voids(~missing)
    count = np.count_nonzero(inside) + np.count_nonzero(np.isinf(image) & ~inside)
    return f"{100 * count / image.size:.2g} % of the pixels are NaN or infinite" if count else ""


def _neither_route(enhanced: EnhancedSlice) -> str:
    """A grey range that is neither in [0, 1] nor in [-1, 0], whatever its unit."""
    low, high = enhanced.grey_low, enhanced.grey_high
    positive = (max(high, 0.0) - max(low, 0.0)) / (high - low)
    share = positive if enhanced.route == "otsu" else 1.0 - positive
    if share >= SMALLEST_SHARE_OF_SIDE:
        return ""
    return f"grey values from {low:.4g} to {high:.4g} lie on both sides of 0"


def _jumps(stack: Sequence[SliceFacts]) -> list[list[str]]:
    """What is unusual in each slice of a stack beside its neighbours."""
    fractions = np.array([fact.bone_fraction for fact in stack])
    ranges = np.array([(fact.grey_high or 0.0) - (fact.grey_low or 0.0) for fact in stack])
    if len(stack) < NEIGHBOURS + 1:
        return [[] for _ in stack]
    expected, usual = _of_neighbours(fractions), _of_neighbours(ranges)
    jumps = np.abs(fractions - expected)
    limit = max(SMALLEST_JUMP, UNUSUAL * float(np.median(jumps)))
    found: list[list[str]] = []
    for number, fact in enumerate(stack):
        reasons = []
        if jumps[number] > limit:
            reasons.append(
                f"{100 * fact.bone_fraction:.1f} % bone beside {100 * expected[number]:.1f} % in "
                "its neighbours"
            )
        ratio = ranges[number] / usual[number] if usual[number] > 0 else 1.0
        if not 1.0 / RANGE_RATIO <= ratio <= RANGE_RATIO:
            reasons.append(f"grey range {ratio:.2g} times that of its neighbours")
        found.append(reasons)
    return found


def _of_neighbours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the neighbours of each value, itself apart."""
    count = len(values)
    near = [
        [n for n in range(i - NEIGHBOURS, i + NEIGHBOURS + 1) if 0 <= n < count and n != i]
        for i in range(count)
    ]
    return np.array([np.median(values[each]) for each in near])
