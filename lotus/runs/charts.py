"""Which curves of a training belong into one picture, as its task says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lotus.atomic import atomic_path

TRAINING = "Training"
"""The section of the report that every training has."""


@dataclass(frozen=True)
class Chart:
    """One picture of the report.

    Attributes:
        title: Over it.
        curves: Logged names of values, and what the legend calls them.
        y_label: What is shown, with its unit.
        note: Below it: what a reader has to know.
        section: Of the report.
        deviation: Logged name of the standard deviation of the only curve; empty without.
    """

    title: str
    curves: Mapping[str, str]
    y_label: str
    note: str
    section: str = TRAINING
    deviation: str = ""


def write_charts(path: Path, charts: Sequence[Chart]) -> None:
    """Write charts as JSON; whole or not at all."""
    with atomic_path(path) as temporary:
        text = json.dumps([asdict(chart) for chart in charts], indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_charts(path: Path) -> list[Chart]:
    """Read the charts of a run.

    Raises:
        FileNotFoundError: No such file: the run is of version 0.1.
        ValueError: The file is damaged.
    """
    try:
        return [Chart(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: no list of charts ({error})") from error
