"""A comparison of segmentations as the table of a paper, and as numbers."""

from __future__ import annotations

import math

import pandas as pd

from lotus.evaluation.comparison import Cell, Comparison
from lotus.metrics.catalogue import score_of
from lotus.reports.paper_table import (
    OF_STARS,
    PaperCell,
    PaperTable,
    PublishedTable,
    laid_out,
    marks,
    numbers,
)


def paper_table(comparison: Comparison, published: PublishedTable | None = None) -> PaperTable:
    """The comparison in the layout of a paper's table.

    Args:
        comparison: What to show.
        published: A paper's table for a second block, marked as figures on other data.
    """
    methods = {**comparison.apart, **comparison.cells}
    return laid_out(methods, _cell, published, caption(comparison, published))


def caption(comparison: Comparison, published: PublishedTable | None = None) -> str:
    """What the numbers are, on how many units, and what the marks mean; then what is undefined."""
    text = (
        f"Mean ± SD over {comparison.n} {comparison.unit}s. Best in bold. {OF_STARS} "
        f"in a paired t-test against {comparison.reference}; in brackets the marks that remain "
        "after Holm's correction over the methods of a score."
    )
    undefined, replaced = [], []
    for method, cells in {**comparison.apart, **comparison.cells}.items():
        for score, cell in cells.items():
            name = f"{method} {score_of(score).paper_heading} in"
            if cell.undefined_images:
                n = comparison.n_apart.get(method, comparison.n) - cell.undefined
                left = f" (n = {n})" if cell.undefined else ""
                undefined.append(f"{name} {_images(cell.undefined_images)}{left}")
            if cell.replaced_images:
                replaced.append(f"{name} {_images(cell.replaced_images)}")
    if undefined:
        text += f" Undefined and left out: {', '.join(undefined)}."
    if replaced:
        text += f" Image diagonal, as one of the masks is empty: {', '.join(replaced)}."
    for method, n in comparison.n_apart.items():
        text += f" {method}: other images, n = {n} {comparison.unit}s, not tested."
    notes = [f"{method}: {note}." for method, note in comparison.notes.items()]
    return " ".join([text, *notes, *([f"Published: {published.note}."] if published else [])])


def to_frame(comparison: Comparison) -> pd.DataFrame:
    """One row per method and score with everything that is known, in the scores' own units."""
    rows = []
    for method, cells in {**comparison.apart, **comparison.cells}.items():
        for score, cell in cells.items():
            test = cell.test
            rows.append(
                {
                    "method": method,
                    "score": score,
                    "unit": comparison.unit,
                    "n": comparison.n_apart.get(method, comparison.n),
                    "undefined": cell.undefined,
                    "undefined_images": cell.undefined_images,
                    "replaced_images": cell.replaced_images,
                    "mean": cell.mean,
                    "sd": cell.sd,
                    "reference": "" if method in comparison.apart else comparison.reference,
                    "pairs": test.n if test else math.nan,
                    "difference": test.difference if test else math.nan,
                    "p_t": test.p_t if test else math.nan,
                    "p_t_holm": cell.p_holm,
                    "p_wilcoxon": test.p_wilcoxon if test else math.nan,
                }
            )
    return pd.DataFrame(rows)


def marks_of(cell: Cell) -> str:
    """Stars of the t-test, and in brackets those that remain after Holm's correction."""
    return marks(cell.test.p_t if cell.test else math.nan, cell.p_holm)


def _cell(score: str, cell: Cell) -> PaperCell:
    scale = score_of(score).paper_scale
    return PaperCell(numbers(cell.mean * scale, cell.sd * scale), cell.is_best, marks_of(cell))


def _images(count: int) -> str:
    return f"{count} image" + ("s" if count > 1 else "")
