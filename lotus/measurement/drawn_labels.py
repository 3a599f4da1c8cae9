"""Labels that a person drew: single and double as named, or told apart by geometry."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy.spatial import cKDTree

from lotus.measurement.drawn_lines import DrawnLine
from lotus.morphometry.interlabel import Labels, paired_labels
from lotus.morphometry.lines import nearest

LABELS = ("label1", "label2")
SINGLE_DOUBLE = ("single_label", "double_label")
_TOUCHING_PX = 1.0

Lines = Mapping[str, Sequence[DrawnLine]]


def paired_drawings(
    lines: Lines, pixel_size_um: float, largest_um: float
) -> tuple[Labels, list[str]]:
    """Which parts of ``label1`` and ``label2`` are double with each other.

    Args:
        lines: Of each role.
        pixel_size_um: Edge of a pixel.
        largest_um: Labels further apart are not double.

    Returns:
        The labels, and what a person should look at.
    """
    drawn = [each.line for role in LABELS for each in lines[role]]
    kinds = [number for number, role in enumerate(LABELS) for _ in lines[role]]
    if len(set(kinds)) < len(LABELS):
        alone = [f"{role} alone is drawn: no double label" for role in LABELS if lines[role]]
        return labels_as_drawn({"single_label": [*lines["label1"], *lines["label2"]]}), alone
    # Nobody drew what is bone: all that lies between two labels is.
    bone, spacing = np.ones((1, 1), np.bool_), (pixel_size_um, pixel_size_um)
    labels = paired_labels(drawn, kinds, [], bone, spacing, largest_um)
    first, second = (np.concatenate([each.line.points for each in lines[role]]) for role in LABELS)
    gap = nearest(cKDTree(second), first)[0]
    doubts = []
    if gap.min() < _TOUCHING_PX * pixel_size_um:
        y, x = first[gap.argmin()] / pixel_size_um
        doubts.append(f"label1 and label2 touch or cross, such as at x {x:.0f}, y {y:.0f} px")
    return labels, doubts


def labels_as_drawn(lines: Lines) -> Labels:
    """Labels that are single or double because they are named so.

    Args:
        lines: Of the roles ``single_label`` and ``double_label``.
    """
    named = [
        (each.line, -1 if role == "single_label" else 0)
        for role in SINGLE_DOUBLE
        for each in lines.get(role, ())
    ]
    return Labels(
        [line for line, _ in named],
        [line.points for line, _ in named],
        [np.full(len(line.points), partner) for line, partner in named],
        [np.zeros(len(line.points), np.bool_) for line, _ in named],
    )


def label_perimeters(
    labels: Labels, lines: Lines, looked_for: Collection[str]
) -> tuple[float, float]:
    """sL.Pm and dL.Pm in µm.

    Args:
        labels: What was drawn.
        lines: Of each role.
        looked_for: Roles that there might have been.

    Returns:
        Both; NaN where nobody looked for labels.
    """
    if not {*SINGLE_DOUBLE, *LABELS} & set(looked_for):
        return math.nan, math.nan
    if any(lines[role] for role in SINGLE_DOUBLE):
        single, double = (sum(each.length for each in lines[role]) for role in SINGLE_DOUBLE)
        return float(single), float(double)
    both = sum(
        float(line.shares[double].sum())
        for line, double in zip(labels.lines, labels.double, strict=True)
    )
    return sum(line.length for line in labels.lines) - both, both / 2.0
