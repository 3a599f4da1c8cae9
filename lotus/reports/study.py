"""The self-contained HTML report of a study: its tables, and what their rows are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from lotus.atomic import atomic_path
from lotus.metrics.catalogue import score_of
from lotus.reports import pictures
from lotus.reports.paper_table import PaperTable
from lotus.reports.report import lotus_version
from lotus.reports.tables import Table, model_rows
from lotus.runs import RunFolder
from lotus.runs.contents import RunContents, is_phantom, read_run


@dataclass(frozen=True)
class StudySection:
    """One table of a study.

    Attributes:
        title: What stands above it.
        tables: The table; of classifiers one per level.
        figures: The same as pictures.
        factors: Tests of what the scores follow, where the methods are a grid.
    """

    title: str
    tables: Sequence[PaperTable]
    figures: Sequence[Path]
    factors: pd.DataFrame | None = None


def write_study_report(
    folder: Path, study: str, sections: Sequence[StudySection], runs: Mapping[str, Path]
) -> Path:
    """Write the report of a study into its folder; it refers to nothing outside itself.

    Args:
        folder: Of the study's run.
        study: Its name.
        sections: Its tables.
        runs: By method, a run folder that tells what its network is.

    Returns:
        Path of the report.

    Raises:
        ValueError: A method has no run.
    """
    contents = {name: read_run(run) for name, run in runs.items()}
    environment = Environment(
        loader=PackageLoader("lotus.reports", ""), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("study.html.j2").render(
        study=study,
        run_name=folder.name,
        phantom=any(map(is_phantom, contents.values())),
        sections=[
            {
                "title": section.title,
                "tables": section.tables,
                "uris": [pictures.file_uri(figure) for figure in section.figures],
                "factors": None if section.factors is None else _tests(section.factors),
            }
            for section in sections
        ],
        methods=_methods(folder, contents),
        version=lotus_version(),
        written=datetime.now().strftime("%Y-%m-%d %H:%M"),
    )
    target = RunFolder(folder).report
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _tests(factors: pd.DataFrame) -> Table:
    """What every factor does to every score, with the least p that so few cells can give."""
    rows = [
        [
            str(row["factor"]),
            str(row["among"]),
            score_of(str(row["score"])).label,
            str(row["test"]),
            f"{row['effect']:+.3f}",
            *("not defined" if math.isnan(p) else f"{p:.3g}" for p in (row["p"], row["least_p"])),
            str(row["n"]),
        ]
        for row in factors.to_dict("records")
    ]
    heads = ["factor", "among", "score", "test", "ρ or difference", "p", "least p", "n"]
    return Table(heads, rows)


def _methods(folder: Path, contents: Mapping[str, RunContents]) -> Table:
    """What every method's network is, as its first run says it, and where that is."""
    said = {name: dict(model_rows(run.model or {})) for name, run in contents.items()}
    heads = list(dict.fromkeys(head for rows in said.values() for head in rows))
    rows = [
        [
            name,
            *(said[name].get(head, "") for head in heads),
            str(run.folder.path.relative_to(folder.resolve())),
        ]
        for name, run in contents.items()
    ]
    return Table(["method", *heads, "first run"], rows)
