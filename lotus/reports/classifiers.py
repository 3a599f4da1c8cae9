"""A comparison of classifiers as the table of a paper, and as numbers."""

from __future__ import annotations

import math

import pandas as pd

from lotus.evaluation.choices import Level
from lotus.evaluation.classifier_comparison import Cases, ClassifierCell, ClassifierComparison
from lotus.evaluation.patient_resampling import Interval, lowest_p
from lotus.metrics.catalogue import score_of
from lotus.reports.paper_table import (
    OF_STARS,
    PaperCell,
    PaperTable,
    PublishedTable,
    laid_out,
    marks,
)

PLURALS: dict[Level, str] = {"patch": "patches", "slice": "slices", "patient": "patients"}
RULES = {
    "majority": "by the majority of their patches, of equally many votes by the mean probability",
    "mean": "by the mean probability of their patches",
}


def classifier_table(
    comparison: ClassifierComparison, published: PublishedTable | None = None
) -> PaperTable:
    """The comparison in the layout of a paper's table.

    Args:
        comparison: What to show.
        published: A paper's table for a second block, marked as figures on other data.
    """
    methods = {**comparison.apart, **comparison.cells}
    return laid_out(methods, _cell, published, _caption(comparison, published))


def classifier_frame(comparison: ClassifierComparison) -> pd.DataFrame:
    """One row per method and score with everything that is known, as shares of one."""
    rows = []
    for method, cells in {**comparison.apart, **comparison.cells}.items():
        cases = comparison.cases_apart.get(method, comparison.cases)
        for score, cell in cells.items():
            test = cell.test
            rows.append(
                {
                    "method": method,
                    "score": score,
                    "level": comparison.level,
                    "n": cases.n,
                    "patients": cases.n_patients,
                    "seeds": cases.seeds,
                    "value": cell.value,
                    "low": cell.interval.low,
                    "high": cell.interval.high,
                    "sd_of_seeds": cell.sd_of_seeds,
                    "reference": "" if method in comparison.apart else comparison.reference,
                    "difference": test.difference if test else math.nan,
                    "p_exchange": test.p if test else math.nan,
                    "p_exchange_holm": cell.p_holm,
                }
            )
    return pd.DataFrame(rows)


def said_of_cases(cases: Cases, level: Level) -> str:
    """How many cases of how many patients, as ``120 patches of 6 patients (ill 3, well 3)``."""
    by_group = ", ".join(f"{group} {n}" for group, n in cases.patients.items())
    text = f"{cases.n_patients} patients ({by_group})"
    text = text if level == "patient" else f"{cases.n} {PLURALS[level]} of {text}"
    return text if cases.seeds == 1 else f"{text}, mean of {cases.seeds} seeds"


def said_of_interval(interval: Interval, scale: float = 1.0, decimals: int = 3) -> str:
    """``[0.512, 0.703]``; empty where it is not defined."""
    if not math.isfinite(interval.low):
        return ""
    return f"[{scale * interval.low:.{decimals}f}, {scale * interval.high:.{decimals}f}]"


def _cell(score: str, cell: ClassifierCell) -> PaperCell:
    scale = score_of(score).paper_scale
    if not math.isfinite(cell.value):
        return PaperCell("n/a")
    text = f"{scale * cell.value:.2f} {said_of_interval(cell.interval, scale, 1)}"
    return PaperCell(text, cell.is_best, marks(cell.test.p if cell.test else math.nan, cell.p_holm))


def _caption(comparison: ClassifierComparison, published: PublishedTable | None) -> str:
    level, n = comparison.level, comparison.cases.n_patients
    decided = "" if level == "patch" else f", decided {RULES[comparison.rule]}"
    text = (
        f"{level.capitalize()} level: {said_of_cases(comparison.cases, level)}{decided}. In square "
        "brackets the 95 % interval of a bootstrap over patients. Best in bold. Precision, recall "
        f"and F1 are macro averages. {OF_STARS} if the method and {comparison.reference} are "
        f"exchanged within patients (n = {n} patients, so that no p is below {lowest_p(n):.2g}); "
        "in brackets the marks that remain after Holm's correction over the methods of a score."
    )
    for method, cases in comparison.cases_apart.items():
        text += f" {method}: other images, {said_of_cases(cases, level)}, not tested."
    notes = [f"{method}: {note}." for method, note in comparison.notes.items()]
    return " ".join([text, *notes, *([f"Published: {published.note}."] if published else [])])
