"""Tables of explained patches: what a classifier was explained for, and how good the maps are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from lotus.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

EXPLAINED_TEXTS = ("name", "slice", "patient", "group", "explained")
SCORES = ("pointing", "energy", "deletion", "insertion", "road")
CHANCE = "lacunae"
"""The share of area that lacunae cover, which is what chance gives of pointing and energy."""


def write_explained(table: pd.DataFrame, path: Path) -> None:
    """Write a table of explained patches, or one that sums it up, as CSV.

    Args:
        table: The table; what is undefined in it is written as `nan`.
        path: File to write; whole or not at all.
    """
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g", na_rep="nan")


def read_explained(path: Path) -> pd.DataFrame:
    """Read a table of explained patches.

    Names stay text, also those like `007` or `NA`.

    Args:
        path: The file that `lotus explain` wrote.

    Returns:
        One row per patch.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file was cut off, or holds something else.
    """
    import pandas as pd  # A training, which reads no such table, starts without it.

    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} has no {path.name}: run `lotus explain`")
    text = path.read_text(encoding="utf-8")
    try:
        cells = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        numbers = cells.columns.drop([*EXPLAINED_TEXTS], errors="ignore")
        table = cells.assign(**{name: cells[name].astype(float) for name in numbers})
    except ValueError as error:
        raise ValueError(f"{path} is not a table of explained patches ({error})") from error
    missing = [name for name in (*EXPLAINED_TEXTS, *SCORES, CHANCE) if name not in table]
    if missing or not text.endswith("\n"):
        reason = f"no column {missing[0]!r}" if missing else "cut off in its last row"
        raise ValueError(f"{path} is not a table of explained patches ({reason})")
    return table
