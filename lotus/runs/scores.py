"""Tables of scores: one row per image, and a last one with their means."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lotus.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

MEAN = "mean"
"""Name of the last row."""
TEXT_COLUMNS = ("name", "patient")


def add_patients(scores: pd.DataFrame, patients: Mapping[str, str]) -> pd.DataFrame:
    """Add the column `patient` to a table of scores; it is empty in the row of means.

    Args:
        scores: A table with the column `name`.
        patients: Patient of each image.

    Returns:
        A new table with the column at its end.
    """
    return scores.assign(patient=scores["name"].map({**patients, MEAN: ""}))


def write_rows(
    rows: Mapping[str, Mapping[str, Any]], patients: Mapping[str, str], path: Path
) -> None:
    """Write scores of images as a table with a row of their means.

    Args:
        rows: Scores by name of the image; rows of the table are in the order of the names.
        patients: Patient of each image.
        path: File to write; whole or not at all.
    """
    import pandas as pd  # A training, which writes no table before its end, starts without it.

    table = pd.DataFrame([{"name": name, **rows[name]} for name in sorted(rows)])
    write_scores(add_patients(with_means(table), patients), path)


def with_means(scores: pd.DataFrame) -> pd.DataFrame:
    """The table with a last row of the means of its columns.

    Args:
        scores: ``name``, else numbers alone.
    """
    import pandas as pd

    means = {"name": MEAN, **scores.drop(columns="name").mean().to_dict()}
    return pd.concat([scores, pd.DataFrame([means])], ignore_index=True)


def write_domains(path: Path, domains: Mapping[str, Mapping[str, float]]) -> None:
    """Write the scores of domains as a table; classes that a domain has not are empty.

    Args:
        path: File to write; whole or not at all.
        domains: Scores by the name of the domain.
    """
    import pandas as pd

    table = pd.DataFrame([{"domain": name, **scores} for name, scores in domains.items()])
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.10g")


def write_scores(scores: pd.DataFrame, path: Path) -> None:
    """Write a table of scores as CSV; undefined values are written as `nan`.

    Args:
        scores: The table.
        path: File to write; whole or not at all.
    """
    with atomic_path(path) as temporary:
        scores.to_csv(temporary, index=False, float_format="%.10g", na_rep="nan")


def read_score_table(path: Path) -> pd.DataFrame:
    """Read a table of `write_scores`, its row of means included.

    Names of images and patients stay text, also those like `007` or `NA`.

    Raises:
        ValueError: The file was cut off, or holds something else.
    """
    import pandas as pd  # A training, which reads no scores, starts without it.

    try:
        text = path.read_text(encoding="utf-8")
        cells = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        numbers = cells.columns.drop([*TEXT_COLUMNS], errors="ignore")
        scores = pd.read_csv(io.StringIO(text), dtype=dict.fromkeys(numbers, float))
    except ValueError as error:
        raise ValueError(f"{path} is not a table of scores ({error})") from error
    if "name" not in cells:
        raise ValueError(f"{path} is not a table of scores (no column name)")
    if not text.endswith("\n") or cells["name"].iloc[-1:].ne(MEAN).any():
        raise ValueError(f"{path} was cut off: its last row is not {MEAN!r}; score the run again")
    return scores.assign(**{name: cells[name] for name in TEXT_COLUMNS if name in cells})


def read_scores(path: Path) -> pd.DataFrame:
    """The scores of a run's test images, without the row of means.

    Args:
        path: The file of a run, or of a cross-validation.

    Returns:
        One row per image, indexed by its name; of a method with several seeds by image and seed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The table is damaged or without an image, or an image is in it twice.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} has no {path.name}: run `lotus test` or `lotus crossval`"
        )
    table = read_score_table(path).iloc[:-1]
    if "seed" in table:
        table["name"] = [
            f"{name} (seed {seed:.0f})"
            for name, seed in zip(table["name"], table["seed"], strict=True)
        ]
    table = table.set_index("name")
    if not len(table):
        raise ValueError(f"{path}: found no image")
    twice = table.index[table.index.duplicated()]
    if len(twice):
        raise ValueError(f"{path}: image {twice[0]} is there twice")
    return table
