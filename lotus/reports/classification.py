"""What a report says of classified patches: three levels, who was taken for whom, calibration."""

from __future__ import annotations

import math
from typing import get_args

import matplotlib
import numpy as np
import pandas as pd

from lotus.evaluation.choices import Level
from lotus.evaluation.classification import (
    SCORES,
    at_level,
    calibration_curve,
    confusion_matrix,
)
from lotus.evaluation.classifier_comparison import (
    ClassifierCell,
    cases_of,
    summarise,
)
from lotus.evaluation.patient_resampling import RESAMPLES, accuracy_interval
from lotus.metrics.catalogue import score_of
from lotus.reports import figures
from lotus.reports.classifiers import PLURALS, RULES, said_of_cases, said_of_interval
from lotus.reports.tables import Table
from lotus.runs.classified import probability_columns

LEVELS: tuple[Level, ...] = get_args(Level)


def level_table(classified: pd.DataFrame) -> Table:
    """Every score at every level, with its 95 % interval over patients.

    Args:
        classified: One row per patch.
    """
    cases = {level: at_level(classified, level) for level in LEVELS}
    cells = {level: summarise(own, SCORES) for level, own in cases.items()}
    rows = [
        [score_of(name).label, *(_text(name, cells[level][name]) for level in LEVELS)]
        for name in SCORES
    ]
    counted = cases_of(cases["patient"])
    if counted.seeds == 1:
        n = counted.n
        right = round(cells["patient"]["accuracy"].value * n)
        exact = said_of_interval(accuracy_interval(right, n))
        rows.insert(1, ["accuracy, exact interval", "", "", f"{right} of {n} {exact}"])
    sizes = "; ".join(said_of_cases(cases_of(own), level) for level, own in cases.items())
    caption = (
        f"{sizes}. In brackets the 95 % interval of {RESAMPLES} bootstraps over the patients, "
        "drawn within their groups; with few patients it is too narrow. The exact interval is "
        "Clopper and Pearson's. Precision, recall and F1 are macro averages. Slices and patients "
        f"are decided {RULES['majority']}; their AUROC and ECE are those of the shares of votes."
    )
    return Table(["score", *(f"{level} level" for level in LEVELS)], rows, caption)


def confusion_tables(classified: pd.DataFrame) -> list[Table]:
    """Counts of true (rows) and predicted groups (columns) at every level.

    Args:
        classified: One row per patch.
    """
    tables = []
    for level in LEVELS:
        counts = confusion_matrix(at_level(classified, level))
        rows = [
            [f"{group} (true)", *(f"{count:,}" for count in row)]
            for group, row in zip(counts.index, counts.to_numpy().tolist(), strict=True)
        ]
        header = [PLURALS[level], *(f"{group} (predicted)" for group in counts.columns)]
        tables.append(Table(header, rows))
    return tables


def patient_table(classified: pd.DataFrame) -> Table:
    """Every patient with the shares of its patches' votes and mean probabilities.

    Args:
        classified: One row per patch.
    """
    votes, means = (at_level(classified, "patient", rule) for rule in ("majority", "mean"))
    columns = probability_columns(classified)
    n_patches = classified.groupby("patient").size()
    seed = ["seed"] if "seed" in votes else []
    rows = [
        [
            str(vote["name"]),
            *(str(vote[name]) for name in seed),
            str(vote["group"]),
            str(vote["predicted"]),
            str(mean["predicted"]),
            str(n_patches[vote["name"]]),
            *(f"{vote[name]:.2f} ({mean[name]:.2f})" for name in columns),
        ]
        for (_, vote), (_, mean) in zip(votes.iterrows(), means.iterrows(), strict=True)
    ]
    heads = [f"votes (mean p) for {name.removeprefix('p_')}" for name in columns]
    header = ["patient", *seed, "group", "by majority", "by mean p", "patches", *heads]
    return Table(header, rows)


def calibration_figure(classified: pd.DataFrame) -> str:
    """How often the most probable group of a patch is the true one, as SVG text.

    Args:
        classified: One row per patch.
    """
    curve = calibration_curve(classified)
    with matplotlib.rc_context(fname=figures.STYLE):
        figure, axes = figures.canvas("probability of the predicted group", "share that is right")
        axes.plot([0, 1], [0, 1], "--", color=figures.MEDIAN_COLOUR, lw=1, label="calibrated")
        axes.plot(curve["confidence"], curve["accuracy"], color="C0", lw=1.2)
        areas = 12 + 120 * np.asarray(curve["n"], float) / curve["n"].max()
        label = "bins, area by patches"
        axes.scatter(curve["confidence"], curve["accuracy"], s=areas, color="C0", label=label)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.legend(loc="upper left")
        return figures.to_svg(figure)


def classification_facts(classified: pd.DataFrame) -> list[tuple[str, str]]:
    """The few numbers a reader looks for first.

    Args:
        classified: One row per patch.
    """
    facts = [("patients", str(classified["patient"].nunique()))]
    for level in LEVELS:
        cases = at_level(classified, level)
        share = (cases["predicted"] == cases["group"]).mean()
        facts.append((f"accuracy of {PLURALS[level]}", f"{share:.3f}"))
    return facts


def _text(name: str, cell: ClassifierCell) -> str:
    if not math.isfinite(cell.value):
        return "undefined"
    text = f"{cell.value:.{score_of(name).decimals}f}"
    return f"{text} {said_of_interval(cell.interval)}".rstrip()
