"""Reading what a training logged, also while it goes on."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def read_curve(path: Path, column: str) -> dict[int, float]:
    """One column of curves that may still be written.

    Args:
        path: The file; one that does not exist yet has no values.
        column: Name of the score.

    Returns:
        The value of each epoch that has one; of an epoch that ran twice, the later one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    whole = text[: text.rfind("\n") + 1]  # The last line may be half written.
    curve = {}
    for row in csv.DictReader(whole.splitlines()):
        with suppress(ValueError, TypeError, KeyError):
            curve[int(row["epoch"])] = float(row[column])
    return curve


def best_validation(path: Path, column: str, *, maximize: bool) -> tuple[int, float] | None:
    """The validation that the best checkpoint of a training is of.

    Args:
        path: Curves that may still be written.
        column: Name of the score.
        maximize: Whether more is better.

    Returns:
        Epoch and value; None where no validation gave a finite one.
    """
    curve = {
        epoch: value for epoch, value in read_curve(path, column).items() if math.isfinite(value)
    }
    if not curve:
        return None
    epoch = best_epoch(curve, read_curve(path, "phase"), maximize=maximize)
    return epoch, curve[epoch]


def best_epoch(
    curve: Mapping[int, float], phase: Mapping[int, float], *, maximize: bool = True
) -> int:
    """The epoch with the best score among those of the latest phase, as checkpoints are chosen.

    Args:
        curve: Score of each validated epoch, at least one.
        phase: Phase of each epoch; empty of a training that has none, and without the epoch that
            goes on.
        maximize: Whether more is better.
    """
    latest = max(phase.values(), default=1.0)
    last = max(phase.get(epoch, latest) for epoch in curve)
    candidates = [epoch for epoch in curve if phase.get(epoch, latest) == last]
    return (max if maximize else min)(candidates, key=curve.__getitem__)


def read_epochs(path: Path) -> pd.DataFrame:
    """All curves of a training, as one row per epoch.

    The logger writes one row per call, each with some of the columns; a learning rate comes without
    an epoch, just before the rows of the epoch it belongs to.

    Args:
        path: The file.

    Returns:
        Frame indexed by epoch; a column's mean over the rows of an epoch, NaN where never logged.

    Raises:
        ValueError: The file has no column `epoch`.
    """
    import pandas as pd  # The engines, which read single curves, start without it.

    frame = pd.read_csv(path)
    if "epoch" not in frame:
        raise ValueError(f"found no column epoch, but {', '.join(map(str, frame.columns))}")
    frame["epoch"] = frame["epoch"].bfill().ffill()
    numeric = frame.apply(pd.to_numeric, errors="coerce")
    means: pd.DataFrame = numeric.groupby("epoch").mean()
    return means


def logged_columns(path: Path) -> list[str]:
    """The names of all that was logged; none where there is no file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except OSError:
        return []
