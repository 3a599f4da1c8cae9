"""Runs compared in the layout of a paper's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import pandas as pd

from lotus.atomic import atomic_path
from lotus.evaluation.choices import ComparisonUnit, Level, VotingRule
from lotus.evaluation.classifier_comparison import compare_classifiers
from lotus.evaluation.comparison import compare_methods, per_image
from lotus.metrics.catalogue import headlines
from lotus.reports.classifier_figure import write_classifier_figure
from lotus.reports.classifiers import classifier_frame, classifier_table
from lotus.reports.comparison import paper_table, to_frame
from lotus.reports.comparison_figure import write_comparison_figure
from lotus.reports.paper_table import PaperTable, PublishedTable, to_latex, to_markdown
from lotus.reports.published import published_table
from lotus.runs import RunFolder
from lotus.runs.classified import read_classified
from lotus.runs.scores import read_scores, write_scores

OF_SEGMENTATIONS = ("dice", "hd", "aji", "pq")
OF_CLASSIFICATIONS = ("accuracy", "precision", "recall", "f1")
"""The columns of Table I (b) of the paper on mask-guided attention."""


def compare_runs(
    runs: Mapping[str, Sequence[Path]],
    reference: str,
    scores: Sequence[str] | None = None,
    *,
    unit: ComparisonUnit = "patient",
    level: Level | None = None,
    rule: VotingRule = "majority",
    published: str | None = None,
    notes: Mapping[str, str] | None = None,
    apart: Mapping[str, Sequence[Path]] | None = None,
    output: Path | None = None,
) -> list[PaperTable]:
    """Print the table of runs, and write it and what belongs to it.

    Runs that classified patches get a table for each level.

    Args:
        runs: Run folders, or those of cross-validations, by the name of their method. Several of
            a method are its seeds, scored on the same images.
        reference: The method that the others are tested against.
        scores: Columns; by default those of segmentations or of classifications, where there are
            none the headlines of the runs' tables.
        unit: What counts once: ``patient``, ``image`` or ``seed``. Classifications of several
            seeds are averaged, and tested over patients.
        level: Of classifications, what is scored; None: every level in a table of its own.
        rule: How the patches of a slice or a patient decide together.
        published: Name of a paper whose figures make a second block, beside the patches if they
            are of classifications.
        notes: What a reader of a method's row has to know.
        apart: Runs that were scored on other images.
        output: Folder of the files; None writes none.

    Returns:
        The tables.

    Raises:
        FileNotFoundError: A run has no scores.
        ValueError: Runs that cannot be compared; says why.
    """
    second = published_table(published) if published else None
    others = apart or {}
    if _are_classifications({**runs, **others}):
        if unit == "image":
            raise ValueError(
                "patches of a patient are not independent, so classifications are tested over "
                "patients: leave out --unit image"
            )
        levels = get_args(Level) if level is None else (level,)
        return _compare_classifications(
            runs, reference, scores, levels, rule, second, notes or {}, others, output
        )
    methods, rest = _scores_of(runs), _scores_of(others)
    scores = scores or _default_scores(next(iter(methods.values())))
    found = compare_methods(methods, reference, scores, unit=unit, notes=notes or {}, apart=rest)
    tables = [paper_table(found, second)]
    _show(tables, to_frame(found), output)
    if output is not None:
        write_scores(per_image(methods, scores), RunFolder(output).compared_images)
        write_comparison_figure(RunFolder(output).comparison(".png"), found)
    return tables


def _compare_classifications(
    runs: Mapping[str, Sequence[Path]],
    reference: str,
    scores: Sequence[str] | None,
    levels: Sequence[Level],
    rule: VotingRule,
    published: PublishedTable | None,
    notes: Mapping[str, str],
    apart: Mapping[str, Sequence[Path]],
    output: Path | None,
) -> list[PaperTable]:
    """A table per level, of which the first has the published figures beside it."""
    methods, rest = _classified(runs), _classified(apart)
    comparisons = [
        compare_classifiers(
            methods,
            reference,
            scores or OF_CLASSIFICATIONS,
            level=level,
            rule=rule,
            notes=notes,
            apart=rest,
        )
        for level in levels
    ]
    tables = [
        classifier_table(found, None if number else published)
        for number, found in enumerate(comparisons)
    ]
    _show(tables, pd.concat([classifier_frame(found) for found in comparisons]), output)
    if output is not None:
        write_scores(per_image(_scores_of(runs), ["accuracy"]), RunFolder(output).compared_images)
        write_classifier_figure(RunFolder(output).comparison(".png"), comparisons)
    return tables


def _are_classifications(runs: Mapping[str, Sequence[Path]]) -> bool:
    """Whether the runs classified patches: all of them, or none."""
    places = [(name, RunFolder(folder).classified) for name in runs for folder in runs[name]]
    without = [(name, place) for name, place in places if not place.is_file()]
    with_it = [name for name, place in places if place.is_file()]
    if with_it and without:
        name, place = without[0]
        raise ValueError(
            f"{with_it[0]} classified patches and {name} did not (no {place}): compare them in "
            "tables of their own"
        )
    return not without


def _scores_of(runs: Mapping[str, Sequence[Path]]) -> dict[str, pd.DataFrame]:
    """The scores by image, of a method with several runs by image and run."""
    tables = {}
    for name, folders in runs.items():
        own = [read_scores(RunFolder(folder).scores).reset_index() for folder in folders]
        pooled = _pooled(name, own)
        if len(folders) > 1:
            pooled["name"] += pooled["seed"].map(" (run {})".format)
        tables[name] = pooled.set_index("name")
    return tables


def _classified(runs: Mapping[str, Sequence[Path]]) -> dict[str, pd.DataFrame]:
    return {
        name: _pooled(name, [read_classified(RunFolder(folder).classified) for folder in folders])
        for name, folders in runs.items()
    }


def _pooled(name: str, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables of the runs of a method, told apart by a column ``seed`` if there are several."""
    if len(tables) == 1:
        return tables[0]
    for number, table in enumerate(tables):
        if "seed" in table:
            raise ValueError(f"a run of {name} has several seeds itself: give it alone")
        for one in sorted(set(table["name"]) ^ set(tables[0]["name"])):
            raise ValueError(
                f"the runs 0 and {number} of {name} are of different images: {one} is in one alone"
            )
    return pd.concat([table.assign(seed=number) for number, table in enumerate(tables)])


def _show(tables: Sequence[PaperTable], frame: pd.DataFrame, output: Path | None) -> None:
    """Print the tables, and write them and their numbers."""
    text = "\n".join(map(to_markdown, tables))
    print(text, end="")
    if output is None:
        return
    texts = {
        ".md": text,
        ".tex": "\n".join(map(to_latex, tables)),
        ".csv": frame.to_csv(index=False, float_format="%.10g"),
    }
    for suffix, content in texts.items():
        with atomic_path(RunFolder(output).comparison(suffix)) as temporary:
            temporary.write_text(content, encoding="utf-8")


def _default_scores(table: pd.DataFrame) -> Sequence[str]:
    if all(name in table for name in OF_SEGMENTATIONS):
        return OF_SEGMENTATIONS
    found = headlines(table)
    if not found:
        raise ValueError(f"no score to compare; the tables have {', '.join(table.columns)}")
    return found
