"""Runs compared in the layout of a paper's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lotus.atomic import atomic_path
from lotus.evaluation.choices import ComparisonUnit
from lotus.evaluation.comparison import compare_methods, per_image
from lotus.metrics.catalogue import headlines
from lotus.reports.comparison import to_frame, to_latex, to_markdown
from lotus.reports.comparison_figure import write_comparison_figure
from lotus.reports.published import published_table
from lotus.runs import RunFolder
from lotus.runs.scores import read_scores, write_scores

OF_SEGMENTATIONS = ("dice", "hd", "aji", "pq")


def compare_runs(
    runs: Mapping[str, Path],
    reference: str,
    scores: Sequence[str] | None = None,
    *,
    unit: ComparisonUnit = "patient",
    published: str | None = None,
    notes: Mapping[str, str] | None = None,
    apart: Mapping[str, Path] | None = None,
    output: Path | None = None,
) -> None:
    """Print the table of runs, and write it and what belongs to it.

    Args:
        runs: Run folders, or those of cross-validations, by the name of their method.
        reference: The method that the others are tested against.
        scores: Columns; by default those of segmentations, where there are none the headlines of
            the runs' tables.
        unit: What counts once: ``patient``, ``image`` or ``seed``.
        published: Name of a paper whose figures make a second block.
        notes: What a reader of a method's row has to know.
        apart: Runs that were scored on other images.
        output: Folder of the files; None writes none.

    Raises:
        FileNotFoundError: A run has no scores.
        ValueError: Runs that cannot be compared; says why.
    """
    second = published_table(published) if published else None
    methods = {name: read_scores(RunFolder(folder).scores) for name, folder in runs.items()}
    others = {name: read_scores(RunFolder(folder).scores) for name, folder in (apart or {}).items()}
    scores = scores or _default_scores(next(iter(methods.values())))
    comparison = compare_methods(methods, reference, scores, unit, notes or {}, others)
    table = to_markdown(comparison, second)
    print(table, end="")
    if output is None:
        return
    folder = RunFolder(output)
    texts = {
        ".md": table,
        ".tex": to_latex(comparison, second),
        ".csv": to_frame(comparison).to_csv(index=False, float_format="%.10g"),
    }
    for suffix, text in texts.items():
        with atomic_path(folder.comparison(suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_scores(per_image(methods, scores), folder.compared_images)
    write_comparison_figure(folder.comparison(".png"), comparison)


def _default_scores(table: pd.DataFrame) -> Sequence[str]:
    if any(name in table for name in OF_SEGMENTATIONS):
        return OF_SEGMENTATIONS
    found = headlines(table)
    if not found:
        raise ValueError(f"no score to compare; the tables have {', '.join(table.columns)}")
    return found
