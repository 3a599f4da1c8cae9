"""Reading what a training logged, also while it goes on."""

from __future__ import annotations

import csv
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
